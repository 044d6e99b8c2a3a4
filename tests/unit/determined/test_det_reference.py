"""The reference page says of every verb of ``det`` and of every endpoint what the embedded master does with it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from determined.cli import cli
from determined.cli._declarative_argparse import Cmd, Group

from cdl.embedded.determined.api.refusals import REFUSED
from cdl.embedded.determined.app import ROOMS
from cdl.embedded.determined.master import build
from cdl.embedded.determined.web import API, Handler

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "determined.md"
TESTS = ROOT / "tests" / "wire" / "determined"
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
VERB = re.compile(r"`det ([a-z_ -]+)`")
CALLED = re.compile(r"""det\.(?:ok|json)\(\s*f?"([^"]+)\"""")


class Recorder:
    """Takes down the endpoints that rooms name."""

    def __init__(self) -> None:
        self.served: dict[str, str] = {}

    def add(self, method: str, path: str, handler: Handler, *, public: bool = False) -> None:
        del public
        whole = path[1:] if path.startswith("//") else API + path
        said = (handler.__doc__ or "").strip().splitlines()
        self.served.setdefault(f"{method} {whole}", said[0] if said else "")


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    return dict(SECTION.findall(PAGE.read_text()))


def verbs(args: object, before: str = "") -> Iterator[str]:
    """Every verb of the installed ``det`` that has none below it."""
    for each in args:
        if isinstance(each, Group):
            yield from verbs(each.options, before)
        elif isinstance(each, Cmd):
            name = f"{before} {each.name.split()[0].replace('|', '')}".strip()
            if any(isinstance(sub, Cmd | Group) and not hasattr(sub, "options") for sub in each.subs):
                yield from verbs(each.subs, name)
            else:
                yield name


def endpoints(path: Path) -> str:
    """The table of what is served, made from the code."""
    master, recorder = build(path, "http://127.0.0.1", 1), Recorder()
    for room in ROOMS:
        room(master).add_to(recorder)
    master.store.close()
    refused = {f"{method} {place[1:] if place[:2] == '//' else API + place}" for method, place, _ in REFUSED}
    rows = sorted((where.split(), what) for where, what in recorder.served.items() if where not in refused)
    lines = [
        f"| `{method}` | `{place}` | {what} |" for (method, place), what in sorted(rows, key=lambda row: row[0][::-1])
    ]
    return "\n".join(["| | endpoint | what it does |", "| --- | --- | --- |", *lines])


def test_every_endpoint_is_told(sections: dict[str, str], tmp_path: Path) -> None:
    assert sections["Endpoints"].strip().endswith(endpoints(tmp_path)), "docs/reference/determined.md is out of date"


def test_every_refusal_is_told(sections: dict[str, str]) -> None:
    told = sections["What is refused"]
    assert [why for _, _, why in REFUSED if why[0].upper() + why[1:] not in told] == []


def test_every_verb_is_told_once(sections: dict[str, str]) -> None:
    told = [verb for name in sections for verb in VERB.findall(sections[name]) if name.startswith("Verbs")]
    assert sorted(told) == sorted(verbs(cli.all_args_description))


def test_a_verb_that_is_said_to_work_is_run_by_a_test(sections: dict[str, str]) -> None:
    run = {
        call
        for file in TESTS.glob("test_det_*.py")
        for call in CALLED.findall(file.read_text())
        if ast.parse(file.read_text())
    }
    told = VERB.findall(sections["Verbs that work"])
    assert [verb for verb in told if not any(f"{call} ".startswith(f"{verb} ") for call in run)] == []
