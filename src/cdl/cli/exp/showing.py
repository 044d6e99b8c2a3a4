"""Experiments and trials as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdl.api.conditions import ConditionType
from cdl.cli.get import age
from cdl.cli.screen import shown, table
from cdl.reconcile.trials import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Experiment
    from cdl.api.v1alpha1.experiment import EvaluationStatus
    from cdl.reconcile.trials import ExperimentDiff, SearchFacts, SearchTold, TrialTold

DIGITS = 19
"""Of a digest, as every table shows it."""
BEST = 5
"""Trials that a description names."""
NOTHING = "-"
TRIALS = ("TRIAL", "STATE", "METRIC", "BATCHES", "RESTARTS", "SECONDS", "LAST", "HYPERPARAMETERS", "")


def listed_row(experiment: Experiment) -> tuple[object, ...]:
    """Give a row of `cdl exp list`."""
    status = experiment.status
    ready = status.condition(ConditionType.READY)
    counts, best = status.trials, status.best_trial
    measured = status.evaluation.metrics if status.evaluation else {}
    return (
        experiment.metadata.name,
        ready.reason if ready else NOTHING,
        status.run.id if status.run else NOTHING,
        counts.total,
        counts.stopped,
        counts.failed,
        best.metric if best else None,
        figures(measured) or NOTHING,
        status.release or NOTHING,
        age(experiment.metadata.creation_timestamp.isoformat()) if experiment.metadata.creation_timestamp else NOTHING,
    )


def trials_of(told: SearchTold) -> None:
    """Print the trials of a run, the best first."""
    title = (
        f"run {told.run or NOTHING} of experiment {told.experiment}, by {told.metric or 'no metric'} on validation data"
    )
    table(title, TRIALS, map(trial_row, told.trials))
    notes(told.notes)


def trial_row(trial: TrialTold) -> tuple[object, ...]:
    """Give a row of the table of trials."""
    return (
        trial.id,
        state_of(trial.state, stopped_early=trial.stopped_early),
        trial.metric,
        trial.steps,
        trial.restarts,
        NOTHING if trial.seconds is None else f"{trial.seconds:.1f}",
        figures(trial.last.metrics) if trial.last else NOTHING,
        hyperparameters(trial.hparams),
        "best" if trial.best else "",
    )


def described(facts: SearchFacts) -> None:
    """Print an Experiment for people."""
    experiment, told = facts.experiment, tell(facts)
    status = experiment.status
    ready = status.condition(ConditionType.READY)
    counts = status.trials
    kinds = {"running": counts.running, "completed": counts.completed, "stopped early": counts.stopped}
    spoken = ", ".join(f"{count} {what}" for what, count in (kinds | {"failed": counts.failed}).items())
    rows: list[tuple[str, object]] = [
        ("status", f"{ready.reason}: {ready.message}" if ready else NOTHING),
        ("run", f"{told.run or NOTHING} {told.state.lower()}".rstrip()),
        ("began, ended", f"{shown(status.run.started_at)}, {shown(status.run.finished_at)}" if status.run else NOTHING),
        ("searcher", f"{told.searcher} by {told.metric}, {'less' if told.smaller_is_better else 'more'} is better"),
        ("trials", f"{counts.total}: {spoken}"),
        ("data", status.data.version if status.data else NOTHING),
        ("slot seconds", status.cost.slot_seconds),
        ("release", status.release or NOTHING),
    ]
    table("", ("", f"experiment {told.experiment}"), rows)
    click.echo()
    table(f"the best of {len(told.trials)} trials", TRIALS, map(trial_row, told.trials[:BEST]))
    for trial in told.trials[:BEST]:
        click.echo(f"trial {trial.id} {trial.why}")
    click.echo()
    if status.evaluation is not None:
        evaluated(status.evaluation)
    notes(told.notes)


def evaluated(evaluation: EvaluationStatus) -> None:
    """Print what was measured on the test side, and the gates."""
    measured = ", ".join(
        f"{name} {value:.4f}{_between(evaluation.intervals.get(name, ()))}"
        for name, value in evaluation.metrics.items()
    )
    click.echo(f"test side: {measured}")
    if evaluation.looks is not None:
        click.echo(f"this test side has been looked at {evaluation.looks} times")
    names = sorted({name for row in evaluation.per_class.values() for name in row})
    rows = ((label, *(row.get(n) for n in names)) for label, row in evaluation.per_class.items())
    table("", ("CLASS", *(n.upper() for n in names)), rows)
    gates = (
        (
            g.about,
            g.value,
            "-" if g.min is None else g.min,
            "-" if g.max is None else g.max,
            "passed" if g.passed else "FAILED",
        )
        for g in evaluation.gates
    )
    table("gates", ("METRIC", "FOUND", "MIN", "MAX", ""), gates)
    for gate in evaluation.gates:
        if gate.words:
            click.echo(f"{gate.about}: {gate.words}")


def _between(bounds: Sequence[float]) -> str:
    return f" ({bounds[0]:.4f} to {bounds[1]:.4f})" if bounds else ""


def differing(told: ExperimentDiff) -> None:
    """Print what differs between two Experiments."""
    rows = [
        (
            side.experiment,
            side.run or NOTHING,
            side.searcher,
            side.trials,
            side.stopped,
            side.best.metric if side.best else None,
            f"{side.slot_seconds:.1f}",
            side.data[:DIGITS] or NOTHING,
            side.release or NOTHING,
        )
        for side in (told.a, told.b)
    ]
    table("", ("EXPERIMENT", "RUN", "SEARCHER", "TRIALS", "STOPPED", "BEST", "SLOT SECONDS", "DATA", "RELEASE"), rows)
    click.echo(f"\n{'the same data' if told.same_data else 'other data: figures of two tests are not comparable'}")
    for title, changes in (("asked for", told.config), ("hyperparameters of the best trial", told.hparams)):
        if changes:
            click.echo()
            table(title, ("WHAT", "CHANGE"), (tuple(c.words.split(": ", 1)) for c in changes))
    if told.metrics:
        click.echo()
        table(
            "test side", ("METRIC", "A", "B", "WHAT THAT MEANS"), ((m.metric, m.a, m.b, m.words) for m in told.metrics)
        )
    if told.a.release and told.b.release and told.a.release != told.b.release:
        click.echo(f"\n`cdl diff {told.a.release} {told.b.release}` compares code, data and environment, too")
    notes(told.notes)


def notes(told: Iterable[str]) -> None:
    """Say what could not be learned; not on the output, for that is a table."""
    for note in told:
        click.echo(f"note: {note}", err=True)


def state_of(state: str, *, stopped_early: bool) -> str:
    """Say in a word or two what became of a trial."""
    return "Stopped early" if stopped_early else state


def figures(metrics: Mapping[str, float]) -> str:
    """Write figures in a line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(metrics.items()))


def hyperparameters(hparams: Mapping[str, JsonValue]) -> str:
    """Write hyperparameters in a line."""
    return ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in hparams.items())
