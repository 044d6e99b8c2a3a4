"""What a kstatus reader makes of everything we say: done, working, failed or going, and never the wrong one."""

from __future__ import annotations

import pytest

from cdl.api.conditions import Reason
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release
from tests.unit.reconcile.every_status import EVERY, NAMES, written
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS, TERMINATING, read

FACTS_ONLY = {
    Reason.ENOUGH_LABELS,
    Reason.DATASET_READY,
    Reason.TRAINING_DONE,
    Reason.ADOPTED,
    Reason.GATES_MET,
    Reason.RELEASE_WRITTEN,
    Reason.APPROVED_BY_POLICY,
    Reason.APPROVED_BY_PERSON,
    Reason.AVAILABLE,
}
"""Said of a stage that is done, and of a Release; a resource with stages is ready because it Succeeded."""


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_every_status_is_read_as_it_is_meant(resource, status, reason, reading):
    document = written(resource, status)
    ready = next(c for c in document["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["reason"], ready["observedGeneration"]) == (reason, 1)
    assert read(document) == reading
    assert (reading == CURRENT) is (ready["status"] == "True")
    assert (reading == FAILED) is (ready["status"] == "False")


def test_every_reason_that_ready_can_give_is_among_them():
    assert {reason for _, _, reason, _ in EVERY} == set(Reason) - FACTS_ONLY - {
        Reason.DELETING,
        Reason.PINNED_BY_RELEASE,
    }


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_a_status_of_an_older_spec_is_never_taken_for_the_end(resource, status, reason, reading):
    document = written(resource, status)
    document["metadata"]["generation"] = 2
    assert read(document) == IN_PROGRESS


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_what_is_going_is_going_whatever_it_said(resource, status, reason, reading):
    document = written(resource, status)
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert read(document) == TERMINATING


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_what_is_abnormal_is_said_only_while_it_holds_and_never_twice(resource, status, reason, reading):
    abnormal = [c for c in status.conditions if c.type in {"Reconciling", "Stalled"}]
    assert [c.status for c in abnormal] == (["True"] if reading in {IN_PROGRESS, FAILED} else [])


@pytest.mark.parametrize("document", [pipeline_document(), experiment_document(), deployment_document()])
def test_what_nobody_looked_at_is_in_progress(document):
    document["metadata"]["generation"] = 1
    assert read(document) == CURRENT, "without a default, a reader would take it for done"
    assert read(document | {"status": {"observedGeneration": -1}}) == IN_PROGRESS


def test_a_release_is_there_once_it_is_there():
    assert read(release().plain()) == CURRENT
    bare = {k: v for k, v in release().plain().items() if k != "status"}
    assert read(bare) == CURRENT
