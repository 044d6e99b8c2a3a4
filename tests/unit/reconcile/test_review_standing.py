"""A commit status says of a resource what any reader of its conditions says, and never that it is done too early."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.conditions import Reason
from cdl.api.meta import Key
from cdl.reconcile.gitops import State
from cdl.reconcile.review import Part, Standing, View, part_of, parts, settled, standing, status, statuses
from cdl.testing.builders import experiment
from tests.unit.reconcile import kstatus
from tests.unit.reconcile.every_status import EVERY, NAMES, written
from tests.unit.reconcile.review_rig import SHA

GOING_ON = {Standing.PENDING, Standing.RUNNING}
FITS = {
    kstatus.FAILED: {Standing.FAILED},
    kstatus.IN_PROGRESS: GOING_ON,
    kstatus.TERMINATING: {Standing.RUNNING},
    kstatus.CURRENT: {Standing.SUCCESS},
}
ANSWERS = st.sampled_from(["True", "False", "Unknown"])
CONDITIONS = st.lists(
    st.builds(
        lambda kind, answer, reason, message: {
            "type": kind,
            "status": answer,
            "reason": reason,
            "message": message,
            "observedGeneration": 1,
        },
        st.sampled_from(["Ready", "Reconciling", "Stalled", "Trained", "Released"]),
        ANSWERS,
        st.sampled_from([reason.value for reason in Reason if reason is not Reason.SUSPENDED]),
        st.text(max_size=400),
    ),
    max_size=5,
    unique_by=lambda condition: condition["type"],
)


@pytest.mark.parametrize(("resource", "told", "reason", "reading"), EVERY, ids=NAMES)
def test_every_status_there_is_becomes_a_status_of_the_commit(resource, told, reason, reading):
    said = status(part_of(written(resource, told)))
    allowed = {Standing.PENDING} if reason is Reason.SUSPENDED else FITS[reading]
    assert said.state in allowed
    assert said.name == f"cdl/default/{resource.kind}/{resource.metadata.name}"
    assert (": see cdl logs" in said.description or "; see cdl logs" in said.description) is (reading == kstatus.FAILED)


@given(
    conditions=CONDITIONS,
    generation=st.integers(1, 3),
    observed=st.integers(0, 3),
    deleting=st.booleans(),
    said=st.booleans(),
)
def test_any_status_is_read_as_kstatus_reads_it(conditions, generation, observed, deleting, said):
    document = experiment().plain()
    document["metadata"] |= {"generation": generation}
    if deleting:
        document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    document["status"] = {"observedGeneration": observed, "conditions": conditions} if said else {}
    part = part_of(document)
    told = status(part)
    assert len(told.description) <= 255
    assert told == status(part_of(json.loads(json.dumps(document))))
    reading = kstatus.read(document)
    if reading == kstatus.CURRENT and not any(c["type"] == "Ready" for c in document["status"].get("conditions", [])):
        assert told.state in GOING_ON  # a reader takes silence for the end; we know better
    elif observed > generation:
        assert told.state in Standing  # no reader agrees with another about a future
    elif {c["type"] for c in conditions if c["status"] == "True"} >= {"Stalled", "Reconciling"}:
        assert deleting or observed < generation or told.state in {Standing.FAILED, *GOING_ON}
    else:
        assert told.state in FITS[reading]


def test_what_waits_for_a_person_or_for_data_does_not_run():
    waiting = {
        Reason.WAITING_FOR_APPROVAL,
        Reason.WAITING_FOR_DATA,
        Reason.WAITING_FOR_LABELS,
        Reason.WAITING_FOR_RELEASE,
        Reason.WAITING_FOR_WEIGHTS,
    }
    for resource, told, reason, reading in EVERY:
        if reading == kstatus.IN_PROGRESS:
            state, _ = standing(part_of(written(resource, told)))
            assert (state is Standing.PENDING) is (reason in waiting)


def test_what_the_inventory_names_and_nobody_stored_is_waited_for():
    key = Key("Experiment", "there", "news")
    (part,) = parts([], [key])
    assert part == Part(key)
    assert status(part).state is Standing.PENDING
    assert not settled(part)


def test_what_cannot_be_read_fails_by_its_fault_until_an_operator_says_it():
    document = experiment().plain()
    document["spec"]["colour"] = "red"
    said = status(part_of(document))
    assert said.state is Standing.FAILED
    assert "spec.colour: unknown field" in said.description


@pytest.mark.parametrize("state", State)
def test_of_a_commit_that_is_not_applied_no_resource_is_told(state):
    view = View(SHA, "there", state, "because", parts=(part_of(experiment().plain()),))
    told = statuses(view)
    assert told[0].name == "cdl/sync/there"
    expected = {State.APPLIED: Standing.SUCCESS, State.REFUSED: Standing.FAILED}
    assert told[0].state is expected.get(state, Standing.PENDING)
    assert len(told) == (2 if state is State.APPLIED else 1)


def test_a_status_that_goes_on_says_only_what_stays_true():
    """GitLab takes no new words for what is running or pending as before."""
    described = {
        (said.state, said.description)
        for resource, told, _, reading in EVERY
        if reading == kstatus.IN_PROGRESS
        for said in [status(part_of(written(resource, told)))]
    }
    assert len(described) == 2
