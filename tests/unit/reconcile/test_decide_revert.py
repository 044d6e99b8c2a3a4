"""A reverted spec goes back to the release it had: the latest approval counts, not the highest number."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile import modeldeployment
from cdl.reconcile.experiment import ApproveRelease, Seen, decide
from cdl.testing.builders import deployment, experiment
from tests.unit.reconcile.facts import AT, condition, said
from tests.unit.reconcile.test_decide_experiment import DATA, evaluated, key, released, run

EARLIER, LATER = AT - timedelta(hours=2), AT - timedelta(hours=1)


def after_a_revert(resource, **successor):
    first = released(resource, approved_at=EARLIER, experiment="news")
    second = {"name": "news-2", "version": 2, "content": "other", "digest": "other", "approved_at": LATER}
    newer = replace(first, **(second | successor))
    seen = Seen(at=AT, dataset=DATA, runs=(run(key(resource)), evaluated()), releases=(first, newer))
    return decide(resource, seen)


def test_by_policy_the_release_of_the_reverted_spec_is_approved_again():
    decision = after_a_revert(experiment(approval={"policy": "Automatic"}))
    [approve] = decision.actions
    assert isinstance(approve, ApproveRelease)
    assert (approve.release, approve.at) == ("news-1", AT)


def test_a_clock_that_was_put_back_still_makes_a_later_approval():
    decision = after_a_revert(experiment(approval={"policy": "Automatic"}), approved_at=AT + timedelta(days=1))
    [approve] = decision.actions
    assert approve.at > AT + timedelta(days=1)


def test_by_hand_it_waits_for_the_decision_to_be_made_again():
    decision = after_a_revert(experiment(approval={"policy": "Manual"}))
    assert decision.actions == ()
    assert said(decision) == ("Unknown", "WaitingForApproval")
    assert condition(decision).message.endswith("(again, to replace news-2): cdl approve news-1")


@pytest.mark.parametrize(
    "successor",
    [
        {"experiment": "another"},
        {"approval": ApprovalState.REJECTED},
        {"approved_at": EARLIER - timedelta(hours=1)},
    ],
    ids=["of another experiment", "rejected", "approved before"],
)
def test_a_release_that_is_no_successor_changes_nothing(successor):
    decision = after_a_revert(experiment(approval={"policy": "Automatic"}), **successor)
    assert (decision.actions, said(decision)) == ((), ("True", "Succeeded"))


def test_the_latest_approval_is_served_whatever_its_number():
    def release(version, at):
        place = f"file:///{version}"
        return modeldeployment.ReleaseSeen(
            f"news-{version}", version, f"d{version}", True, place, at, attestation=f"{place}.dsse"
        )

    seen = modeldeployment.Seen(at=AT, releases=(release(1, LATER), release(2, EARLIER)))
    [serve] = modeldeployment.decide(deployment(), seen).actions
    assert serve.wish.release.name == "news-1"
