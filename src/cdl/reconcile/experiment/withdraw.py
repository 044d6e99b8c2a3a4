"""What merge requests approved and may still take back: looked at until they are merged, and said when it is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.reconcile.decision import Appointment

from .decide import asks as awaits
from .decide import decide as proceed
from .review import lapsed
from .seen import WithdrawApproval
from .status import MUCH_LATER

if TYPE_CHECKING:
    from cdl.api.v1alpha1.experiment import Experiment, ExperimentStatus
    from cdl.reconcile.decision import Decision

    from .seen import Action, ReleaseSeen, Seen


def decide(resource: Experiment, seen: Seen) -> Decision[ExperimentStatus, Action]:
    """Say what brings the model one step closer to its Release, and take back what no merge request holds any more."""
    decision, found = proceed(resource, seen), watched(resource, seen)
    if found is None:
        return decision
    again = decision.look_again_after
    wait = Appointment(seconds=MUCH_LATER.total_seconds()) if again is None or again > MUCH_LATER else again
    return replace(decision, actions=(*decision.actions, *_withdrawals(resource, seen)), look_again_after=wait)


def asks(resource: Experiment, seen: Seen) -> ReleaseSeen | None:
    """Give the Release that waits for what the merge request says, or that hangs on it; None: nobody has to ask."""
    return awaits(resource, seen) or watched(resource, seen)


def watched(resource: Experiment, seen: Seen) -> ReleaseSeen | None:
    """Give the newest Release whose approval may still be taken back; None: there is none."""
    asked = resource.spec.approval.policy is ApprovalPolicy.MERGE_REQUEST
    if not asked or resource.metadata.deleting or resource.spec.suspend:
        return None
    return max(_mine(resource, seen), key=lambda release: release.version, default=None)


def _withdrawals(resource: Experiment, seen: Seen) -> tuple[Action, ...]:
    """Take back what is gone, be it of a Release that the spec does not ask for now."""
    role = resource.spec.approval.role
    whys = ((release, lapsed(role, release, seen.review)) for release in _mine(resource, seen))
    return tuple(WithdrawApproval(release.name, release.digest, why, seen.at) for release, why in whys if why)


def _mine(resource: Experiment, seen: Seen) -> tuple[ReleaseSeen, ...]:
    return tuple(r for r in seen.releases if r.watched and r.experiment == resource.metadata.name)
