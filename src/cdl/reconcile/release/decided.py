"""What was decided about a Release: read off the note a person left on it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus

if TYPE_CHECKING:
    from cdl.api.v1alpha1 import Release

APPROVED_DIGEST = "cdl.dev/approved-digest"
REJECTED_DIGEST = "cdl.dev/rejected-digest"
"""Each holds the digest the decision is about."""
DECISION_REASON = "cdl.dev/decision-reason"
DECIDED_BY = "cdl.dev/decided-by"
DECIDED_AT = "cdl.dev/decided-at"
"""Who and when, written by admission over whatever was sent."""
UNNAMED = "somebody (admission was not asked)"
DECIDED = frozenset({ApprovalState.APPROVED, ApprovalState.REJECTED})


def decided(release: Release, now: datetime) -> ApprovalStatus | None:
    """Give the decision that the status does not say yet; None: it says everything there is.

    A decision about other members is none. Of two, the rejection counts. What was decided and then changed is void.
    """
    held, digest = release.status.approval, release.spec.digest
    if held.state in DECIDED and (held.digest != digest or release.metadata.generation > 1):
        return held.model_copy(update={"state": ApprovalState.VOID, "reason": "the members were changed afterwards"})
    state = _noted(release)
    if state is None or release.metadata.generation > 1:
        return None
    notes = release.metadata.annotations
    by, reason = notes.get(DECIDED_BY) or UNNAMED, notes.get(DECISION_REASON, "")
    if (held.state, held.digest, held.by, held.reason) == (state, digest, by, reason):
        return None
    at = _time(notes.get(DECIDED_AT, "")) or now
    return ApprovalStatus(state=state, by=by, at=at, digest=digest, reason=reason)


def _noted(release: Release) -> ApprovalState | None:
    notes, digest = release.metadata.annotations, release.spec.digest
    if notes.get(REJECTED_DIGEST) == digest:
        return ApprovalState.REJECTED
    return ApprovalState.APPROVED if notes.get(APPROVED_DIGEST) == digest else None


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
