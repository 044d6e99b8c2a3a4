"""The history of a project: which commits are part of it."""

from __future__ import annotations

from typing import Protocol


class CommitHistory(Protocol):
    """One git repository."""

    def holds(self, commit: str) -> bool:
        """Say whether a branch or tag leads to a commit; False: its history was rewritten. Changes nothing.

        Raises:
            Unavailable: the repository cannot be read, or not all of its history is here.
        """
