"""A note on a Release becomes a decision when it is about exactly these members, and only once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdl.api.canonical import digest
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.reconcile.release import (
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    UNNAMED,
    decided,
)
from cdl.testing.builders import release

NOW = datetime(2026, 5, 1, tzinfo=UTC)
THEN = NOW - timedelta(hours=1)
OURS = release().spec.digest
OTHER = digest("something else")
SIGNED = {DECIDED_BY: "maria", DECIDED_AT: THEN.isoformat(), DECISION_REASON: "looks right"}


def noted(held=None, generation=1, **notes):
    made = release()
    meta = made.metadata.model_copy(update={"annotations": notes, "generation": generation})
    status = made.status.model_copy(update={"approval": held}) if held else made.status
    return made.model_copy(update={"metadata": meta, "status": status})


def test_without_a_note_nothing_is_decided():
    assert decided(noted(), NOW) is None
    assert decided(noted(**SIGNED), NOW) is None


@pytest.mark.parametrize(
    ("name", "state"), [(APPROVED_DIGEST, ApprovalState.APPROVED), (REJECTED_DIGEST, ApprovalState.REJECTED)]
)
def test_a_signed_note_is_a_decision(name, state):
    said = decided(noted(**{name: OURS}, **SIGNED), NOW)
    assert said == ApprovalStatus(state=state, by="maria", at=THEN, digest=OURS, reason="looks right")
    assert decided(noted(said, **{name: OURS}, **SIGNED), NOW) is None, "said once"


def test_a_note_about_other_members_is_none():
    assert decided(noted(**{APPROVED_DIGEST: OTHER}, **SIGNED), NOW) is None


def test_of_two_notes_the_rejection_counts():
    said = decided(noted(**{APPROVED_DIGEST: OURS, REJECTED_DIGEST: OURS}, **SIGNED), NOW)
    assert said.state is ApprovalState.REJECTED


def test_a_person_outranks_a_policy():
    policy = ApprovalStatus(state=ApprovalState.APPROVED, by="policy/Automatic", at=THEN, digest=OURS)
    assert decided(noted(policy), NOW) is None
    assert decided(noted(policy, **{REJECTED_DIGEST: OURS}, **SIGNED), NOW).state is ApprovalState.REJECTED


@pytest.mark.parametrize("at", ["", "yesterday", "2026-05-01T00:00:00"])
def test_a_note_nobody_signed_or_dated_says_so_and_is_said_once(at):
    notes = {APPROVED_DIGEST: OURS, DECIDED_AT: at}
    said = decided(noted(**notes), NOW)
    assert (said.by, said.at) == (UNNAMED, NOW)
    assert decided(noted(said, **notes), NOW + timedelta(days=1)) is None


@pytest.mark.parametrize("change", [{"held": OTHER}, {"generation": 2}])
def test_what_was_decided_and_then_changed_is_void_for_good(change):
    held = ApprovalStatus(state=ApprovalState.APPROVED, by="maria", at=THEN, digest=change.get("held", OURS))
    generation = change.get("generation", 1)
    said = decided(noted(held, generation), NOW)
    assert said.state is ApprovalState.VOID
    assert decided(noted(said, generation), NOW) is None


def test_a_release_that_was_rewritten_cannot_be_approved():
    assert decided(noted(generation=2, **{APPROVED_DIGEST: OURS}, **SIGNED), NOW) is None
