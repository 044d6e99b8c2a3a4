"""The workshop holds what it promises: `make` targets, the lock, rules switched off with a reason."""

import importlib
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

from tests.architecture.tree import ROOT, SOURCE, imports, modules, offenders

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT_TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(PROJECT_TEXT)
SETS = ("demo", "bbc", "tests")
EXTRAS = {"demo": ("run", "tf"), "bbc": ("run", "torch"), "tests": ("dev", "tf", "torch")}


def pins(name):
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def wished(extras):
    """What pyproject asks for by these extras, extras of extras included."""
    project = PROJECT["project"]
    asked = list(project["dependencies"])
    queue = list(extras)
    while queue:
        for text in project["optional-dependencies"][queue.pop()]:
            wish = Requirement(text)
            if wish.name == "cdl":
                queue += wish.extras
            else:
                asked.append(text)
    return [Requirement(text) for text in asked]


@pytest.mark.parametrize("name", SETS)
def test_the_lock_gives_what_the_project_asks_for(name):
    locked = pins(name)
    unmet = [
        str(wish)
        for wish in wished(EXTRAS[name])
        if wish.name.lower() not in locked or not wish.specifier.contains(locked[wish.name.lower()])
    ]
    assert unmet == []


@pytest.mark.parametrize("name", ["demo", "bbc"])
def test_all_sets_agree_so_that_one_environment_serves_them_all(name):
    assert pins(name).items() <= pins("tests").items()


def test_a_demo_needs_no_other_framework_and_no_tools():
    assert not {"torch", "pytest", "mypy", "ruff", "hypothesis"} & pins("demo").keys()
    assert not {"tensorflow-cpu", "keras", "pytest", "mypy", "ruff"} & pins("bbc").keys()


@pytest.mark.parametrize("name", SETS)
def test_the_lock_belongs_to_no_machine(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"--|\+cpu|file:|https?:|^/", text, re.MULTILINE)


def test_every_target_is_declared_and_explained():
    phony = set(re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)[1].split())
    explained = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert phony == explained
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == phony


def test_the_server_runs_what_a_developer_runs():
    assert re.search(r"^run test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert "script: bash .ci/run" in (ROOT / ".gitlab-ci.yml").read_text()


def test_every_rule_that_is_off_says_why():
    section = PROJECT_TEXT.split("[tool.ruff.lint]", 1)[1].split("[tool.ruff.lint.pydocstyle]", 1)[0]
    silent = [line.strip() for line in section.splitlines() if re.match(r'\s+"[A-Z]', line) and "#" not in line]
    assert silent == []
    assert PROJECT["tool"]["ruff"]["lint"]["select"] == ["ALL"]


def test_warnings_are_errors_and_each_exception_says_why():
    section = PROJECT_TEXT.split("filterwarnings = [", 1)[1].split("\n]", 1)[0].strip().splitlines()
    assert section[0].strip() == '"error",'
    for before, line in itertools.pairwise(section):
        assert line.strip().startswith("#") or before.strip().startswith("#"), line


def test_the_install_script_refuses_an_unknown_set():
    done = subprocess.run(["requirements/install", "--no-such"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "tests demo bbc" in done.stderr


@pytest.mark.parametrize("entry", sorted(PROJECT["project"]["scripts"].values()))
def test_an_installed_command_leads_somewhere(entry):
    module, _, function = entry.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


# Which extras give a room its libraries; every other room lives on what everybody installs.
ROOM_EXTRAS = {
    "engines/pachyderm": ("pachyderm",),
    "engines/determined": ("determined",),
    "engines/seldon": ("seldon",),
    "engines/gitlab": ("gitlab",),
    "kube": ("kube",),
    "stores/postgres": ("postgres",),
    "stores/signing": ("signing",),
    "stores/sources": ("s3", "postgres"),
    "embedded": ("embedded",),
    "serving": ("serving",),
    "training": ("pachyderm", "determined", "tf", "torch"),
    "testing": ("dev",),
}
# Parts of a library that come with it under a name of their own.
PART_OF = {"pydantic-core": "pydantic"}
OWNERS = packages_distributions()


def distributions(path):
    """What would have to be installed for the file to be imported."""
    names = {name.partition(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"cdl"}
    return {name: {PART_OF.get(plain(owner), plain(owner)) for owner in OWNERS.get(name, [name])} for name in names}


def plain(name):
    return name.lower().replace("_", "-")


def undeclared(path):
    place = path.relative_to(SOURCE).as_posix()
    extras = [extra for room, given in ROOM_EXTRAS.items() if place.startswith(f"{room}/") for extra in given]
    declared = {plain(wish.name) for wish in wished(extras)}
    return sorted(name for name, owners in distributions(path).items() if not owners & declared)


def test_a_room_imports_what_its_extra_installs():
    assert offenders(modules("src/cdl"), undeclared) == {}


@pytest.mark.parametrize(
    ("summary", "status"), [("3 passed in 0.10s", 0), ("1 failed, 3 passed in 62.10s (0:01:02)", 1)]
)
def test_the_server_closes_with_the_summary_and_the_outcome(tmp_path, summary, status):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(f"test:\n\t@echo 'before'; echo '{summary}'; exit {status}\n")
    done = subprocess.run(
        ["bash", tmp_path / ".ci" / "run"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == summary
    assert bool(done.returncode) is bool(status)
