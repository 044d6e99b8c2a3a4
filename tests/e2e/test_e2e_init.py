"""`cdl init` to a served prediction, for each template, on one platform; and what the project says of itself."""

import re
import subprocess
import sys

import pytest

TEMPLATES = {
    "text": {"complaint.txt": "complaint", "praise.txt": "praise"},
    "image": {"left.json": "left", "middle.json": "middle", "top.json": "top"},
    "table": {"bolt.json": "bolt", "plate.json": "plate"},
}


@pytest.fixture(autouse=True)
def git_knows_somebody(shared_place):
    for role in ("AUTHOR", "COMMITTER"):
        shared_place.environment |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"}


def git(folder, *words):
    return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("template", ["text", *(pytest.param(t, marks=pytest.mark.slow) for t in ("image", "table"))])
def test_a_new_project_is_green_at_its_first_commit(shared_place, tmp_path, template):
    name, folder = f"my-{template}", tmp_path / template
    made = shared_place.cdl("init", name, "--template", template, "--into", folder)
    assert made.returncode == 0, made.stderr
    assert git(folder, "log", "--format=%s").splitlines() == [f"Begin {name} with the {template} template of cdl"]
    own = [sys.executable, "-m", "pytest", "-q", "-W", "ignore::pytest.PytestDeprecationWarning"]
    tests = subprocess.run(own, cwd=folder, capture_output=True, text=True, check=False)
    assert tests.returncode == 0, tests.stdout
    assert "5 passed" in tests.stdout
    valid = shared_place.cdl("validate", folder)
    assert valid.returncode == 0
    assert "warning" not in valid.stderr
    answer = shared_place.cdl("run", folder, "--data", "synthetic", timeout=280)
    assert answer.returncode == 0, shared_place.story(answer)
    assert shared_place.get("experiment", name)["status"]["evaluation"]["gates"][0]["passed"]
    members = shared_place.get("release", f"{name}-1")["spec"]["members"]
    assert members["git"]["commit"] == git(folder, "rev-parse", "HEAD").strip()
    for sample, label in TEMPLATES[template].items():
        asked = shared_place.cdl("predict", name, folder / "samples" / sample)
        assert asked.returncode == 0, asked.stderr
        assert re.search(rf"\s{label} +0\.[0-9]+ ", asked.stdout), asked.stdout
    assert git(folder, "status", "--porcelain") == ""


def test_the_level_of_a_new_project_counts_its_pipeline(shared_place, tmp_path):
    shared_place.cdl("init", "scored", "--template", "text", "--into", tmp_path / "scored")
    scored = shared_place.cdl("level", tmp_path / "scored")
    assert scored.returncode == 0, scored.stderr
    assert scored.stdout.startswith("level "), scored.stdout
