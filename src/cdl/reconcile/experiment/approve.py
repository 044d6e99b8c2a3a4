"""What becomes of a Release that exists: who decided about it, or who is waited for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.origin import POLICY
from cdl.reconcile.summary import busy, fact, stalled

from .review import approver, lapsed, person, reference
from .seen import ApproveRelease, ReviewSeen
from .status import was_rejected

if TYPE_CHECKING:
    from cdl.api.v1alpha1.experiment import Experiment

    from .seen import Action, ReleaseSeen, Seen

TICK = timedelta(seconds=1)
"""The least by which one approval is later than another."""

BY_POLICY = f"{POLICY}Automatic"
UNSEEN = ReviewSeen(why="it was not looked at yet")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a Release stands."""

    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...] = ()
    asks: bool = False
    """The merge request is what decides next."""


def approval(resource: Experiment, release: ReleaseSeen, seen: Seen) -> Standing:
    """Bound to the digest: the decision is about these members and no others."""
    match release.approval:
        case ApprovalState.APPROVED:
            if why := lapsed(resource.spec.approval.role, release, seen.review):
                return _taken_back(f"the approval of {release.name} by {release.approved_by} is taken back: {why}")
            successor = _successor(resource, release, seen)
            if successor is not None:
                return _ask(resource, release, seen, successor)
            by_policy = release.approved_by.startswith(POLICY)
            reason = Reason.APPROVED_BY_POLICY if by_policy else Reason.APPROVED_BY_PERSON
            said = fact(ConditionType.APPROVED, holds=True, reason=reason, message=f"by {release.approved_by}")
            return Standing((said,))
        case ApprovalState.REJECTED:
            message = f"release {release.name} was {release.standing or f'rejected by {release.approved_by}'}"
            return _not_approved(Reason.REJECTED, message)
        case ApprovalState.VOID if release.withdrawn and resource.spec.approval.policy is ApprovalPolicy.MERGE_REQUEST:
            asked = _ask(resource, release, seen, None)
            gone = fact(ConditionType.APPROVED, False, Reason.APPROVAL_TAKEN_BACK, release.standing)
            return asked if asked.actions else replace(asked, conditions=(*asked.conditions, gone))
        case ApprovalState.VOID:
            message = f"release {release.name}: {release.standing}; to decide again: cdl approve {release.name}"
            return _not_approved(release.void, message)
        case ApprovalState.PENDING:
            return _ask(resource, release, seen, None)


def _taken_back(message: str) -> Standing:
    gone = fact(ConditionType.APPROVED, holds=False, reason=Reason.APPROVAL_TAKEN_BACK, message=message)
    return Standing((busy(Reason.WAITING_FOR_APPROVAL, message), gone), asks=True)


def _not_approved(reason: Reason, message: str) -> Standing:
    said = fact(ConditionType.APPROVED, holds=False, reason=reason, message=message)
    return Standing((stalled(reason, message), said))


def _successor(resource: Experiment, release: ReleaseSeen, seen: Seen) -> ReleaseSeen | None:
    """The release of this Experiment that was approved after the one its spec now asks for: the spec was reverted."""
    mine = [r for r in seen.releases if r.experiment == resource.metadata.name and r.approval is ApprovalState.APPROVED]
    latest = max(mine, key=lambda r: (_moment(r), r.version), default=release)
    return latest if latest.name != release.name and _moment(latest) >= _moment(release) else None


def _moment(release: ReleaseSeen) -> float:
    return release.approved_at.timestamp() if release.approved_at else 0.0


def _ask(resource: Experiment, release: ReleaseSeen, seen: Seen, successor: ReleaseSeen | None) -> Standing:
    """Approve by policy or merge request, or wait; what was approved before its successor has to be approved again."""
    once_rejected, asked = was_rejected(resource.status, release), resource.spec.approval
    # a clock that was put back must not make the new approval look older than the one it replaces
    after = successor.approved_at + TICK if successor is not None and successor.approved_at is not None else seen.at
    after = max(after, release.approved_at + TICK) if release.withdrawn and release.approved_at else after
    at = max(seen.at, after)
    if asked.policy is ApprovalPolicy.AUTOMATIC and not once_rejected:
        return _approve(ApproveRelease(release.name, release.digest, BY_POLICY, at))
    again = f" (again, to replace {successor.name})" if successor is not None else ""
    again = " (again: somebody rejected these very members before)" if once_rejected else again
    by_hand = f"cdl approve {release.name}"
    if asked.policy is not ApprovalPolicy.MERGE_REQUEST or once_rejected:
        message = f"{release.name} waits for a {asked.role}{again}: {by_hand}"
        return Standing((busy(Reason.WAITING_FOR_APPROVAL, message),))
    review = seen.review or UNSEEN
    found = approver(asked.role, release, review)
    if isinstance(found, str):
        message = f"{release.name} waits for its merge request{again}: {found}; or by hand: {by_hand}"
        return Standing((busy(Reason.WAITING_FOR_APPROVAL, message),), asks=True)
    return _approve(ApproveRelease(release.name, release.digest, person(found), at, reference(review)))


def _approve(action: ApproveRelease) -> Standing:
    return Standing((busy(Reason.RELEASING, f"approving {action.release}"),), (action,))
