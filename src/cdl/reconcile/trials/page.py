"""A report of one Experiment for people who were not there: what was tried, what was stopped, what came out, of what.

It is blocks as a model card is, and one page that needs nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType
from cdl.reconcile.release.card import (
    Commands,
    Figure,
    Grid,
    Mono,
    Points,
    Prose,
    Title,
    Verdict,
    gated,
    members,
    number,
    results,
    said,
)
from cdl.reconcile.release.card import at as moment
from cdl.reconcile.release.card import facts as plain_facts
from cdl.reconcile.release.papers import Papers

from .curves import DRAWN, learning, reach
from .parallel import parallel, varied
from .told import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from cdl.reconcile.release.card import Block

    from .facts import SearchFacts
    from .told import SearchTold, TrialTold

ROWS = 100
"""Trials of the table; `cdl exp trials` has all."""
SHOWN_FIGURES = 6
"""Figures of a last validation that a table has room for."""


def report(facts: SearchFacts) -> tuple[Block, ...]:
    """Say everything, part by part; a part about which nothing is known says so or is left out."""
    told = tell(facts)
    parts = (_head(facts, told), _learned(facts, told), _tried(facts, told), _measured(facts), _of(facts), _more(facts))
    return tuple(block for part in parts for block in part)


def plots(facts: SearchFacts) -> tuple[Block, ...]:
    """Draw everything there is to draw, and say no more."""
    told = tell(facts)
    return (Title(f"Trials of {told.experiment}", 1), *_learned(facts, told), *_tried(facts, told))


def _head(facts: SearchFacts, told: SearchTold) -> Iterator[Block]:
    experiment = facts.experiment
    status = experiment.status
    ready = status.condition(ConditionType.READY)
    yield Title(f"Experiment {told.experiment}", 1)
    if ready is not None:
        yield Verdict(f"{ready.reason}: {ready.message or 'nothing more was said'}", ready.status == "True")
    counts = status.trials
    kinds = {"running": counts.running, "completed": counts.completed, "stopped early": counts.stopped}
    kinds["failed"] = counts.failed
    run = status.run
    yield plain_facts(
        (
            ("Namespace", Mono(told.namespace)),
            ("Run", f"{told.run or 'none yet'}{', ' + told.state.lower() if told.state else ''}"),
            ("Began and ended", f"{moment(run.started_at)} to {moment(run.finished_at) or 'now'}" if run else ""),
            ("Searcher", told.searcher),
            ("Judged by", f"{told.metric}, {'less' if told.smaller_is_better else 'more'} is better"),
            ("Trials", f"{counts.total}: " + ", ".join(f"{n} {what}" for what, n in kinds.items() if n)),
            ("Best trial", _best(told)),
            ("Slots were used for", f"{status.cost.slot_seconds:.1f} slot seconds"),
            ("Dataset version", Mono(status.data.version if status.data else "")),
            ("Release", Mono(status.release)),
        )
    )


def _best(told: SearchTold) -> str:
    best = next((t for t in told.trials if t.best), None)
    return f"{best.id}, {told.metric} {_maybe(best.metric)} on validation data" if best else ""


def _learned(facts: SearchFacts, told: SearchTold) -> Iterator[Block]:
    yield Title("How they learned")
    drawn = learning(facts)
    if not drawn:
        yield Prose("No trial has reported a validation that could be drawn.")
        return
    most = f" The best {DRAWN} of {len(told.trials)} trials are drawn." if len(told.trials) > DRAWN else ""
    yield Figure(drawn, f"{told.metric} on validation data, over {told.clock}: a line is a trial.{most}")
    last = [t for t in told.trials if t.last is not None][:10]
    names = list(dict.fromkeys(name for t in last if t.last for name in t.last.metrics))[:SHOWN_FIGURES]
    rows = ((str(t.id), str(t.last.steps), *(_maybe(t.last.metrics.get(n)) for n in names)) for t in last if t.last)
    yield Title("Where the curves ended", 3)
    yield Grid(("Trial", "Batches", *names), tuple(rows))


def _tried(facts: SearchFacts, told: SearchTold) -> Iterator[Block]:
    yield Title("What was tried, and what was stopped")
    if not told.trials:
        yield Prose("No trial is known.")
        return
    drawn = parallel(facts)
    if drawn:
        yield Figure(drawn, "A line is a trial: what it was given, and on the last axis what came of it.")
    far = reach(facts)
    if far:
        yield Figure(far, f"How far each trial came, in {told.clock}, with its {told.metric}; the best at the top.")
    names = varied([t.hparams for t in told.trials]) or tuple(told.trials[0].hparams)
    head = ("Trial", told.metric or "Metric", "Batches", "Seconds", "Restarts", *names, "What became of it")
    yield Grid(head, tuple(_row(t, names) for t in told.trials[:ROWS]))
    if len(told.trials) > ROWS:
        yield Prose(f"and {len(told.trials) - ROWS} more: `cdl exp trials {told.experiment} -o json` has all")
    fixed = {n: v for n, v in told.trials[0].hparams.items() if n not in names}
    if fixed:
        yield Prose("The same for all: " + ", ".join(f"{name} {said(value)}" for name, value in sorted(fixed.items())))


def _row(trial: TrialTold, names: tuple[str, ...]) -> tuple[str, ...]:
    best = " (best)" if trial.best else ""
    return (
        f"{trial.id}{best}",
        _maybe(trial.metric),
        str(trial.steps),
        "" if trial.seconds is None else f"{trial.seconds:.1f}",
        "" if trial.restarts is None else str(trial.restarts),
        *(said(trial.hparams.get(name)) for name in names),
        trial.why,
    )


def _measured(facts: SearchFacts) -> Iterator[Block]:
    found = facts.experiment.status.evaluation
    if found is None or not found.metrics:
        yield Title("What was measured")
        yield Prose("The test side was not measured yet.")
        return
    rows: JsonValue = {name: dict(row) for name, row in found.per_class.items()}
    kept: dict[str, JsonValue] = {"perClass": rows} if rows else {}
    yield from results(found.metrics, {**kept, **facts.report})
    yield Title("Gates")
    if found.gates:
        yield gated(found.gates)
        yield from (Prose(f"{g.about}: {g.words}.") for g in found.gates if g.words)
    if found.looks is not None:
        yield Prose(f"This test side has been looked at {found.looks} times.")
    else:
        yield Prose("The Experiment has none: whatever is measured passes.")


def _of(facts: SearchFacts) -> Iterator[Block]:
    """Of what it was made: of the Release every member; without one, of the data alone."""
    if facts.release is not None:
        yield from members(Papers(facts.release, builder_version=""))
        return
    data, code = facts.experiment.status.data, facts.experiment.spec.code
    yield Title("Of what")
    sides = {"Trained on": data.train, "Measured on": data.test} if data else {}
    yield plain_facts(
        (
            *((name, Mono(f"{side.repo}@{side.commit}")) for name, side in sides.items()),
            ("Snapshot of the labels", Mono(data.labels.snapshot if data else "")),
            ("Code", Mono(code.archive.sha256 or code.archive.uri if code.archive else "")),
            ("Key of the run", Mono(facts.experiment.status.run.key if facts.experiment.status.run else "")),
        )
    )


def _more(facts: SearchFacts) -> Iterator[Block]:
    if facts.notes:
        yield Title("What could not be learned")
        yield Points(facts.notes)
    name, namespace = facts.experiment.metadata.name, facts.experiment.metadata.namespace
    where = "" if namespace == "default" else f" -n {namespace}"
    yield Title("Look further")
    release = facts.experiment.status.release
    lines = [f"cdl exp trials {name}{where}", f"cdl exp logs {name}{where}"]
    yield Commands((*lines, *((f"cdl verify {release}{where}", f"cdl lineage {release}{where}") if release else ())))


def _maybe(value: float | None) -> str:
    return "" if value is None else number(value)
