"""The how-to of each role, run as it stands: setup once, then the pages in the order in which their list has them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "docs" / "how-to" / "roles"
SCRIPT = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
LISTED = re.findall(r"^\| \[[^\]]+\]\(([a-z-]+\.md)\)", (ROLES / "README.md").read_text(), re.MULTILINE)
THESIS = {"data-engineer", "labeler", "data-scientist", "software-engineer", "validator", "devops-engineer"}


def script(page):
    return "\n".join(SCRIPT.findall((ROLES / page).read_text()))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_page_runs_as_it_stands(tmp_path):
    words = ["set -euo pipefail", *(f"echo '== {page}'\n{script(page)}" for page in ("README.md", *LISTED))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CDL_")}
    environment["CDL_HOME"] = str(tmp_path / "home")
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(words)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1700,
            check=False,
        )
    finally:
        subprocess.run([".venv/bin/cdl", "stop"], cwd=ROOT, env=environment, check=True)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    seen = done.stdout
    assert "`news-1` waits for a validator's approval" in seen
    assert seen.count("Merged as") == 3
    assert seen.count("praise") >= 1
    assert "news-2" in seen
    assert not (ROOT / "news").exists()


def test_each_role_of_the_thesis_has_a_page_with_a_script_that_fits_on_a_screen():
    assert {page.removesuffix(".md") for page in LISTED} == THESIS
    for page in LISTED:
        assert script(page).startswith(("clone ", "told ", "as ", "mkdir "))
        assert len((ROLES / page).read_text().splitlines()) <= 60
