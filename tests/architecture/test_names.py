"""One word, one meaning; and none of the words that mean nothing."""

import ast
import re

import pytest

from tests.architecture.tree import SOURCE, modules, short, syntax

EMPTY_WORDS = {"manager", "processor", "helper", "helpers", "util", "utils", "info", "base", "common", "core", "misc"}

OURS = modules("src/cdl", "pipelines", "use_cases", "operators")


def words(name: str) -> set[str]:
    """`PachydermInfoHelper` and `pachyderm_info_helper` are the same three words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)}


@pytest.mark.parametrize("path", OURS, ids=short)
def test_no_file_has_an_empty_name(path):
    assert not {word for part in (path.stem, path.parent.name) for word in words(part)} & EMPTY_WORDS


@pytest.mark.parametrize("path", OURS, ids=short)
def test_no_class_has_an_empty_name(path):
    classes = [node.name for node in ast.walk(syntax(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if words(name) & EMPTY_WORDS] == []


def test_no_room_is_called_data():
    assert not (SOURCE / "data").exists()
    assert not (SOURCE / "data.py").exists()


@pytest.mark.parametrize("name", ["RepoInfo", "session_manager", "HTTPUtil", "BaseEngine", "utils"])
def test_an_empty_name_is_found(name):
    assert words(name) & EMPTY_WORDS
