"""The Ready table, and how conditions age."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus
from cdl.reconcile.summary import (
    BLOCKERS,
    busy,
    fact,
    ready,
    remembered,
    settled,
    stalled,
    stamped,
    suspended,
    troubled,
)
from tests.unit.reconcile.facts import AT

STALLED = stalled(Reason.RUN_FAILED, "a trial raised")
BUSY = busy(Reason.TRAINING, "two trials run")
TRAINED = fact(ConditionType.TRAINED, holds=False, reason=Reason.RUN_FAILED)
LATER = AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("conditions", "answer", "reason", "message"),
    [
        ((), "True", Reason.SUCCEEDED, "all is well"),
        ((TRAINED,), "True", Reason.SUCCEEDED, "all is well"),
        ((BUSY,), "Unknown", Reason.TRAINING, "two trials run"),
        ((STALLED,), "False", Reason.RUN_FAILED, "a trial raised"),
        ((BUSY, STALLED), "False", Reason.RUN_FAILED, "a trial raised"),
        ((STALLED, BUSY, TRAINED), "False", Reason.RUN_FAILED, "a trial raised"),
        ((STALLED.model_copy(update={"status": "False"}), BUSY), "Unknown", Reason.TRAINING, "two trials run"),
        ((BUSY.model_copy(update={"status": "Unknown"}),), "True", Reason.SUCCEEDED, "all is well"),
    ],
)
def test_ready_sums_the_other_conditions_up(conditions, answer, reason, message):
    summary = ready(conditions, Reason.SUCCEEDED, "all is well")
    assert (summary.type, summary.status) == (ConditionType.READY, answer)
    assert (summary.reason, summary.message) == (reason, message)


def test_what_a_person_must_fix_outranks_what_time_will_fix():
    assert [kind for kind, _ in BLOCKERS] == [ConditionType.STALLED, ConditionType.RECONCILING]


def test_the_summary_comes_first_and_everything_is_about_one_generation():
    conditions = settled((TRAINED, BUSY), 3, Reason.SUCCEEDED)
    assert [c.type for c in conditions] == [ConditionType.READY, ConditionType.TRAINED, ConditionType.RECONCILING]
    assert {c.observed_generation for c in conditions} == {3}


@pytest.mark.parametrize(("holds", "answer"), [(True, "True"), (False, "False"), (None, "Unknown")])
def test_a_fact_holds_or_not_or_nobody_knows(holds, answer):
    assert fact(ConditionType.SERVING, holds, Reason.AVAILABLE).status == answer


def test_a_condition_keeps_its_time_while_its_answer_stays():
    before = stamped((), (BUSY,), AT)
    assert before[0].last_transition_time == AT
    other_words = BUSY.model_copy(update={"message": "one trial runs"})
    assert stamped(before, (other_words,), LATER)[0].last_transition_time == AT
    assert stamped(before, (BUSY.model_copy(update={"status": "False"}),), LATER)[0].last_transition_time == LATER


def test_a_condition_without_a_time_gets_one():
    assert stamped((BUSY,), (BUSY,), LATER)[0].last_transition_time == LATER


def test_history_says_each_thing_once_in_a_row_and_ends_at_ten():
    history = ()
    for n in range(12):
        for _ in range(2):
            history = remembered(history, AT, "dataset", "abc", f"sha256:{n}")
    assert [e.digest for e in history] == [f"sha256:{n}" for n in range(2, 12)]
    assert remembered(history, LATER, "dataset", "", "sha256:2")[-1].at == LATER


def of(*conditions):
    return DataPipelineStatus(conditions=settled(conditions, 1, Reason.SUCCEEDED), progress="2/4")


def test_suspending_keeps_facts_and_drops_what_is_going_on():
    status = suspended(of(STALLED, BUSY, TRAINED), 2)
    assert [(c.type, c.reason) for c in status.conditions] == [
        (ConditionType.READY, Reason.SUSPENDED),
        (ConditionType.TRAINED, Reason.RUN_FAILED),
    ]
    assert (status.observed_generation, status.progress) == (2, "2/4")


@pytest.mark.parametrize("trouble", [STALLED, BUSY])
def test_trouble_takes_the_place_of_what_was_going_on(trouble):
    status = troubled(of(BUSY, STALLED, TRAINED), 2, trouble)
    assert [c.type for c in status.conditions] == [ConditionType.READY, trouble.type, ConditionType.TRAINED]
    assert status.conditions[0].reason is trouble.reason
    assert (status.observed_generation, status.progress) == (2, "2/4")


def test_every_condition_says_something_a_person_can_read():
    for reason in Reason:
        assert reason.value[0].isupper()
        assert reason.value.isalnum()
    assert Condition(type=ConditionType.READY, status="True", reason=Reason.SUCCEEDED).message == ""
