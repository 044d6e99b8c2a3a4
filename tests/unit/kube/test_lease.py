"""What a candidate does about a record: every case, then any case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.kube.lease import (
    Move,
    Record,
    Sighting,
    Terms,
    document,
    free_at,
    move,
    read,
    released,
    sighted,
    taken,
)

AT = datetime(2026, 3, 1, 12, 0, 0, 120, UTC)
LATER = datetime(2026, 3, 1, 12, 0, 2, 0, UTC)
OTHERS = Record(holder="other", duration=15, acquired="then", renewed="t0", transitions=3)
MINE = replace(OTHERS, holder="me")

RECORDS = st.builds(
    Record,
    holder=st.sampled_from(["", "me", "other", "third"]),
    duration=st.integers(0, 30),
    acquired=st.sampled_from(["a", "b"]),
    renewed=st.sampled_from(["t0", "t1", "t2"]),
    transitions=st.integers(0, 3),
)
TIMES = st.floats(0, 1000, allow_nan=False)


@pytest.mark.parametrize(
    ("seen", "now", "expected"),
    [
        (Sighting(None, 100), 100, Move.CREATE),
        (Sighting(None, 100, missed=True), 114.9, Move.WAIT),
        (Sighting(None, 100, missed=True), 115, Move.CREATE),
        (Sighting(OTHERS, 100), 100, Move.WAIT),
        (Sighting(OTHERS, 100), 114.9, Move.WAIT),
        (Sighting(OTHERS, 100), 115, Move.CLAIM),
        (Sighting(replace(OTHERS, duration=60), 100), 115, Move.WAIT),
        (Sighting(replace(OTHERS, duration=3), 100), 103, Move.CLAIM),
        (Sighting(replace(OTHERS, duration=0), 100), 114.9, Move.WAIT),
        (Sighting(replace(OTHERS, duration=0), 100), 115, Move.CLAIM),
        (Sighting(replace(OTHERS, holder=""), 100), 100, Move.CLAIM),
        (Sighting(MINE, 100), 100, Move.RENEW),
        (Sighting(MINE, 100), 500, Move.RENEW),
    ],
)
def test_what_is_done_about_a_record(seen, now, expected):
    assert move("me", seen, now, 15) is expected


@given(RECORDS | st.none(), st.booleans(), TIMES, TIMES)
def test_nobody_moves_before_the_record_is_free_and_everybody_after(record, missed, since, now):
    seen = Sighting(record, since, missed and record is None)
    assert (move("me", seen, now, 15) is Move.WAIT) == (now < free_at("me", seen, 15))


@given(RECORDS, TIMES, TIMES)
def test_a_record_of_somebody_else_is_never_taken_within_its_term(record, since, after):
    if record.holder in {"", "me"}:
        return
    claimed = move("me", Sighting(record, since), since + after, 15) is Move.CLAIM
    assert claimed == (since + after >= since + (record.duration or 15))


@given(st.lists(st.tuples(RECORDS | st.none(), st.floats(0, 10)), min_size=1))
def test_a_sighting_is_as_old_as_the_last_change_that_was_seen(looks):
    seen, now, changed, before = None, 0.0, 0.0, object()
    for record, pause in looks:
        now += pause
        seen = sighted("me", seen, record, now)
        if record != before:
            changed, before = now, record
        assert (seen.since, seen.record) == (changed, record)


def test_a_newer_version_of_an_equal_record_is_kept_but_is_no_sign_of_life():
    old, new = replace(OTHERS, raw={"v": 1}), replace(OTHERS, raw={"v": 2})
    seen = sighted("me", sighted("me", None, old, 100), new, 110)
    assert (seen.since, seen.record.raw) == (100, {"v": 2})


@pytest.mark.parametrize(("holder", "missed"), [("other", True), ("me", False), ("", False)])
def test_only_a_record_of_somebody_else_is_missed(holder, missed):
    seen = sighted("me", Sighting(replace(OTHERS, holder=holder), 100), None, 120)
    assert seen == Sighting(None, 120, missed)
    assert sighted("me", seen, None, 130) == seen


def test_who_takes_a_record_over_begins_a_term_and_counts_it():
    now = taken("me", OTHERS, AT, 15)
    moment = "2026-03-01T12:00:00.000120Z"
    assert now == Record(holder="me", duration=15, acquired=moment, renewed=moment, transitions=4)


def test_who_renews_goes_on_with_the_term():
    first = taken("me", None, AT, 14.2)
    then = taken("me", first, LATER, 14.2)
    assert (first.transitions, first.duration) == (0, 15)
    assert then == replace(first, renewed="2026-03-01T12:00:02.000000Z")


def test_who_releases_leaves_a_record_that_anybody_may_take():
    left = released(MINE, AT)
    assert (left.holder, left.duration, left.transitions) == ("", 1, 3)
    assert move("third", Sighting(left, 100), 100, 15) is Move.CLAIM


def test_what_was_written_reads_the_same():
    record = taken("me", OTHERS, AT, 15)
    assert read(document(record, "cdl-system", "cdl-operator")) == record


def test_other_peoples_fields_stay():
    raw = {
        "metadata": {"name": "l", "namespace": "n", "resourceVersion": "7", "labels": {"a": "b"}, "managedFields": []},
        "spec": {"holderIdentity": "other", "strategy": "OldestEmulationVersion"},
    }
    made = document(taken("me", read(raw), AT, 15), "n", "l")
    assert made["metadata"] == {"name": "l", "namespace": "n", "resourceVersion": "7", "labels": {"a": "b"}}
    assert made["spec"]["strategy"] == "OldestEmulationVersion"
    assert made["spec"]["holderIdentity"] == "me"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"spec": None},
        {"spec": {"holderIdentity": None, "leaseDurationSeconds": None}},
        {"spec": {"holderIdentity": 7, "leaseDurationSeconds": "15", "leaseTransitions": True, "renewTime": 3}},
        {"spec": {"leaseDurationSeconds": -4}},
    ],
)
def test_a_record_that_says_nothing_readable_is_nobodys(raw):
    assert read(raw) == Record()


@pytest.mark.parametrize("terms", [(15, 15, 2), (10, 15, 2), (15, 2, 2), (15, 10, 0), (15, 10, -1)])
def test_terms_under_which_two_could_lead_are_refused(terms):
    with pytest.raises(ValueError, match=r"lease: found duration .* each must be greater than the next"):
        Terms(*terms)
