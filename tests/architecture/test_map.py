"""The map in docs/architecture.md is the building: every room on it, and no other."""

import re

from tests.architecture.tree import ROOT, SOURCE

PAGE = (ROOT / "docs" / "architecture.md").read_text()
DRAWN = dict(re.findall(r"^\| `cdl\.(\w+)` *\|(.*)$", PAGE, re.MULTILINE))
PICTURE = PAGE.split("```text", 1)[1].split("```", 1)[0]


def on_disk():
    return {
        path.name.removesuffix(".py")
        for path in SOURCE.iterdir()
        if not path.name.startswith((".", "_")) and (path.suffix == ".py" or any(path.rglob("*.py")))
    }


def built():
    return {name for name, line in DRAWN.items() if "(not built yet)" not in line}


def test_every_room_is_on_the_map_and_no_other():
    assert on_disk() == built()


def test_a_room_said_to_be_missing_is_missing():
    assert not on_disk() & (DRAWN.keys() - built())


def test_the_picture_shows_the_rooms_of_the_table():
    shown = set(re.findall(r"[a-z]+", PICTURE))
    assert set(DRAWN) <= shown


def test_every_top_folder_is_on_the_map():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    mapped = set(re.findall(r"^\| `([\w-]+)/`", PAGE, re.MULTILINE))
    assert mapped - folders == set()
    assert {"docs", "pipelines", "requirements", "src", "tests", "use_cases"} <= mapped
