"""The trials of a run with all that they reported, as people who compare them want it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.v1alpha1.experiment import TrialStatus


@dataclass(frozen=True, slots=True)
class Point:
    """What a trial reported after so many batches; figures that are no finite numbers are left out."""

    steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialFound:
    """One trial, as the training engine has it now."""

    status: TrialStatus
    restarts: int | None = None
    """How often it was started again; None: nobody asked."""
    validations: tuple[Point, ...] = ()
    """In the order of their batches."""
    training: tuple[Point, ...] = ()
    """What it reported of the training itself, as a loss; likewise."""
