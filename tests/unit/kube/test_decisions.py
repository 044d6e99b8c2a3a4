"""What may be changed of a Release, by whom, and whose name ends up beside a decision."""

from __future__ import annotations

from copy import deepcopy

import pytest

from cdl.kube.decisions import APPROVE, UPDATE, refusal, signed
from cdl.reconcile.release import (
    APPROVAL_ROLE,
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
)
from cdl.testing.builders import release_document

OLD = release_document()
OLD["metadata"]["namespace"] = "default"
DIGEST = OLD["spec"]["digest"]
NOW = "2026-05-01T12:00:00+00:00"


def changed(**annotations):
    new = deepcopy(OLD)
    new["metadata"]["annotations"] = {**(OLD["metadata"].get("annotations") or {}), **annotations}
    return new


def may(*verbs):
    return lambda verb: verb in verbs


def test_a_validator_may_note_a_decision_and_nobody_else():
    new = changed(**{APPROVED_DIGEST: DIGEST, DECISION_REASON: "looks right"})
    assert refusal(OLD, new, "maria", may(APPROVE)) is None
    assert refusal(OLD, new, "mallory", may(UPDATE)) == (
        "release news-1: mallory may not approve releases in namespace default"
    )


@pytest.mark.parametrize("note", [APPROVED_DIGEST, REJECTED_DIGEST])
def test_a_decision_is_about_this_release(note):
    new = changed(**{note: "sha256:other"})
    assert refusal(OLD, new, "maria", may(APPROVE)) == (
        f"release news-1: {note}: found 'sha256:other', the release is {DIGEST}"
    )


def test_taking_a_decision_back_is_a_decision():
    old = changed(**{APPROVED_DIGEST: DIGEST})
    assert "may not approve" in refusal(old, OLD, "mallory", may())


def test_nobody_changes_the_spec():
    new = deepcopy(OLD)
    new["spec"]["version"] = 9
    assert "spec: a Release never changes: what is different is another Release" in refusal(
        OLD, new, "admin", may(APPROVE, UPDATE)
    )


@pytest.mark.parametrize(
    "part", [{"labels": {"team": "news"}}, {"finalizers": ["x/y"]}, {"ownerReferences": [{"uid": "1"}]}]
)
def test_who_may_only_decide_changes_nothing_else(part):
    new = deepcopy(OLD)
    new["metadata"] |= part
    assert refusal(OLD, new, "maria", may(APPROVE)) == (
        "release news-1: maria may note a decision on it and change nothing else"
    )
    assert refusal(OLD, new, "admin", may(UPDATE)) is None


def test_other_annotations_are_something_else():
    assert refusal(OLD, changed(colour="blue"), "maria", may(APPROVE))
    assert refusal(OLD, OLD, "anybody", may()) is None


def test_a_decision_is_signed_over_whatever_was_sent():
    new = changed(**{APPROVED_DIGEST: DIGEST, DECIDED_BY: "the pope", DECIDED_AT: "1970-01-01"})
    assert signed(OLD, new, "maria", NOW) == {DECIDED_BY: "maria", DECIDED_AT: NOW}


def test_a_signature_alone_is_put_back():
    old = changed(**{APPROVED_DIGEST: DIGEST, DECIDED_BY: "maria", DECIDED_AT: NOW})
    new = deepcopy(old)
    new["metadata"]["annotations"][DECIDED_BY] = "mallory"
    assert signed(old, new, "mallory", "later") == {DECIDED_BY: "maria"}
    assert signed(OLD, changed(**{DECIDED_BY: "mallory"}), "mallory", "later") == {DECIDED_BY: None}
    assert signed(old, old, "anybody", "later") == {}


def written(*authors, **notes):
    """The Release of these authors, without and with a note on it."""
    old = release_document(git={"commit": "c0ffee", "authors": list(authors)})
    old["metadata"] |= {"namespace": "default", "annotations": notes}
    new = deepcopy(old)
    new["metadata"]["annotations"] = notes | {APPROVED_DIGEST: old["spec"]["digest"]}
    return old, new


@pytest.mark.parametrize("user", ["ada", "Ada@example.org", "oidc:ada@example.org"])
def test_an_author_may_not_approve_and_may_reject(user):
    old, new = written("ada@example.org", "bob")
    assert refusal(old, new, user, may(APPROVE)) == (
        f"release news-1: {user} is an author of it (ada@example.org), so another validator must approve it"
    )
    assert refusal(old, new, "maria", may(APPROVE)) is None
    rejected = deepcopy(old)
    rejected["metadata"]["annotations"] = {REJECTED_DIGEST: old["spec"]["digest"]}
    assert refusal(old, rejected, user, may(APPROVE)) is None


def test_an_author_puts_no_name_of_his_under_what_somebody_else_approved():
    old, approved = written("ada")
    reworded = deepcopy(approved)
    reworded["metadata"]["annotations"][DECISION_REASON] = "my own words"
    assert "is an author of it" in refusal(approved, reworded, "ada", may(APPROVE))
    assert refusal(approved, old, "ada", may(APPROVE)) is None, "to take it back is no approval"


def test_the_role_that_the_experiment_asks_for_is_asked_for():
    old, new = written("ada", **{APPROVAL_ROLE: "clinician"})
    assert refusal(old, new, "maria", may(APPROVE)) == (
        "release news-1: maria may not approve-as-clinician releases in namespace default, and a clinician must"
        " approve it"
    )
    assert refusal(old, new, "maria", may("approve-as-clinician")) == (
        "release news-1: maria may not approve releases in namespace default"
    )
    assert refusal(old, new, "maria", may(APPROVE, "approve-as-clinician")) is None
    new["metadata"]["annotations"].pop(APPROVAL_ROLE)
    assert "approve-as-clinician" in refusal(old, new, "maria", may(APPROVE)), "not taken away in the same breath"
    rejected = deepcopy(old)
    rejected["metadata"]["annotations"] |= {REJECTED_DIGEST: old["spec"]["digest"]}
    assert refusal(old, rejected, "maria", may(APPROVE)) is None, "every validator may reject"
