"""Trees of commits: what makes one unfit, and what it is after changes, against the plainest words for both."""

import random

import pytest

from cdl.embedded.pachd import trees
from cdl.embedded.pachd.blobs import EMPTY, Part, digest_of
from cdl.embedded.pachd.trees import DEFAULT_TAG, Change

NAMES = ("a", "b", "a.txt", "a-b")


def part(content: bytes) -> Part:
    return Part(digest_of(content), len(content))


def tree(*paths: str) -> trees.Tree:
    return {path: {DEFAULT_TAG: (part(path.encode()),)} for path in paths}


def drawn_path(draw: random.Random) -> str:
    return "".join(f"/{draw.choice(NAMES)}" for _ in range(draw.randint(1, 4)))


def is_torn(paths) -> bool:
    return any(other.startswith(path + "/") for path in paths for other in paths)


@pytest.mark.parametrize("seed", range(200))
def test_a_file_where_a_folder_is_makes_a_tree_unfit(seed):
    draw = random.Random(seed)
    paths = {drawn_path(draw) for _ in range(draw.randint(0, 6))}
    assert bool(trees.fault(tree(*paths))) == is_torn(paths)


def test_the_sentence_names_the_first_file_that_lies_below_one():
    found = trees.fault(tree("/x/y/z", "/x/y", "/x/y/a"))
    assert found == "path /x/y is both a file and a directory: /x/y/z lies below it"


@pytest.mark.parametrize("seed", range(100))
def test_changes_one_after_the_other_are_what_a_dictionary_of_bytes_makes_of_them(seed):
    draw = random.Random(seed)
    plain: dict[str, bytes] = {}
    changes = []
    for _ in range(draw.randint(1, 12)):
        path, content = drawn_path(draw), draw.choice((b"", b"1", b"22"))
        match draw.choice(("put", "set", "del", "tree")):
            case "put":
                plain[path] = plain.get(path, b"") + content
                changes.append(trees.put(path, part(content)))
            case "set":
                plain[path] = content
                changes.append(Change("set", path, DEFAULT_TAG, *part(content)))
            case "del":
                plain.pop(path, None)
                changes.append(Change("del", path, DEFAULT_TAG))
            case _:
                plain = {p: c for p, c in plain.items() if not p.startswith(path + "/")}
                changes.append(Change("del", path + "/", DEFAULT_TAG))
    made = trees.apply({}, changes)
    contents = {part(c): c for c in (b"", b"1", b"22")}
    assert {p: b"".join(contents[x] for x in tags[DEFAULT_TAG]) for p, tags in made.items()} == plain
    assert all(EMPTY not in tags[DEFAULT_TAG] or tags[DEFAULT_TAG] == (EMPTY,) for tags in made.values())
    assert trees.size_of(made) == sum(map(len, plain.values()))
    assert trees.apply({}, [tuple(change) for change in changes]) == made
