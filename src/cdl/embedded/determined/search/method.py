"""What a search method is asked and what it may answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cdl.embedded.determined.fields import Tree


class Exit(StrEnum):
    """Why a trial ended."""

    COMPLETED = "completed"
    ERRORED = "errored"
    CANCELED = "canceled"
    INVALID_HP = "invalid_hp"


@dataclass(frozen=True)
class Create:
    """Wish for one more trial."""

    request_id: str
    hparams: Tree
    seed: int


@dataclass(frozen=True)
class Stop:
    """Wish that a running trial ends early."""

    request_id: str


Action = Create | Stop
NewTrial = Callable[[Tree | None], Create]  # given hyperparameters, or a fresh sample for None


class UnusableMetricError(Exception):
    """A validation lacks what the searcher ranks by; the whole search cannot go on."""


class Method(Protocol):
    """One search strategy; its whole memory is ``state()``."""

    def begin(self, new: NewTrial) -> list[Action]:
        """Ask for the first trials."""

    def validated(self, request_id: str, metrics: Mapping[str, object], new: NewTrial) -> list[Action]:
        """Judge a validation."""

    def exited(self, request_id: str, why: Exit, new: NewTrial) -> list[Action]:
        """Take note that a trial ended, whatever the reason."""

    def progress(self) -> float:
        """Say how far the search is, 0 to 1."""

    def state(self) -> Tree:
        """Return everything needed to continue, as JSON."""

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from what ``state`` returned."""
