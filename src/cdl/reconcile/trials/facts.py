"""An Experiment with what its engine knows of its newest run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Experiment, Release
    from cdl.reconcile.experiment import Point, TrialFound


@dataclass(frozen=True, slots=True)
class Searcher:
    """By what a search judges, and what it counts as time."""

    name: str = ""
    metric: str = ""
    smaller_is_better: bool = True
    clock: str = ""
    """The metric that says how far a trial has come; empty: its batches do."""
    end: float | None = None
    """How far a trial goes that nobody stops."""

    @classmethod
    def of(cls, config: Mapping[str, JsonValue]) -> Searcher:
        """Read a configuration; what is missing is as Determined has it."""
        found = config.get("searcher")
        said = found if isinstance(found, dict) else {}
        end = said.get("max_time")
        return cls(
            str(said.get("name") or ""),
            str(said.get("metric") or ""),
            said.get("smaller_is_better") is not False,
            str(said.get("time_metric") or ""),
            float(end) if isinstance(end, int | float) else None,
        )

    @property
    def unit(self) -> str:
        """What its time is counted in."""
        return self.clock or "batches"

    def time(self, point: Point) -> float:
        """How far a trial had come when it said this."""
        return point.metrics.get(self.clock, float(point.steps))

    def order(self, value: float | None) -> float:
        """Give a figure by which the better one comes first, and none at all last."""
        if value is None:
            return math.inf
        return value if self.smaller_is_better else -value


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """Everything that is told of one Experiment."""

    experiment: Experiment
    trials: tuple[TrialFound, ...] = ()
    config: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the run was asked for; what the Experiment says now where nobody knows."""
    report: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the evaluator reported."""
    release: Release | None = None
    """What it came to."""
    notes: tuple[str, ...] = ()
    """What could not be learned, a sentence each."""

    @property
    def searcher(self) -> Searcher:
        """By what the search judged."""
        return Searcher.of(self.config)

    def ranked(self) -> tuple[TrialFound, ...]:
        """Give the trials, the best first, those without a figure last."""
        order = self.searcher.order
        return tuple(sorted(self.trials, key=lambda trial: (order(trial.status.metric), trial.status.id)))
