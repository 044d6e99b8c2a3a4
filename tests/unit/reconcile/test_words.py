"""What differs is said in the words of whoever changed it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.reconcile.words import changes, differences, few, moved, shown

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


def same(a, b):
    """As JSON: True is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


@given(a=PLAIN, b=PLAIN)
def test_a_difference_is_found_exactly_when_there_is_one(a, b):
    assert (not changes(a, b)) == same(a, b)


@given(a=PLAIN, b=PLAIN)
def test_the_other_way_round_the_same_places_differ(a, b):
    assert {d.path for d in differences(a, b)} == {d.path for d in differences(b, a)}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"hp": {"rate": 0.1}}, {"hp": {"rate": 0.05}}, "hp.rate: 0.1 -> 0.05"),
        ({}, {"a": 1}, "a: added, 1"),
        ({"a": None}, {}, "a: removed, was null"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a: [1, 2] -> [1, 3]"),
        ({"s": [{"n": "x"}]}, {"s": [{"n": "y"}]}, "s[0].n: x -> y"),
        ({"s": [{}]}, {"s": [{}, {"n": 1}]}, 's[1]: added, {"n": 1}'),
        ({"a": 1}, {"a": True}, "a: 1 -> true"),
        ({"a": [0]}, {"a": [False]}, "a: [0] -> [false]"),
        ({"a": ""}, {"a": " b"}, 'a: "" -> " b"'),
        ({"d": "a" * 64}, {"d": "sha256:" + "b" * 64}, "d: aaaaaaaa… -> sha256:bbbbbbbb…"),
    ],
)
def test_a_place_is_named_by_its_path(old, new, words):
    assert changes(old, new) == (words,)


def test_a_long_value_is_cut():
    assert shown("word-" * 40) == f"{('word-' * 40)[:59]}…"
    assert len(shown(list(range(100)))) == 60


def test_a_few_are_said_and_the_rest_is_counted():
    assert few(["a", "b"]) == ("a", "b")
    assert few([str(n) for n in range(9)]) == ("0", "1", "2", "3", "4", "and 4 more")


def test_a_digest_moves_from_nothing():
    assert moved(None, "c" * 64) == "nothing -> cccccccc…"
