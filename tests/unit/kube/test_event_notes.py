"""What people are told of a change of status, and what they are spared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.kube.events import SENTENCES, Note, conditions_of, events_of
from cdl.reconcile.summary import busy, fact, settled, stalled

T = ConditionType
CONDITIONS = st.lists(
    st.builds(
        Condition,
        type=st.sampled_from(T),
        status=st.sampled_from(["True", "False", "Unknown"]),
        reason=st.sampled_from(Reason),
        message=st.sampled_from(["", "one", "two"]),
    ),
    unique_by=lambda condition: condition.type,
).map(tuple)


def status(*conditions, success=Reason.SUCCEEDED, message=""):
    return settled(conditions, 1, success, message)


NOTHING = ()
WORKING = status(busy(Reason.TRAINING, "2 of 5 trials done"))
READY = status(fact(T.SERVING, holds=True, reason=Reason.AVAILABLE, message="news-1 answers"), message="news-1 answers")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(NOTHING, WORKING, [], id="work that begins"),
        pytest.param(WORKING, status(busy(Reason.EVALUATING, "measuring")), [], id="work that goes on"),
        pytest.param(
            WORKING,
            READY,
            [Note("Normal", "Available", "news-1 answers")],
            id="ready, said once although two conditions say it",
        ),
        pytest.param(
            WORKING,
            status(fact(T.TRAINED, holds=True, reason=Reason.TRAINING_DONE), message="released"),
            [
                Note("Normal", "TrainingDone", "the run ended with a checkpoint"),
                Note("Normal", "Succeeded", "released"),
            ],
            id="a stage, then the summary",
        ),
        pytest.param(
            NOTHING,
            status(
                fact(T.APPROVED, holds=True, reason=Reason.APPROVED_BY_PERSON, message="by vera"),
                success=Reason.APPROVED_BY_PERSON,
                message="approved by vera",
            ),
            [Note("Normal", "ApprovedByPerson", "by vera")],
            id="a decision, said once although the summary has other words for it",
        ),
        pytest.param(
            status(fact(T.RELEASED, holds=True, reason=Reason.RELEASE_WRITTEN, message="news-1"), message="done"),
            status(fact(T.RELEASED, holds=True, reason=Reason.RELEASE_WRITTEN, message="news-2"), message="done"),
            [Note("Normal", "ReleaseWritten", "news-2")],
            id="another release",
        ),
        pytest.param(READY, READY, [], id="nothing"),
        pytest.param(
            READY, tuple(c.model_copy(update={"message": "another"}) for c in READY), [], id="another message"
        ),
        pytest.param(
            READY, status(busy(Reason.DEPLOYING, "bringing news-2 up"), READY[1]), [], id="work that begins again"
        ),
        pytest.param(
            WORKING,
            status(stalled(Reason.RUN_FAILED, "run 7: boom"), fact(T.TRAINED, False, Reason.RUN_FAILED, "run 7: boom")),
            [Note("Warning", "RunFailed", "run 7: boom")],
            id="a failure, said once although three conditions say it",
        ),
        pytest.param(
            WORKING,
            status(busy(Reason.ENGINE_UNAVAILABLE, "Determined does not answer")),
            [Note("Warning", "EngineUnavailable", "Determined does not answer")],
            id="an engine that is away",
        ),
        pytest.param(
            WORKING,
            status(busy(Reason.WAITING_FOR_APPROVAL, "cdl approve news-1")),
            [Note("Normal", "WaitingForApproval", "cdl approve news-1")],
            id="somebody is asked",
        ),
        pytest.param(
            READY,
            status(fact(T.SERVING, False, Reason.DEPLOYMENT_FAILED, "it crashed"), message="not at all"),
            [Note("Warning", "DeploymentFailed", "it crashed")],
            id="a stage that is lost while the summary stays",
        ),
        pytest.param(
            READY,
            status(READY[1], success=Reason.SUSPENDED, message="suspended"),
            [Note("Normal", "Suspended", "suspended")],
            id="suspended",
        ),
        pytest.param(
            status(stalled(Reason.INVALID_SPEC, "spec.a: no")),
            status(stalled(Reason.NOT_PERMITTED, "log in")),
            [Note("Warning", "NotPermitted", "log in")],
            id="another thing to fix",
        ),
        pytest.param(status(stalled(Reason.INVALID_SPEC, "spec.a: no")), WORKING, [], id="a thing that was fixed"),
        pytest.param(
            NOTHING, status(fact(T.SERVING, None, Reason.AVAILABLE, "?"), busy(Reason.QUEUED, "")), [], id="?"
        ),
        pytest.param(
            NOTHING,
            (Condition(type=T.RECONCILING, status="False", reason=Reason.ENGINE_UNAVAILABLE),),
            [],
            id="trouble that is not",
        ),
    ],
)
def test_what_a_change_of_status_tells(before, after, expected):
    assert list(events_of(before, after)) == expected


@given(CONDITIONS, CONDITIONS)
def test_every_note_is_a_sentence_said_once_and_about_something_that_changed(before, after):
    notes = events_of(before, after)
    assert len({note.message for note in notes}) == len(notes)
    assert all(note.message for note in notes)
    changed = {(c.type, c.status, c.reason) for c in after} - {(c.type, c.status, c.reason) for c in before}
    assert {note.reason for note in notes} <= {reason.value for _, _, reason in changed}
    assert events_of(after, after) == ()


def test_every_condition_has_a_sentence_of_its_own():
    assert set(SENTENCES) == set(T)
    assert len(set(SENTENCES.values())) == len(T)


def test_conditions_are_read_as_an_api_server_keeps_them():
    document = {"status": {"conditions": [c.model_dump(mode="json", by_alias=True) for c in READY]}}
    assert conditions_of(document) == READY


@pytest.mark.parametrize(
    "document", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": [{"type": "Odd"}]}}, {"status": 3}]
)
def test_what_is_no_list_of_our_conditions_says_nothing(document):
    assert conditions_of(document) == ()
