"""What each word about an item asks, and the sentence for whoever broke it."""

from __future__ import annotations

import math
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.checks import BrokenError, Judge, WrongCheckError, checks_in
from cdl.checks.images import Picture
from cdl.checks.rules import type_of

RGB = Picture("png", "RGB", 28, 30)


def broken(value, **asks):
    """The sentence for one value of field x; empty when it keeps the check."""
    judge = Judge.of([{"name": "c", "field": "x", **asks}])
    try:
        judge.hold({"x": value})
    except BrokenError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("asks", "good", "bad", "said"),
    [
        ({"type": "integer"}, [1, "1", " -7 ", 2.0], ["1.5", "one", True], "an integer"),
        ({"type": "number"}, [1, 1.5, "1e3", "-2"], ["x", "nan", "inf", False], "a number"),
        ({"type": "boolean"}, [True, "true", "No", "0", 1], ["2", "maybe", 2], "a boolean"),
        ({"type": "date"}, ["2026-11-22", date(2026, 1, 1)], ["22.11.2026", "2026-02-30"], "a date"),
        ({"type": "datetime"}, ["2026-11-22T01:02:03", datetime(2026, 1, 1), "2026-11-22"], ["now"], "a datetime"),  # noqa: DTZ001 - a table's times name no zone
        ({"type": "text"}, ["a", "1", "2026-11-22"], [1, 1.5], "text"),
        ({"range": {"min": 0}}, [0, "0.5", 10**9], [-1, "-0.1", "x"], "a number from 0"),
        ({"range": {"max": 5}}, [5, -10], [5.1, math.inf, math.nan], "a number to 5"),
        ({"range": {"min": 1, "max": 2}}, ["1", 2], [0, 3], "a number from 1 to 2"),
        ({"minLength": 3}, ["abc", " abcd ", [1, 2, 3]], ["ab", "  ab  ", [1]], "at least 3"),
        ({"maxLength": 3}, ["abc", " abc ", b"abc"], ["abcd", b"abcd"], "at most 3"),
        ({"oneOf": ["a", "b"]}, ["a", "b"], ["c", "", "A"], "one of a, b"),
        ({"regex": "[a-z]+"}, ["abc"], ["abc1", "", "abc\n"], "a match of [a-z]+"),
        ({"encoding": "utf-8"}, [b"\xc3\xbc", b""], [b"\xfc"], "text in utf-8"),
        ({"encoding": "ascii"}, [b"plain"], [b"\xc3\xbc"], "text in ascii"),
        ({"encoding": "utf-16"}, ["ü".encode("utf-16")], [b"\xff\xfea"], "text in utf-16"),
        ({"extension": [".txt", "md"]}, ["a/b.txt", "b.md"], ["a.TXT", "a", "a.txt/b", ".txt"], "extension .txt, md"),
        ({"image": {}}, [RGB], ["", b"x"], "a PNG, JPEG, GIF, BMP, WebP or PNM file"),
        ({"image": {"mode": ["L", "RGB"]}}, [RGB], [Picture("gif", "P", 1, 1)], "mode L or RGB"),
        ({"image": {"width": {"min": 28, "max": 28}}}, [RGB], [Picture("png", "RGB", 27, 30)], "width from 28 to 28"),
        ({"image": {"height": {"max": 30}}}, [RGB], [Picture("png", "RGB", 28, 31)], "height to 30"),
    ],
)
def test_a_word_accepts_and_refuses(asks, good, bad, said):
    assert [value for value in good if broken(value, **asks)] == []
    assert [value for value in bad if not broken(value, **asks)] == []
    assert broken(bad[0], **asks).endswith(f", allowed is {said}")


def test_the_sentence_says_which_check_which_field_and_what_was_found():
    assert broken("-3", range={"min": 0}) == 'check c found x "-3", allowed is a number from 0'
    assert broken(b"caf\xe9", encoding="utf-8") == "check c found x byte 0xe9 at 3, allowed is text in utf-8"
    assert broken("hi", minLength=3) == "check c found x 2 characters, allowed is at least 3"
    assert broken(RGB, image={"mode": ["L"]}) == "check c found x mode RGB, allowed is mode L"


@given(st.text() | st.binary() | st.floats() | st.integers())
def test_what_a_sentence_quotes_stays_short(value):
    assert len(broken(value, oneOf=[])) <= len("check c found x , allowed is one of ") + 42


def test_only_not_null_asks_whether_there_is_a_value():
    assert not broken(None, minLength=3, type="integer", unique=True)
    for nothing in (None, "", " \n", b"", math.nan):
        assert "found x nothing, allowed is some content" in broken(nothing, notNull=["x"])
    assert not any(broken(something, notNull="x") for something in (0, False, "0", b"0"))


