"""What a decision about a DataPipeline may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .asking import AddTasks, Arrange, EnsureProject, KeepAnswers
from .raw import EnsureRaw, RemoveRaw

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import Dataset, Labels, Side, Source, Split

    from .wishes import StepWish


@dataclass(frozen=True, slots=True)
class CollectSource:
    """Fetch a source and check it."""

    source: Source
    due: datetime | None = None
    """Fetch it again unless it was fetched for this due time or a later one; None: only if it is not at hand."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Write the files of a side to its input repository, as one commit called by the key."""

    side: Side
    key: str
    sources: tuple[Source, ...]
    split: Split | None


@dataclass(frozen=True, slots=True)
class EnsureStep:
    """Make the step's pipeline over a side be as wished, reading from `reads`."""

    side: Side
    wish: StepWish
    reads: str
    """Name of the step before it; empty: the side's input repository."""
    like: Key | None = None
    """Whose equal output may be taken over instead of computed again."""


@dataclass(frozen=True, slots=True)
class RemoveStray:
    """Remove a pipeline that no step asks for, and its output with it."""

    name: str


@dataclass(frozen=True, slots=True)
class KeepReport:
    """Put the report of the checks on the shelf: once for programs, once for people."""

    document: bytes
    page: bytes


@dataclass(frozen=True, slots=True)
class KeepLabels:
    """Put the labels of a dataset version into the label store."""

    dataset: Dataset
    labels: Labels
    at: datetime = field(compare=False)
    """When it was decided; at another time it is the same action."""


@dataclass(frozen=True, slots=True)
class ForgetData:
    """Remove everything this resource made at the data engine."""


Action = (
    CollectSource
    | Ingest
    | EnsureStep
    | RemoveStray
    | KeepReport
    | KeepLabels
    | ForgetData
    | EnsureRaw
    | RemoveRaw
    | EnsureProject
    | AddTasks
    | KeepAnswers
    | Arrange
)
