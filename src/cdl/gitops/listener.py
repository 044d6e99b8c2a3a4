"""What following tells of itself while it works: who listens is the caller's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cdl.api.v1alpha1 import Resource
from cdl.reconcile.gitops import State


@dataclass(frozen=True, slots=True)
class Look:
    """How one look at a branch, or at the head of a merge request, ended."""

    project: str
    """The inventory."""
    namespace: str
    preview: bool
    """It is of a merge request."""
    head: str
    state: State
    sentence: str
    drifted: int
    """Resources that are other than git says, and are left so."""
    fresh: bool
    """Nobody saw this commit before."""
    news: bool
    """It ended otherwise than the look before."""
    committed: float | None = None
    """When a commit was made that is applied for the first time, in seconds of the epoch; None where nobody knows."""


class Listener(Protocol):
    """Hears what following does. Nothing here may block or raise: a look is never the worse for being watched."""

    def looked(self, look: Look) -> None:
        """Hear how a look ended."""

    def applied(self, resource: Resource, commit: str, strayed: str, *, preview: bool) -> None:
        """Hear that a resource was written as a commit says; `strayed` says what somebody else had changed."""

    def pruned(self, document: Mapping[str, Any], commit: str, *, preview: bool) -> None:
        """Hear that a resource is deleted because a commit does not have it; an empty commit is of what is over."""

    def knocked(self, outcome: str) -> None:
        """Hear what became of a webhook."""

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        """Hear that a call of the forge returned, or with which class of error it ended."""


class _Silent:
    """Hears nothing."""

    def looked(self, look: Look) -> None:
        pass

    def applied(self, resource: Resource, commit: str, strayed: str, *, preview: bool) -> None:
        pass

    def pruned(self, document: Mapping[str, Any], commit: str, *, preview: bool) -> None:
        pass

    def knocked(self, outcome: str) -> None:
        pass

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        pass


SILENT: Listener = _Silent()
