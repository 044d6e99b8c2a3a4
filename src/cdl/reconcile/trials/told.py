"""What is told of a search, for people and programs alike."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from cdl.api.meta import Frozen
from cdl.reconcile.experiment import RunPhase

if TYPE_CHECKING:
    from cdl.api.v1alpha1.experiment import TrialStatus
    from cdl.reconcile.experiment import Point, TrialFound

    from .facts import Searcher, SearchFacts


class CurvePoint(Frozen):
    """What a trial said after so many batches."""

    steps: int = Field(description="Batches trained.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Every figure it reported.")


class TrialTold(Frozen):
    """One trial."""

    rank: int = Field(description="1 is the best; those without a figure come last.")
    id: int = Field(description="The engine's name of the trial.")
    state: str = Field(description="What it is doing, or what became of it.")
    stopped_early: bool = Field(False, description="The searcher ended it.")
    best: bool = Field(False, description="It won: its checkpoint is what was evaluated.")
    metric: float | None = Field(None, description="Best value of the searcher's metric; absent: it reported none.")
    steps: int = Field(0, description="Batches trained.")
    restarts: int | None = Field(None, description="How often it was started again; absent: the engine was not asked.")
    seconds: float | None = Field(None, description="From its beginning to its end; absent: it goes on.")
    started_at: datetime | None = Field(None, description="When it began.")
    finished_at: datetime | None = Field(None, description="When it ended.")
    hparams: dict[str, JsonValue] = Field(default_factory=dict, description="Its hyperparameters.")
    last: CurvePoint | None = Field(None, description="Its last validation.")
    why: str = Field("", description="What became of it, and why, in words.")
    curve: tuple[CurvePoint, ...] = Field((), description="Its validations, the first one first.")


class SearchTold(Frozen):
    """A run of an Experiment with its trials."""

    schema_: Literal["cdl.dev/trials/v1"] = Field(
        "cdl.dev/trials/v1", alias="schema", description="Which words these are."
    )
    experiment: str = Field(description="Its name.")
    namespace: str = Field(description="Where it is.")
    run: str = Field("", description="The engine's name of its newest run; empty: there is none yet.")
    state: str = Field("", description="What the run is doing.")
    searcher: str = Field("", description="How it searches.")
    metric: str = Field("", description="By which metric.")
    smaller_is_better: bool = Field(description="Which way is up.")
    clock: str = Field("", description="What counts as time: a metric, or batches.")
    trials: tuple[TrialTold, ...] = Field((), description="The best first.")
    notes: tuple[str, ...] = Field((), description="What could not be learned.")


def tell(facts: SearchFacts) -> SearchTold:
    """Say everything about the newest run."""
    experiment, searcher = facts.experiment, facts.searcher
    status = experiment.status
    best = status.best_trial.id if status.best_trial else None
    return SearchTold(
        experiment=experiment.metadata.name,
        namespace=experiment.metadata.namespace,
        run=status.run.id if status.run else "",
        state=status.run.state if status.run else "",
        searcher=searcher.name,
        metric=searcher.metric,
        smaller_is_better=searcher.smaller_is_better,
        clock=searcher.unit,
        trials=tuple(_trial(rank, t, facts, best) for rank, t in enumerate(facts.ranked(), start=1)),
        notes=facts.notes,
    )


def _trial(rank: int, trial: TrialFound, facts: SearchFacts, best: int | None) -> TrialTold:
    status, curve = trial.status, tuple(map(_point, trial.validations))
    return TrialTold(
        rank=rank,
        id=status.id,
        state=status.state,
        stopped_early=status.stopped_early,
        best=status.id == best,
        metric=status.metric,
        steps=status.steps,
        restarts=trial.restarts,
        seconds=seconds(status),
        started_at=status.started_at,
        finished_at=status.finished_at,
        hparams=status.hparams,
        last=curve[-1] if curve else None,
        why=fate(trial, facts),
        curve=curve,
    )


def _point(point: Point) -> CurvePoint:
    return CurvePoint(steps=point.steps, metrics=dict(point.metrics))


def seconds(trial: TrialStatus) -> float | None:
    """How long a trial took; None: it goes on, or never began."""
    if trial.started_at is None or trial.finished_at is None:
        return None
    return (trial.finished_at - trial.started_at).total_seconds()


def fate(trial: TrialFound, facts: SearchFacts) -> str:
    """Say what became of a trial."""
    status = trial.status
    again = f" after {trial.restarts} restart{'s' if trial.restarts > 1 else ''}" if trial.restarts else ""
    if status.stopped_early:
        return f"stopped by the searcher: {_place(trial, facts)}" + (f"; started again {trial.restarts}x" * bool(again))
    match status.state:
        case RunPhase.SUCCEEDED.value:
            return f"ran to its end{again}"
        case RunPhase.FAILED.value:
            return f"failed{again}; its log says why"
        case RunPhase.CANCELED.value:
            return f"was ended from outside{again}"
        case state:
            return f"{state.lower()}{again}"


def _place(trial: TrialFound, facts: SearchFacts) -> str:
    """Say how it stood, where it was stopped, among all that came as far by now."""
    searcher = facts.searcher
    if not trial.validations:
        return "it had come less far than others"
    end = searcher.time(trial.validations[-1])
    known = [(other.status.id, value) for other in facts.trials if (value := _at(other, searcher, end)) is not None]
    mine = dict(known).get(trial.status.id)
    if mine is None:
        return f"after {end:g} {searcher.unit}"
    better = sum(searcher.order(value) < searcher.order(mine) for _, value in known)
    return f"after {end:g} {searcher.unit} its {searcher.metric} of {mine:.4g} was place {better + 1} of {len(known)}"


def _at(trial: TrialFound, searcher: Searcher, time: float) -> float | None:
    """What a trial had reported when it had come just so far; None: it never said anything there."""
    found = [
        p.metrics[searcher.metric]
        for p in trial.validations
        if searcher.time(p) == time and searcher.metric in p.metrics
    ]
    return found[-1] if found else None
