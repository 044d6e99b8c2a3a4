"""One word, one meaning; and none of the words that mean nothing."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import SOURCE, modules, offenders, syntax

EMPTY_WORDS = {"manager", "processor", "helper", "helpers", "util", "utils", "info", "base", "common", "core", "misc"}

OURS = modules("src/cdl", "pipelines", "use_cases", "operators")


def words(name: str) -> set[str]:
    """`PachydermInfoHelper` and `pachyderm_info_helper` are the same three words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)}


def empty_names(path: Path) -> list[str]:
    classes = [node.name for node in ast.walk(syntax(path)) if isinstance(node, ast.ClassDef)]
    return [name for name in (path.stem, path.parent.name, *classes) if words(name) & EMPTY_WORDS]


def test_no_file_and_no_class_has_an_empty_name():
    assert offenders(OURS, empty_names) == {}


def test_no_room_is_called_data():
    assert not (SOURCE / "data").exists()
    assert not (SOURCE / "data.py").exists()


@pytest.mark.parametrize("name", ["RepoInfo", "session_manager", "HTTPUtil", "BaseEngine", "utils"])
def test_an_empty_name_is_found(name):
    assert words(name) & EMPTY_WORDS
