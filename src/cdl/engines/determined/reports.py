"""Everything that the trials of a run reported, in the order of their batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from determined.common.api import bindings

from cdl.reconcile.experiment import Point, TrialFound

from .reading import allocations
from .translate import number, searcher_of, trial_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from determined.common import api

    from .reading import Reader

AT_ONCE = 100
"""Trials that are asked for in one request; an address has no room for more."""
GROUPS = {"validation": "validation_metrics", "training": "avg_metrics"}
Points = dict[int, tuple[Point, ...]]


def found_trials(reader: Reader, session: api.Session, run: str) -> tuple[TrialFound, ...] | None:
    """Give the trials of a run with their reports; None: the run is not there."""
    found = reader.one(session, run)
    if found is None:
        return None
    trials, searcher = reader.trials(session, found.id), searcher_of(found.config)
    validations, training = (_points(session, [t.id for t in trials], group) for group in GROUPS)
    return tuple(
        TrialFound(
            trial_status(trial, searcher, allocations(session, trial)),
            trial.restarts,
            validations.get(trial.id, ()),
            training.get(trial.id, ()),
        )
        for trial in trials
    )


def _points(session: api.Session, trials: Sequence[int], group: str) -> Points:
    """Read one group; what a restarted trial reports again replaces what it said of the same batch before."""
    found: dict[int, dict[int, Point]] = {}
    for first in range(0, len(trials), AT_ONCE):
        some = trials[first : first + AT_ONCE]
        for answer in bindings.get_GetMetrics(session, trialIds=some, group=group):
            for report in answer.metrics:
                if not report.archived:
                    figures = _figures(report.metrics.get(GROUPS[group]))
                    found.setdefault(report.trialId, {})[report.totalBatches] = Point(report.totalBatches, figures)
    return {trial: tuple(point for _, point in sorted(points.items())) for trial, points in found.items()}


def _figures(metrics: Mapping[str, object] | None) -> dict[str, float]:
    return {name: value for name, said in (metrics or {}).items() if (value := number(said)) is not None}
