"""What differs between two Experiments: what they were asked for, how their searches went and what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cdl.api.meta import Frozen
from cdl.reconcile.release.diff import Changed, changed
from cdl.reconcile.release.significance import MetricDiff, metrics_diff

from .told import TrialTold, tell

if TYPE_CHECKING:
    from pydantic import JsonValue

    from .facts import SearchFacts


class Side(Frozen):
    """One of the two."""

    experiment: str = Field(description="Its name.")
    run: str = Field("", description="The engine's name of its newest run.")
    state: str = Field("", description="What the run is doing.")
    data: str = Field("", description="The dataset version it works with.")
    searcher: str = Field("", description="How it searches.")
    trials: int = Field(0, description="How many trials there are.")
    stopped: int = Field(0, description="How many of them the searcher ended.")
    slot_seconds: float = Field(0, description="Seconds times slots, of training and evaluation.")
    best: TrialTold | None = Field(None, description="The best trial.")
    release: str = Field("", description="The Release it made.")


class ExperimentDiff(Frozen):
    """What differs."""

    schema_: Literal["cdl.dev/experiments/v1"] = Field(
        "cdl.dev/experiments/v1", alias="schema", description="Which words these are."
    )
    a: Side = Field(description="The one that is compared.")
    b: Side = Field(description="The one it is compared with.")
    same_data: bool = Field(description="Both work with the same dataset version.")
    config: tuple[Changed, ...] = Field((), description="What they were asked for.")
    hparams: tuple[Changed, ...] = Field((), description="Hyperparameters of the best trials.")
    metrics: tuple[MetricDiff, ...] = Field((), description="What was measured on the test side.")
    notes: tuple[str, ...] = Field((), description="What could not be learned.")


def compare(a: SearchFacts, b: SearchFacts) -> ExperimentDiff:
    """Compare two."""
    old, new = _side(a), _side(b)
    return ExperimentDiff(
        a=old,
        b=new,
        same_data=old.data == new.data != "",
        config=changed(_wanted(a), _wanted(b)),
        hparams=changed(old.best.hparams if old.best else {}, new.best.hparams if new.best else {}),
        metrics=metrics_diff(_measured(a), _measured(b), same_test=old.data == new.data != ""),
        notes=tuple(f"{side.experiment.metadata.name}: {note}" for side in (a, b) for note in side.notes),
    )


def _side(facts: SearchFacts) -> Side:
    told, status = tell(facts), facts.experiment.status
    return Side(
        experiment=told.experiment,
        run=told.run,
        state=told.state,
        data=status.data.version if status.data else "",
        searcher=told.searcher,
        trials=len(told.trials),
        stopped=sum(t.stopped_early for t in told.trials),
        slot_seconds=status.cost.slot_seconds,
        best=next((t for t in told.trials if t.metric is not None), None),
        release=status.release,
    )


def _wanted(facts: SearchFacts) -> dict[str, JsonValue]:
    """What a person asked for; what the platform adds is the same, or tells nothing."""
    spec = facts.experiment.spec.model_dump(mode="json", by_alias=True)
    return {name: spec.get(name) for name in ("data", "code", "config", "warmStart", "evaluation", "budget")}


def _measured(facts: SearchFacts) -> dict[str, JsonValue]:
    found = facts.experiment.status.evaluation
    metrics: dict[str, JsonValue] = dict(found.metrics) if found else {}
    return {**facts.report, "metrics": metrics}