def test_a_field_that_a_row_does_not_know_is_told_by_name():
    judge = Judge.of([{"name": "c", "field": "prize", "minLength": 1}])
    with pytest.raises(BrokenError, match="check c found prize no such field, allowed is one of label, price"):
        judge.hold({"price": "1", "label": "x"})


def test_a_second_equal_value_is_told_of_the_first():
    judge = Judge.of([{"name": "c", "field": "x", "unique": True}])
    judge.hold({"x": "a"}, "row 1")
    judge.hold({"x": "b"}, "row 2")
    judge.hold({"x": None}, "row 3")
    judge.hold({"x": None}, "row 4")
    with pytest.raises(BrokenError) as refused:
        judge.hold({"x": "a"}, "row 5")
    assert str(refused.value) == 'row 5: check c found x "a", as in row 1, allowed is a value that comes once'


def test_a_refused_row_does_not_make_the_next_one_a_copy():
    judge = Judge.of([{"name": "once", "field": "x", "unique": True}, {"name": "long", "field": "y", "minLength": 2}])
    assert [f.check for f in judge.judge({"x": "a", "y": ""})] == ["long"]
    assert judge.judge({"x": "a", "y": "fine"}) == ()
    assert [f.check for f in judge.judge({"x": "a", "y": "fine"})] == ["once"]


def test_warnings_let_the_next_check_look_and_a_refusal_ends_it():
    checks = [
        {"name": "odd", "field": "x", "minLength": 9, "onFail": "warn"},
        {"name": "bad", "field": "x", "oneOf": ["a"]},
        {"name": "never", "field": "x", "minLength": 99},
    ]
    found = Judge.of(checks).judge({"x": "b"})
    assert [(f.check, f.warns) for f in found] == [("odd", True), ("bad", False)]
    assert [f.check for f in Judge.of(checks[:1]).hold({"x": "b"})] == ["odd"]


def test_rows_are_held_one_after_the_other_and_counted():
    judge = Judge.of([{"name": "c", "field": "x", "range": {"min": 0}}, {"name": "rows", "rows": {"min": 99}}])
    assert judge.hold_all([{"x": 1}, {"x": 2}]) == 2
    with pytest.raises(BrokenError, match=r"^row 1: check c found x -1"):
        judge.hold_all([{"x": 1}, {"x": -1}])


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ({"minLenght": 3}, "check c: unknown word minLenght, allowed are name, field"),
        ({"minLength": 3}, "check c: minLength needs a field"),
        ({"field": 3, "minLength": 3}, "check c: field is 3, allowed is the name of one field"),
        ({"field": "x", "minLength": -1}, "check c: minLength is -1, allowed is a whole number from 0"),
        ({"field": "x", "type": "int"}, "check c: type is 'int', allowed is one of integer, number"),
        ({"field": "x", "range": {"from": 1}}, "check c: range is {'from': 1}, allowed is min, max or both"),
        ({"field": "x", "range": 3}, "check c: range is 3, allowed is min, max or both"),
        ({"field": "x", "regex": "("}, "check c: regex '(' cannot be compiled"),
        ({"encoding": "utf-7"}, "check c: encoding is 'utf-7', allowed is one of utf-8"),
        ({"image": {"depth": 3}}, "allowed is mode (a list such as L, RGB), width and height"),
        ({"image": {"width": 3}}, "allowed is min, max or both"),
        ({"field": "x", "unique": "yes"}, "check c: unique is 'yes', allowed is true or false"),
        ({"duplicates": {"maxFraction": 2}}, "allowed is maxFraction and near, from 0 to 1"),
        ({"schema": "strict"}, "check c: schema is 'strict', allowed is one of same, compatible"),
        ({"field": "x", "minLength": 1, "onFail": "stop"}, "check c: onFail is stop, allowed are reject, fail, warn"),
    ],
)
def test_a_wrong_check_is_answered_in_one_sentence(check, sentence):
    with pytest.raises(WrongCheckError) as refused:
        checks_in([{"name": "c", **check}])
    assert sentence in str(refused.value)


def test_a_word_that_says_what_it_is_about_needs_no_field():
    fields = [c.field for c in checks_in([{"encoding": "utf-8"}, {"image": {}}, {"extension": ".txt"}, {"rows": {}}])]
    assert fields == ["text", "image", "file", ""]


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates(), st.datetimes()))
def test_every_value_has_a_type_and_its_text_no_stranger_one(value):
    found = type_of(value)
    assert found in {"NoneType", "boolean", "integer", "number", "text", "date", "datetime"}
    if isinstance(value, int | date) and not isinstance(value, bool):
        assert type_of(str(value)) == found
