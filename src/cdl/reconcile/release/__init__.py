"""Releases: what was decided about one, what it says of itself and what is said of it. Pure."""

from .decided import (
    APPROVED_DIGEST,
    DECIDED,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    UNNAMED,
    decided,
)
from .found import CheckpointFound, Evidence, RunFound, SideFound, Silence, VersionFound
from .verify import Finding, State, addresses, differs, judge, overall

__all__ = (
    "APPROVED_DIGEST",
    "DECIDED",
    "DECIDED_AT",
    "DECIDED_BY",
    "DECISION_REASON",
    "REJECTED_DIGEST",
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
    "decided",
    "differs",
    "judge",
    "overall",
)
