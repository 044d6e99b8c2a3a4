"""What may be changed of a Release, by whom, and whose name ends up beside a decision."""

from __future__ import annotations

from copy import deepcopy

import pytest

from cdl.kube.decisions import APPROVE, UPDATE, refusal, signed
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, DECISION_REASON, REJECTED_DIGEST
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
    assert "spec: a Release is never changed" in refusal(OLD, new, "admin", may(APPROVE, UPDATE))


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
