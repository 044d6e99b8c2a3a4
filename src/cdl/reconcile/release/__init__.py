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

__all__ = (
    "APPROVED_DIGEST",
    "DECIDED",
    "DECIDED_AT",
    "DECIDED_BY",
    "DECISION_REASON",
    "REJECTED_DIGEST",
    "UNNAMED",
    "decided",
)
