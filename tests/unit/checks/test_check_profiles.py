"""Histograms that add up, fingerprints that find copies, and checks about a whole dataset."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.checks import checks_in
from cdl.checks.images import Picture
from cdl.checks.prints import overlap, print_of
from cdl.checks.profile import Profile, bucket, outline, together
from cdl.checks.whole import Whole, broken_whole

VALUES = st.one_of(st.none(), st.integers(-1000, 1000), st.floats(-1e6, 1e6), st.text(max_size=8), st.booleans())
WORDS = [f"word{n}" for n in range(500)]


def profile(rows):
    made = Profile()
    for row in rows:
        made.add(row)
    return made.document()


def prints(**texts):
    return {name: print_of(text.encode(), text) for name, text in texts.items()}


@pytest.mark.parametrize(
    ("value", "low"),
    [(0, 0), (1, 1), (1.99, 1), (2, 2), (7, 5), (10, 10), (999, 500), (1000, 1000), (-3, -2), (0.03, 0.02)],
)
def test_a_number_falls_into_a_bucket_of_one_two_five(value, low):
    assert bucket(value) == pytest.approx(low)


@given(st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-9))
def test_a_bucket_is_never_far_below_its_number(value):
    low = abs(bucket(value))
    assert low <= abs(value) * (1 + 1e-5)
    assert abs(value) <= low * 2.5 * (1 + 1e-5)


@given(st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES})), st.integers(0, 20))
def test_profiles_of_parts_add_up_to_the_profile_of_the_whole(rows, cut):
    whole, parts = profile(rows), together([profile(rows[:cut]), profile(rows[cut:])])
    assert parts.keys() == whole.keys()
    for name, told in parts.items():
        assert told.pop("sum", 0) == pytest.approx(whole[name].pop("sum", 0))
        assert told == whole[name]


def test_junk_in_a_profile_counts_nothing():
    assert together([None, 3, {"a": 3}, {"a": {"count": "many", "types": 3, "buckets": {"x": 1}}}])["a"]["count"] == 0


def test_an_outline_says_what_kind_of_values_there_are():
    rows = [
        {"label": "b", "text": "12", "price": "1", "size": "1.5", "image": Picture("png", "L", 2, 2), "mixed": "x"},
        {"label": "a", "text": "hi", "price": "2", "size": "1", "image": Picture("png", "RGB", 3, 2), "mixed": "1"},
    ]
    assert outline(profile(rows)) == {
        "image": "picture L/RGB",
        "label": "one of a, b",
        "mixed": "text",
        "price": "integer",
        "size": "number",
        "text": "text",
    }


def text(seed, words=300):
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_an_equal_item_on_the_other_side_is_found_by_its_bytes():
    seen = overlap(prints(a=text(1), b=text(2)), prints(c=text(2), d=text(3)))
    assert (seen.items, seen.same, seen.near, seen.share) == (2, 1, 0, 0.5)
    assert [(t.item, t.other, t.likeness) for t in seen.examples] == [("b", "c", 1.0)]


def test_a_nearly_equal_text_is_found_and_a_different_one_is_not():
    original = text(1)
    edited = original.replace(original.split()[150], "changed", 1) + " one more sentence at the end"
    seen = overlap(prints(a=edited, b=text(2)), prints(c=original, d=text(3)), near=0.7)
    assert (seen.same, seen.near) == (0, 1)
    assert (seen.examples[0].item, seen.examples[0].other) == ("a", "c")
    assert overlap(prints(a=edited), prints(c=original)).near == 0


def test_upper_case_and_blanks_make_no_other_text():
    assert overlap(prints(a=text(1).upper()), prints(b=text(1).replace(" ", "\n ")), near=0.99).near == 1


def test_texts_without_words_are_like_nobody():
    assert overlap(prints(a=""), prints(b="..."), near=0.1).near == 0


@pytest.mark.parametrize("shared", [0, 100, 200, 300])
def test_the_likeness_is_about_the_share_of_common_runs(shared):
    one, other = text(1, shared) + " " + text(2, 300 - shared), text(1, shared) + " " + text(3, 300 - shared)
    expected = shared / (600 - shared)
    found = overlap(prints(a=one), prints(b=other), near=0.01).examples
    assert (found[0].likeness if found else 0) == pytest.approx(expected, abs=0.25)


def whole(check, **found):
    return broken_whole(checks_in([{"name": "c", **check}])[0], Whole(**found))


def test_checks_about_a_whole_dataset_have_one_sentence_each():
    assert whole({"rows": {"min": 5}}, rows=4) == "check c: found 4 rows, allowed: at least 5"
    assert whole({"rows": {"max": 3}}, rows=4) == "check c: found 4 rows, allowed: at most 3"
    assert whole({"rows": {"min": 4, "max": 4}}, rows=4) is None
    said = whole({"rejected": {"maxFraction": 0.1}}, rows=8, rejected=2)
    assert said == "check c: 2 of 10 items rejected (20.0%), allowed: at most 10.0%"
    assert whole({"rejected": {"maxFraction": 0.2}}, rows=8, rejected=2) is None


def test_an_overlap_beyond_what_is_allowed_names_an_example():
    seen = overlap(prints(a=text(1), b=text(2)), prints(c=text(2)))
    assert whole({"duplicates": {"maxFraction": 0}}, overlap=seen) == (
        "check c: 1 of 2 test items are on the train side too (50.0%), as b and c, allowed: at most 0.0%"
    )
    assert whole({"duplicates": {"maxFraction": 0.5}}, overlap=seen) is None
    assert "nobody has taken the items' fingerprints" in whole({"duplicates": {"maxFraction": 1}})


@pytest.mark.parametrize(
    ("before", "now", "same", "compatible"),
    [
        ({}, {"a": "text"}, None, None),
        ({"a": "text"}, {"a": "text"}, None, None),
        ({"a": "integer"}, {"a": "text"}, "field a is text, allowed: integer", "field a is text, allowed: integer"),
        ({"a": "text", "b": "text"}, {"a": "text"}, "field b is gone, allowed: text", "field b is gone"),
        ({"a": "text"}, {"a": "text", "b": "text"}, "field b is new (text), allowed: the fields", None),
    ],
)
def test_a_schema_drifts_from_the_last_version(before, now, same, compatible):
    for word, expected in (("same", same), ("compatible", compatible)):
        said = whole({"schema": word}, before=before, outline=now)
        assert (said is None) == (expected is None)
        assert said is None or expected in said
