"""Where the time went: in programs that users wrote, or in the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cdl.api.v1alpha1 import DataPipeline, Experiment
    from cdl.api.v1alpha1.resource import Status

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the way, in seconds."""

    name: str
    wall: float
    user: float

    @property
    def platform(self) -> float:
        """What no user program was running in."""
        return max(0.0, self.wall - self.user)


def stages(
    pipeline: DataPipeline, experiment: Experiment, begun: datetime, ended: datetime, loading: Iterable[Interval] = ()
) -> tuple[Stage, ...]:
    """Cut the way from begun to ended at the moments the conditions changed.

    User code is the time in which at least one trial or evaluation program ran, or a model server loaded the
    project's class (`loading`, in Unix time). Built-in steps and the start-up of engines count as the platform's.
    """
    marks = [
        ("data", _since(pipeline.status, ConditionType.DATA_READY)),
        ("train", _since(experiment.status, ConditionType.TRAINED)),
        ("evaluate, release", _since(experiment.status, ConditionType.RELEASED)),
        ("serve", ended),
    ]
    worked = [*ran(experiment), *loading]
    cut, found = begun, []
    for name, mark in marks:
        to = min(max(mark or cut, cut), ended)
        found.append(Stage(name, (to - cut).total_seconds(), together(worked, cut.timestamp(), to.timestamp())))
        cut = to
    return tuple(found)


def _since(status: Status, kind: ConditionType) -> datetime | None:
    condition = status.condition(kind)
    return condition.last_transition_time if condition else None


def ran(experiment: Experiment) -> list[Interval]:
    """Give when trials and the evaluation of an Experiment ran."""
    status = experiment.status
    spans = [(t.started_at, t.finished_at) for t in status.trial_table]
    if status.evaluation is not None:
        spans.append((status.evaluation.started_at, status.evaluation.finished_at))
    return [(a.timestamp(), b.timestamp()) for a, b in spans if a and b]


def together(intervals: Iterable[Interval], begun: float, ended: float) -> float:
    """Length of the union of the intervals within a window."""
    total, reached = 0.0, begun
    for start, stop in sorted(intervals):
        low, high = max(start, reached), min(stop, ended)
        if high > low:
            total += high - low
            reached = high
    return total
