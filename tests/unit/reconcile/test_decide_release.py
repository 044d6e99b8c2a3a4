"""A note on a Release becomes a decision when it is about exactly these members, and only once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, Voided
from cdl.reconcile.origin import same
from cdl.reconcile.release import (
    APPROVAL_EXPIRES,
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    UNNAMED,
    decided,
    sentence,
    standing,
)
from cdl.reconcile.summary import fact
from cdl.testing.builders import release

NOW = datetime(2026, 5, 1, tzinfo=UTC)
THEN = NOW - timedelta(hours=1)
OURS = release().spec.digest
OTHER = digest("something else")
SIGNED = {DECIDED_BY: "maria", DECIDED_AT: THEN.isoformat(), DECISION_REASON: "looks right"}


def noted(held=None, generation=1, authors=(), lost=None, **notes):
    made = release(git={"commit": "c0ffee", "authors": list(authors)}) if authors else release()
    meta = made.metadata.model_copy(update={"annotations": notes, "generation": generation})
    status = made.status.model_copy(update={"approval": held}) if held else made.status
    if lost:
        verified = fact(ConditionType.VERIFIED, holds=False, reason=lost, message="checkpoint: model.keras is gone")
        status = status.model_copy(update={"conditions": (verified,)})
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


def held(**changed):
    """What the status says: maria's approval of an hour ago, unless it is changed."""
    said = {"state": ApprovalState.APPROVED, "by": "maria", "at": THEN, "digest": OURS, "reason": "looks right"}
    return ApprovalStatus(**said | changed)


NOTED = {APPROVED_DIGEST: OURS, **SIGNED}
POLICY = {"by": "policy/Automatic", "reason": ""}


@pytest.mark.parametrize("state", [ApprovalState.APPROVED, ApprovalState.REJECTED])
@pytest.mark.parametrize("change", [{"digest": OTHER}, {"generation": 2}])
def test_what_was_decided_and_then_changed_is_void_for_good(state, change):
    about = change.get("digest", OURS)
    generation, notes = change.get("generation", 1), NOTED | {APPROVED_DIGEST: about}
    said = decided(noted(held(state=state, digest=about), generation, **notes), NOW)
    assert (said.state, said.voided) == (ApprovalState.VOID, Voided.CHANGED)
    assert decided(noted(said, generation, **notes), NOW) is None


def test_a_release_that_was_rewritten_cannot_be_approved():
    said = decided(noted(generation=2, **NOTED), NOW)
    assert (said.state, said.voided) == (ApprovalState.VOID, Voided.CHANGED)


@pytest.mark.parametrize(
    ("lost", "voided"), [(Reason.MEMBER_CHANGED, Voided.CHANGED), (Reason.MEMBER_MISSING, Voided.MISSING)]
)
@pytest.mark.parametrize("by", [{}, POLICY], ids=["a person", "a policy"])
def test_what_is_not_any_more_what_was_approved_is_void_until_somebody_decides_again(lost, voided, by):
    made = noted(held(**by), lost=lost, **({} if by else NOTED))
    said = decided(made, NOW)
    assert (said.state, said.voided, said.by) == (ApprovalState.VOID, voided, by.get("by", "maria"))
    assert sentence(made, said).endswith("is void: checkpoint: model.keras is gone")
    assert decided(noted(said, **NOTED), NOW) is None, "the member is back; the old note does not count again"
    again = {**NOTED, DECIDED_AT: NOW.isoformat()}
    assert decided(noted(said, **again), NOW).state is ApprovalState.APPROVED
    assert decided(noted(said, lost=lost, **again), NOW).state is ApprovalState.VOID, "nor does a new one before"


def test_a_rejection_stays_whatever_becomes_of_the_members():
    rejected = held(state=ApprovalState.REJECTED)
    assert decided(noted(rejected, lost=Reason.MEMBER_CHANGED, **{REJECTED_DIGEST: OURS}, **SIGNED), NOW) is None


def test_an_approval_is_good_for_as_long_as_the_experiment_asked():
    said = decided(noted(**NOTED, **{APPROVAL_EXPIRES: "1h30m"}), NOW)
    assert said.expires_at == THEN + timedelta(minutes=90)
    made = noted(said, **NOTED, **{APPROVAL_EXPIRES: "1h30m"})
    assert decided(made, said.expires_at - timedelta(seconds=1)) is None
    over = decided(made, said.expires_at)
    assert (over.state, over.voided, over.reason) == (ApprovalState.VOID, Voided.EXPIRED, "looks right")
    assert sentence(made, over) == "its approval by maria was good until 2026-05-01T00:30:00+00:00"
    assert decided(noted(over, **NOTED), THEN) is None, "a clock that is put back brings nothing back"


