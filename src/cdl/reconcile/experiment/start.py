"""The weights that a run begins with, and those that it may begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.v1alpha1.release import ApprovalState
from cdl.api.v1alpha1.warmstart import WarmPolicy

if TYPE_CHECKING:
    from pydantic import JsonValue

PIN = 8
"""Length of what stands for the weights in the key of a run."""


@dataclass(frozen=True, slots=True)
class StartSeen:
    """Something a run may begin with: a Release's checkpoint, or a checkpoint as such."""

    checkpoint: str
    digest: str = ""
    release: str = ""
    version: int = 0
    approval: ApprovalState = ApprovalState.PENDING


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with."""

    policy: WarmPolicy
    checkpoint: str = ""
    """Empty: nothing there yet, so from scratch."""
    digest: str = ""
    release: str = ""
    freeze: tuple[str, ...] = ()

    @property
    def pin(self) -> str:
        """Stands for the weights in the key of a run."""
        return short([self.checkpoint, self.digest], PIN)

    def plain(self) -> dict[str, JsonValue]:
        """Write it as members of Releases and trials have it."""
        return {
            "policy": self.policy.value,
            "release": self.release,
            "checkpoint": self.checkpoint,
            "digest": self.digest,
            "freeze": list(self.freeze),
        }
