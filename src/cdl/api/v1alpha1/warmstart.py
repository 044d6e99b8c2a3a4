"""Warm start: which weights a run begins with, which of them stay as they are, and what was pinned."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from cdl.api.meta import Frozen
from cdl.api.rules import LAYERS_STAY, ONE_START, START_IS_NAMED


class WarmPolicy(StrEnum):
    """Whether and how earlier weights are used."""

    NONE = "none"
    """The network begins with random weights."""
    WEIGHTS = "weights"
    """It begins with earlier weights, and all of them are trained on."""
    FREEZE = "freeze"
    """It begins with earlier weights, and those of the named layers stay as they are."""


class WarmSource(Frozen):
    """Whose weights a run begins with."""

    release: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?(@[1-9][0-9]{0,8})?$",
        max_length=50,
        description="NAME@N, a Release of the same namespace, or NAME: the newest approved one of that model. Has the "
        "Experiment's own model none approved yet, its first run begins from scratch.",
    )
    checkpoint: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        description="UUID of a checkpoint at the training engine.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.release is None) == (self.checkpoint is None):
            raise ONE_START.refusal()
        return self

    @property
    def model(self) -> str:
        """The model whose Release is meant; empty for a checkpoint."""
        return (self.release or "").partition("@")[0]

    @property
    def version(self) -> int | None:
        """The version that is meant; None: the newest approved one."""
        number = (self.release or "").partition("@")[2]
        return int(number) if number else None


class WarmStart(Frozen):
    """Start from weights of an earlier version; what was chosen is pinned for as long as code, config and data stay."""

    policy: WarmPolicy = Field(
        WarmPolicy.NONE,
        description="none: random weights. weights: earlier ones, all trained on. freeze: earlier ones, those of the "
        "layers in `freeze` stay as they are.",
    )
    source: WarmSource | None = Field(None, alias="from")
    freeze: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="With policy freeze: names of layers (shell patterns; a name stands for all that is below it).",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.policy is not WarmPolicy.NONE) != (self.source is not None):
            raise START_IS_NAMED.refusal()
        if (self.policy is WarmPolicy.FREEZE) != bool(self.freeze):
            raise LAYERS_STAY.refusal()
        return self


class WarmStartStatus(Frozen):
    """What a run began with; it stays, whatever becomes of where it came from."""

    wish: str = Field(description="Which wish it was chosen for: the same code, configuration, data and warm start.")
    release: str = Field("", description="The Release whose weights they are.")
    checkpoint: str = Field(
        "", description="The checkpoint; empty: there was none yet, and the run began from scratch."
    )
    digest: str = Field("", description="Digest of the checkpoint's files; a trial that finds others ends.")
