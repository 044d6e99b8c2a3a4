"""Releases: what was decided about one, what it says of itself and what is said of it. Pure."""

from .authors import author, authors
from .compared import metrics, production, with_figures
from .decided import (
    APPROVAL_EXPIRES,
    APPROVAL_ROLE,
    APPROVED_DIGEST,
    DECIDED,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    UNNAMED,
    decided,
    expiry,
    sentence,
    standing,
)
from .found import CheckpointFound, Evidence, RunFound, SideFound, Silence, VersionFound
from .verify import DIRTY, DOCUMENT_ANNOTATION, RELEASE, Finding, State, addresses, differs, judge, overall, snapshot_of

__all__ = (
    "APPROVAL_EXPIRES",
    "APPROVAL_ROLE",
    "APPROVED_DIGEST",
    "DECIDED",
    "DECIDED_AT",
    "DECIDED_BY",
    "DECISION_REASON",
    "DIRTY",
    "DOCUMENT_ANNOTATION",
    "REJECTED_DIGEST",
    "RELEASE",
    "UNNAMED",
    "CheckpointFound",
    "Evidence",
    "Finding",
    "RunFound",
    "SideFound",
    "Silence",
    "State",
    "VersionFound",
    "addresses",
    "author",
    "authors",
    "decided",
    "differs",
    "expiry",
    "judge",
    "metrics",
    "overall",
    "snapshot_of",
    "production",
    "sentence",
    "snapshot_of",
    "standing",
    "with_figures",
)
