"""What was decided about a Release: read off the note a person left on it, and whether it still counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, Voided
from cdl.reconcile.origin import POLICY
from cdl.reconcile.summary import fact

from .authors import author

if TYPE_CHECKING:
    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1 import Release

APPROVED_DIGEST = "cdl.dev/approved-digest"
REJECTED_DIGEST = "cdl.dev/rejected-digest"
"""Each holds the digest the decision is about."""
DECISION_REASON = "cdl.dev/decision-reason"
DECIDED_BY = "cdl.dev/decided-by"
DECIDED_AT = "cdl.dev/decided-at"
"""Who and when, written by admission over whatever was sent."""
APPROVAL_ROLE = "cdl.dev/approval-role"
APPROVAL_EXPIRES = "cdl.dev/approval-expires"
"""What the Experiment asked of an approval when the Release was written; nobody but the platform writes these."""
UNNAMED = "somebody (admission was not asked)"
DECIDED = frozenset({ApprovalState.APPROVED, ApprovalState.REJECTED})
REASON = {
    Voided.CHANGED: Reason.MEMBER_CHANGED,
    Voided.MISSING: Reason.MEMBER_MISSING,
    Voided.EXPIRED: Reason.APPROVAL_EXPIRED,
    Voided.AUTHOR: Reason.AUTHOR_MAY_NOT_APPROVE,
    Voided.TAKEN_BACK: Reason.APPROVAL_TAKEN_BACK,
}
"""What a condition says of a decision that is void."""
LOST = {Reason.MEMBER_CHANGED: Voided.CHANGED, Reason.MEMBER_MISSING: Voided.MISSING}


def decided(release: Release, now: datetime) -> ApprovalStatus | None:
    """Give the decision that the status does not say yet; None: it says everything there is.

    A decision about other members is none. Of two, the rejection counts. What an author approves is not approved.
    """
    held, here = release.status.approval, standing(release, now)
    said = _noted(release, now)
    if said is not None and _is_news(said, held):
        dated, void = said.model_copy(update={"at": said.at or now}), _void(release, said, now)
        if void is None:
            return dated
        if here.state in {ApprovalState.PENDING, ApprovalState.VOID}:
            return dated.model_copy(update={"state": ApprovalState.VOID, "voided": void})
    return here if here != held else None


def standing(release: Release, now: datetime) -> ApprovalStatus:
    """Give what the status says was decided, as far as it counts now; every decision asks this before it serves.

    What was approved is void when its time is over, when its note is gone, when an author decided, and above all when
    the Release or what it names is not any more what was decided about.
    """
    held = release.status.approval
    outdated = held.state is ApprovalState.VOID and held.voided is Voided.EXPIRED  # there may be a worse reason by now
    if held.state is ApprovalState.REJECTED:
        void = Voided.CHANGED if _rewritten(release, held) else None
    elif held.state is ApprovalState.APPROVED or outdated:
        void = _void(release, held, now) or (Voided.TAKEN_BACK if not _is_backed(release, held) else None)
        void = Voided.EXPIRED if outdated and void is None else void
    elif held.state is ApprovalState.PENDING and release.metadata.generation > 1:
        void = Voided.CHANGED
    else:
        return held
    return held if void is held.voided else held.model_copy(update={"state": ApprovalState.VOID, "voided": void})


def counting(release: Release, now: datetime) -> ApprovalStatus:
    """Give what counts for whoever would approve by policy: a note against it counts before it is taken over."""
    said = decided(release, now)
    against = said is not None and said.state in {ApprovalState.REJECTED, ApprovalState.VOID}
    return said if said is not None and against else standing(release, now)


def answer(release: Release, approval: ApprovalStatus) -> Condition:
    """Say as a condition what was decided."""
    held = approval.state is ApprovalState.APPROVED
    if approval.voided is not None:
        return fact(ConditionType.APPROVED, held, REASON[approval.voided], sentence(release, approval))
    by_policy = approval.by.startswith(POLICY)
    said = Reason.REJECTED if not held else Reason.APPROVED_BY_POLICY if by_policy else Reason.APPROVED_BY_PERSON
    return fact(ConditionType.APPROVED, held, said, f"by {approval.by}{_where(approval)}")


def sentence(release: Release, approval: ApprovalStatus) -> str:
    """Say what was decided, or why that counts for nothing, as a clause about the Release."""
    by = approval.by or "nobody"
    match approval.state, approval.voided:
        case ApprovalState.PENDING, _:
            return "nobody decided about it yet"
        case ApprovalState.APPROVED | ApprovalState.REJECTED, _:
            why = f": {approval.reason}" if approval.reason else ""
            return f"{approval.state.value.lower()} by {by}{_where(approval)}{why}"
        case _, Voided.AUTHOR:
            return f"{by} approved it, who is an author of it ({author(release, by)}); another person must"
        case _, Voided.EXPIRED:
            until = approval.expires_at.isoformat(timespec="seconds") if approval.expires_at else "some time"
            return f"its approval by {by} was good until {until}"
        case _, Voided.TAKEN_BACK:
            if approval.merge_request is not None and approval.reason:
                return f"its approval by {by}{_where(approval)} does not count any more: {approval.reason}"
            return f"its approval by {by} is not noted on it any more"
        case _:
            lost = release.status.condition(ConditionType.VERIFIED)
            what = lost.message if lost is not None and lost.status == "False" else ""
            return f"its approval by {by} is void: {what or 'the members were changed afterwards'}"


def _where(approval: ApprovalStatus) -> str:
    backed = approval.merge_request
    return "" if backed is None else f" in merge request !{backed.number} at {backed.sha[:12]}"


def _void(release: Release, approval: ApprovalStatus, now: datetime) -> Voided | None:
    """Say why an approval counts for nothing; None: it counts. A rejection always does."""
    if _rewritten(release, approval):
        return Voided.CHANGED
    if approval.state is ApprovalState.REJECTED:
        return None
    lost = release.status.condition(ConditionType.VERIFIED)
    if lost is not None and lost.status == "False" and lost.reason in LOST:
        return LOST[lost.reason]
    if author(release, approval.by):
        return Voided.AUTHOR
    return Voided.EXPIRED if approval.expires_at is not None and approval.expires_at <= now else None


def _rewritten(release: Release, approval: ApprovalStatus) -> bool:
    return approval.digest != release.spec.digest or release.metadata.generation > 1


def _is_backed(release: Release, approval: ApprovalStatus) -> bool:
    """A person's approval is noted on the Release, or was given to a merge request and is signed by the platform.

    A status alone proves nothing, and a rejection ends whatever there is.
    """
    state, by = _state(release), _by(release)
    if state is ApprovalState.REJECTED:
        return False
    if approval.by.startswith(POLICY) or (approval.merge_request is not None and approval.attestation):
        return True
    return state is ApprovalState.APPROVED and (by == approval.by or not author(release, by))


def _is_news(said: ApprovalStatus, held: ApprovalStatus) -> bool:
    """Tell whether a note is a decision that came after what the status says."""
    if said.state is ApprovalState.REJECTED or held.state is ApprovalState.PENDING:
        return _core(said) != _core(held)
    if said.at is None or held.at is None:  # nobody signed it, so it overturns nothing that somebody decided
        return held.state is ApprovalState.APPROVED and _core(said) != _core(held)
    if held.state is ApprovalState.VOID:
        return said.at > held.at
    return said.at >= held.at and _core(said) != _core(held)


def _core(approval: ApprovalStatus) -> tuple[object, ...]:
    return approval.state, approval.digest, approval.by, approval.reason


def _noted(release: Release, now: datetime) -> ApprovalStatus | None:
    notes, digest, state = release.metadata.annotations, release.spec.digest, _state(release)
    if state is None:
        return None
    at = _time(notes.get(DECIDED_AT, ""))
    until = _until(notes.get(APPROVAL_EXPIRES, ""), at or now) if state is ApprovalState.APPROVED else None
    reason = notes.get(DECISION_REASON, "")
    return ApprovalStatus(state=state, by=_by(release), at=at, digest=digest, reason=reason, expires_at=until)


def _state(release: Release) -> ApprovalState | None:
    notes, digest = release.metadata.annotations, release.spec.digest
    if notes.get(REJECTED_DIGEST) == digest:
        return ApprovalState.REJECTED
    return ApprovalState.APPROVED if notes.get(APPROVED_DIGEST) == digest else None


def _by(release: Release) -> str:
    """A person may call himself a policy; then he is called something else here."""
    by = release.metadata.annotations.get(DECIDED_BY) or UNNAMED
    return f"user {by}" if by.startswith(POLICY) else by


def expiry(release: Release, at: datetime) -> datetime | None:
    """Say until when an approval of that moment is good; None: for good."""
    return _until(release.metadata.annotations.get(APPROVAL_EXPIRES, ""), at)


def _until(text: str, at: datetime) -> datetime | None:
    lasts = length(text)
    return at + lasts if lasts > timedelta() else None


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