def test_an_expired_approval_can_get_a_worse_reason_and_a_new_decision():
    over = held(state=ApprovalState.VOID, voided=Voided.EXPIRED, expires_at=NOW)
    assert decided(noted(over, lost=Reason.MEMBER_MISSING, **NOTED), NOW).voided is Voided.MISSING
    assert decided(noted(over, **{REJECTED_DIGEST: OURS}, **SIGNED), NOW).state is ApprovalState.REJECTED
    assert decided(noted(over, **NOTED | {DECIDED_AT: NOW.isoformat()}), NOW).state is ApprovalState.APPROVED


def test_a_status_that_no_note_backs_is_a_forgery_and_void():
    said = decided(noted(held()), NOW)
    assert (said.state, said.voided) == (ApprovalState.VOID, Voided.TAKEN_BACK)
    assert standing(noted(held(**POLICY)), NOW).state is ApprovalState.APPROVED


def test_a_rejecting_note_ends_an_approval_before_it_is_taken_over():
    made = noted(held(**POLICY), **{REJECTED_DIGEST: OURS}, **SIGNED)
    assert standing(made, NOW).state is ApprovalState.VOID
    assert decided(made, NOW).state is ApprovalState.REJECTED


def test_somebody_elses_approval_takes_over_without_a_gap():
    made = noted(held(), **NOTED | {DECIDED_BY: "bob", DECIDED_AT: NOW.isoformat()})
    assert standing(made, NOW) == held()
    assert decided(made, NOW).by == "bob"


def test_a_policy_that_approved_later_is_not_overruled_by_an_older_note():
    assert decided(noted(held(**POLICY, at=NOW), **NOTED), NOW) is None


def test_a_person_called_like_a_policy_is_no_policy():
    said = decided(noted(**NOTED | {DECIDED_BY: "policy/Automatic"}), NOW)
    assert said.by == "user policy/Automatic"


@pytest.mark.parametrize(
    "who", ["ada", "ADA", "ada@example.org", "Ada@Example.org", "oidc:ada@example.org", "corp\\ada"]
)
def test_who_wrote_it_cannot_approve_it(who):
    made = noted(authors=["ada@example.org"])
    notes = {APPROVED_DIGEST: made.spec.digest, **SIGNED, DECIDED_BY: who}
    said = decided(noted(authors=["ada@example.org"], **notes), NOW)
    assert (said.state, said.voided, said.by) == (ApprovalState.VOID, Voided.AUTHOR, who)
    assert sentence(made, said) == f"{who} approved it, who is an author of it (ada@example.org); another person must"
    assert decided(noted(said, authors=["ada@example.org"], **notes), NOW) is None, "said once"
    notes = {REJECTED_DIGEST: made.spec.digest, **SIGNED, DECIDED_BY: who}
    assert decided(noted(authors=["ada@example.org"], **notes), NOW).state is ApprovalState.REJECTED


def test_a_status_that_says_an_author_approved_is_void_too():
    digest_of_it = noted(authors=["maria"]).spec.digest
    forged = held(digest=digest_of_it)
    made = noted(forged, authors=["maria"], **NOTED | {APPROVED_DIGEST: digest_of_it})
    assert decided(made, NOW).voided is Voided.AUTHOR
    assert standing(made, NOW).state is ApprovalState.VOID


def test_an_author_takes_nothing_from_the_policy():
    digest_of_it = noted(authors=["maria"]).spec.digest
    approved = held(**POLICY, digest=digest_of_it)
    notes = NOTED | {APPROVED_DIGEST: digest_of_it, DECIDED_AT: NOW.isoformat()}
    assert decided(noted(approved, authors=["maria"], **notes), NOW) is None


@pytest.mark.parametrize(
    ("one", "other", "same_person"),
    [
        ("ada", "ada@example.org", True),
        ("ada@example.org", "ada@elsewhere.org", False),
        ("12345+ada@users.noreply.example.org", "ada", True),
        ("ada+news@example.org", "ada@example.org", True),
        ("https://login.example.org#ada", "ada", True),
        ("system:serviceaccount:a:ada", "system:serviceaccount:b:ada", False),
        ("system:serviceaccount:a:ada", "ada", False),
        ("ada", "adam", False),
        ("12345", "12345+ada@example.org", False),
        ("", "", False),
        ("", "@example.org", False),
    ],
)
def test_two_names_of_one_person(one, other, same_person):
    assert same(one, other) is same_person
    assert same(other, one) is same_person
