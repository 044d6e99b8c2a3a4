"""The pages cannot lie cheaply: links lead somewhere, commands exist, decisions are numbered, words are defined."""

import json
import re
import shlex
import subprocess
import sys
from functools import cache

from tests.architecture.tree import ROOT, offenders, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
# Programs a reader is assumed to have; `cdl` and `make` are looked into.
ASSUMED = {"git", "cd", "curl", "kubectl", "helm", "cat", "ls", "bash", "cp", "export", "det", "pachctl"}
ASSUMED |= {"docker", "microk8s"}


def anchors(path):
    headings = re.findall(r"^#+ +(.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def commands(path):
    """What a page tells its reader to type: lines after `$ ` in console blocks, one a program."""
    for block in CONSOLE.findall(path.read_text()):
        for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            for part in re.split(r"\s*(?:&&|\|\|?|;)\s*", line.split(" #")[0]):
                yield shlex.split(part)


@cache
def help_of(*verbs):
    return subprocess.run(
        [sys.executable, "-c", "from cdl.cli import main; main()", *verbs, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def complaint(words):
    """What is wrong with a command, or nothing."""
    match words:
        case ["make", *targets]:
            unknown = [word for word in targets if "=" not in word and word not in TARGETS]
            return f"no make target {unknown}" if unknown else ""
        case ["cdl" | ".venv/bin/cdl", "--help" | "--version"]:
            return ""
        case ["cdl" | ".venv/bin/cdl", verb, *rest]:
            if help_of(verb).returncode:
                return f"no verb {verb}"
            grouped = "Commands:" in help_of(verb).stdout and rest and not rest[0].startswith("-")
            inner = [verb, rest[0]] if grouped else [verb]
            if help_of(*inner).returncode:
                return f"no verb {' '.join(inner)}"
            flags = {word.split("=")[0] for word in rest if word.startswith("--")}
            unknown = [flag for flag in flags if flag not in help_of(*inner).stdout]
            return f"cdl {' '.join(inner)} has no {unknown}" if unknown else ""
        case [program, *_]:
            return "" if program in ASSUMED or (ROOT / program).exists() else f"{program} is not a program a reader has"
    return "an empty command"


def lost_links(path):
    lost = []
    for link in LINK.findall(path.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    return lost


def complaints(path):
    return [f"{shlex.join(words)}: {said}" for words in commands(path) if (said := complaint(words))]


def test_every_link_leads_somewhere():
    assert offenders(PAGES, lost_links) == {}


def test_every_command_exists():
    assert offenders(PAGES, complaints) == {}


def test_a_command_that_does_not_exist_is_found():
    assert complaint(["make", "coffee"])
    assert complaint(["cdl", "brew"])
    assert complaint(["cdl", "run", "--no-such-flag"])
    assert complaint(["cdl", "data", "brew"])
    assert complaint(["cdl", "data", "labels", "--no-such-flag"])
    assert not complaint(["cdl", "data", "labels", "news", "--history", "1.txt"])
    assert complaint(["brew", "install"])


def test_the_readme_gives_the_two_commands():
    spoken = list(commands(ROOT / "README.md"))
    assert ["make", "demo"] in spoken
    assert ["make", "test"] in spoken


def test_decisions_are_numbered_and_listed():
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert [path.name for path in ADRS if f"({path.name})" not in listed] == []


def other_headings(path):
    headings = re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE)
    return headings if headings != ["Situation", "Decision", "Roads not taken", "Consequences"] else []


def test_a_decision_names_the_road_not_taken():
    assert offenders(ADRS, other_headings) == {}


def test_the_glossary_is_in_order_and_has_no_forbidden_word():
    words = re.findall(r"^\*\*([^*]+)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) >= 25
    assert words == sorted(words, key=str.lower)


PROGRAM = "import json, render; print(json.dumps({name: page() for name, page in render.PAGES.items()}))"


def test_the_reference_is_what_the_code_says():
    folder = ROOT / "docs" / "reference"
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    stale = [name for name, page in json.loads(made).items() if (folder / name).read_text() != page]
    assert stale == [], "run `make generate` and commit docs/reference"
