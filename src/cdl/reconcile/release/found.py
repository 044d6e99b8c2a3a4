"""What was found when every engine and store was asked again for the members of a Release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was learned, and why."""

    why: str
    asked: bool = True
    """Nobody answered; False: nobody was asked."""


@dataclass(frozen=True, slots=True)
class SideFound:
    """One side of a dataset, as the data engine has it now."""

    digest: str
    """Of its files, names and contents."""
    labels: str
    """Digest of its label rows."""
    rows: int
    """How many label rows there are."""
    programs: tuple[str, ...] | None
    """What stands for each program that made it, first to last; none of them where it was written as it is.

    None: who made it is not known any more."""


@dataclass(frozen=True, slots=True)
class Differs:
    """One file that is not as listed; an empty digest says that it is not there."""

    path: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class SideDiffers:
    """How the files of one side differ from the list."""

    first: tuple[Differs, ...]
    more: int = 0
    """How many are not named."""


@dataclass(frozen=True, slots=True)
class RunFound:
    """A run, as the training engine has it now."""

    key: str
    seed: int | None
    config: Mapping[str, JsonValue]
    """As it was asked for; whoever asked may have added to what the Release says."""
    report: Mapping[str, JsonValue] | None = None
    """What an evaluation reported; None: it is none, or reported nothing."""


@dataclass(frozen=True, slots=True)
class CheckpointFound:
    """A checkpoint, as the training engine has it now."""

    uri: str
    run: str
    trial: int
    metric: float | None
    hparams: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class VersionFound:
    """A version of a model, as the registry has it now."""

    checkpoint: str
    digest: str
    """The Release's digest, as it was registered; empty when somebody took it away."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a judgement may depend on. None says: it is not there."""

    commit: bool | Silence
    """The git commit is part of its repository's history."""
    contents: Mapping[str, str | Silence | None] = field(default_factory=dict)
    """Address of a kept file to the sha256 of what lies there now."""
    statements: Mapping[str, JsonValue | Silence] = field(default_factory=dict)
    """Address of a signed statement to what it says; a text is what is wrong with its signature."""
    config: JsonValue | None = None
    """The kept configuration, where what lies there is still it."""
    files: Mapping[str, str] | Silence = field(default_factory=dict)
    """Path to sha256 of every file that lies where the checkpoint's files belong."""
    train: SideFound | Silence | None = None
    test: SideFound | Silence | None = None
    listed: Mapping[str, SideDiffers] | Silence = field(default_factory=dict)
    """Side to the files that are not as listed beside the Release; looked for only where a side has changed."""
    run: RunFound | Silence | None = None
    measured: RunFound | Silence | None = None
    """The evaluation's run."""
    checkpoint: CheckpointFound | Silence | None = None
    version: VersionFound | Silence | None = None
