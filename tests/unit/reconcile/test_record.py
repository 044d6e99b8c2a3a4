"""What an entry says, what names it, and what of a history came true."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cdl.api.canonical import canonical
from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import APPLIED_BY_ANNOTATION, Key
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.api.v1alpha1.resource import Status
from cdl.reconcile import record
from cdl.reconcile.history import stood
from cdl.reconcile.record import ABSENT, PLATFORM, UNKNOWN, Entry
from cdl.reconcile.summary import busy, fact, stamped
from cdl.testing.builders import pipeline, release, release_document

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EMPTY = Status()


def status(*conditions, transitions=0, at=NOW):
    return Status(conditions=stamped((), conditions, at), transitions=transitions)


TRAINING, QUEUED = (busy(reason, "…") for reason in (Reason.TRAINING, Reason.QUEUED))


def names(*entries):
    return [entry.key for entry in entries]


def test_the_same_change_told_again_later_has_the_same_name():
    first, again = (record.transitions(pipeline(), EMPTY, status(TRAINING), at) for at in (NOW, LATER))
    assert names(*first) == names(*again)
    assert first[0].at != again[0].at


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (status(QUEUED), status(TRAINING)),
        (EMPTY, status(QUEUED)),
        (EMPTY.model_copy(update={"transitions": 2}), status(TRAINING)),
        (status(TRAINING), EMPTY),
        (status(QUEUED, at=LATER), status(TRAINING)),
    ],
)
def test_another_change_has_another_name(before, after):
    (one,) = record.transitions(pipeline(), EMPTY, status(TRAINING), NOW)
    (other,) = record.transitions(pipeline(), before, after, NOW)
    assert one.key != other.key


def test_only_what_changed_is_told():
    ready = fact(ConditionType.DATA_READY, holds=True, reason=Reason.DATASET_READY)
    said = busy(Reason.TRAINING, "another sentence")
    (told,) = record.transitions(pipeline(), status(TRAINING), status(said, ready), NOW)
    assert told.details == {"condition": "DataReady", "from": [ABSENT, ""], "to": ["True", "DatasetReady"]}


def test_a_condition_that_goes_is_told():
    (told,) = record.transitions(pipeline(), status(TRAINING), EMPTY, NOW)
    assert (told.what, told.details["from"]) == ("Reconciling absent", ["True", "Training"])


def test_a_status_counts_how_often_it_changed_its_answers():
    once = record.counted(EMPTY, status(TRAINING))
    same = record.counted(once, status(TRAINING, at=LATER))
    twice = record.counted(once, status(QUEUED))
    assert [s.transitions for s in (once, same, twice)] == [1, 1, 2]


@dataclass(frozen=True)
class Wish:
    name: str
    code: str


@dataclass(frozen=True)
class Do:
    key: str
    wish: Wish
    many: tuple[str, ...] = ()
    side: ConditionType = ConditionType.READY


def test_an_action_is_told_by_its_plain_fields_and_named_by_all_of_it():
    action = Do("k1", Wish("clean", "c" * 1000), ("a",))
    told = record.asked(pipeline(), action, EMPTY, NOW)
    assert (told.what, told.details) == ("Do", {"key": "k1", "wish": {"name": "clean"}, "side": "Ready"})
    others = [Do("k1", Wish("clean", "d" * 1000), ("a",)), Do("k1", Wish("clean", "c" * 1000), ("b",))]
    assert told.key not in [record.asked(pipeline(), other, EMPTY, NOW).key for other in others]
    assert told.key == record.asked(pipeline(), action, EMPTY, LATER).key
    assert told.key != record.asked(pipeline(), action, EMPTY.model_copy(update={"transitions": 1}), NOW).key


def test_an_entry_is_canonical_json_and_reads_back_the_same():
    told = record.applied(pipeline(), NOW)
    assert canonical(json.loads(told.text())).decode() == told.text()
    assert Entry.model_validate_json(told.text()) == told


def test_what_no_database_can_hold_is_replaced():
    said = busy(Reason.TRAINING, "null \0 and half \ud800 a character")
    (told,) = record.transitions(pipeline(), EMPTY, status(said), NOW)
    assert told.why == "Training: null \ufffd and half ? a character"
    told.text()


def test_a_document_that_is_wrong_is_told_of_by_what_can_be_read():
    meta = {"uid": "u7", "generation": 3, "annotations": {APPLIED_BY_ANNOTATION: "ada"}, "name": "X" * 90}
    subject = record.unread(Key("DataPipeline", "away", "X" * 90), meta)
    (told,) = record.transitions(subject, EMPTY, status(TRAINING), NOW)
    assert (told.namespace, told.uid, told.generation) == ("away", "u7", 3)


@pytest.mark.parametrize(
    ("state", "who", "at"),
    [
        (ApprovalState.APPROVED, "maria", NOW),
        (ApprovalState.REJECTED, "maria", NOW),
        (ApprovalState.VOID, PLATFORM, LATER),
    ],
)
def test_who_decided_is_a_person_unless_time_or_change_did(state, who, at):
    approval = ApprovalStatus(state=state, by="maria", at=NOW, digest="d", reason="why not")
    told = record.decided(release(), approval, LATER)
    assert (told.who, told.at, told.what, told.why) == (who, at, state.value, "why not")
    assert told.details["release"]["approval"]["state"] == state.value


def test_a_decision_of_nobody_is_nobodys():
    assert record.decided(release(), ApprovalStatus(state=ApprovalState.APPROVED), NOW).who == UNKNOWN


def test_a_release_that_was_not_stored_has_no_time():
    from cdl.api.v1alpha1 import Release

    with pytest.raises(ValueError, match="was not stored yet"):
        record.released(Release.read(release_document()))


def becomes(*answers):
    """Entries of one condition that go from answer to answer; a pair begins somewhere else."""
    made, before = [], ABSENT
    for answer in answers:
        start, end = answer if isinstance(answer, tuple) else (before, answer)
        (entry,) = record.transitions(pipeline(), EMPTY, status(TRAINING, transitions=len(made)), NOW)
        made.append(entry.model_copy(update={"details": {"condition": "Ready", "from": [start], "to": [end]}}))
        before = end
    return made


@pytest.mark.parametrize(
    ("answers", "gone"),
    [
        (("A", "B", "C"), []),
        (("A", "B", ("A", "C")), [1]),
        (("A", "B", "C", ("A", "D"), "E"), [1, 2]),
        (("A", ("A", "B")), []),
        (((ABSENT, "A"), (ABSENT, "B")), [0]),
    ],
)
def test_a_change_that_was_told_and_never_written_is_left_out(answers, gone):
    told = becomes(*answers)
    assert [n for n, entry in enumerate(told) if entry not in stood(told)] == gone


def test_of_the_last_change_the_resource_itself_can_tell():
    told = becomes("A", "B", "C")
    said = status(TRAINING)
    assert stood(told, {told[0].uid: said}) == tuple(told), "what led to that answer is not known yet"
    never = [told[0].model_copy(update={"details": told[0].details | {"from": [ABSENT, ""]}})]
    assert stood(never, {told[0].uid: said}) == (), "the resource has no such condition, and never had"
    last = told[1].model_copy(
        update={"details": {"condition": "Reconciling", "from": ["A"], "to": ["True", "Training"]}}
    )
    unwritten = last.model_copy(
        update={"details": last.details | {"from": ["True", "Training"], "to": ["True", "Queued"]}}
    )
    assert stood([last, unwritten], {last.uid: said}) == (last,)
    assert stood([last, unwritten], {"somebody else": said}) == (last, unwritten)


def test_two_conditions_and_other_entries_do_not_disturb_each_other():
    first = becomes("A", "B")
    other = [entry.model_copy(update={"details": entry.details | {"condition": "Trained"}}) for entry in becomes("X")]
    wish = record.applied(pipeline(), NOW)
    assert stood([first[0], *other, wish, first[1]]) == (first[0], *other, wish, first[1])
