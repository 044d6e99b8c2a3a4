"""How a plan is shown: as tables, as Markdown for a merge request, as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdl.reconcile.plan import Verdict, labelled

from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.reconcile.plan import Estimate, Plan, ResourcePlan, Stage

MINUTE, HOUR = 60, 3600
COLUMNS = ("STAGE", "VERDICT", "WHY", "TIME", "SLOT HOURS")
SAID = {
    Verdict.RUN: ("runs", "run"),
    Verdict.ROLLOUT: ("is rolled out", "are rolled out"),
    Verdict.UNKNOWN: ("is uncertain", "are uncertain"),
    Verdict.WAIT: ("waits", "wait"),
    Verdict.REUSE: ("is reused", "are reused"),
}
Row = tuple[str, str, str, str, str]


def text(plan: Plan) -> None:
    """Print tables, and what a person should know beside them."""
    for resource in plan.resources:
        table(_title(resource), COLUMNS, _rows(resource))
        for line in _asides(resource):
            click.echo(f"  {line}")
        click.echo()
    click.echo(summary(plan))


def markdown(plan: Plan) -> str:
    """Write the same for a merge request."""
    parts = ["## Plan", "", summary(plan), ""]
    for resource in plan.resources:
        parts += [f"### {_title(resource)}", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        parts += [_line(row) for row in _rows(resource)]
        parts += ["", *(f"> {line}" for line in _asides(resource))]
        parts += [""] if _asides(resource) else []
    return "\n".join(parts).rstrip()


def json(plan: Plan) -> str:
    """Write what `docs/reference/plan.md` describes."""
    return plan.model_dump_json(by_alias=True, exclude_none=True, indent=2)


def summary(plan: Plan) -> str:
    """Say how much of everything, and how long it takes."""
    stages = [s for r in plan.resources for s in r.stages]
    if not plan.runs:
        waiting = sum(s.verdict is Verdict.WAIT for s in stages)
        if not waiting:
            return "Nothing changes: nothing runs."
        return f"Nothing runs: {waiting} of {len(stages)} stages {SAID[Verdict.WAIT][waiting > 1]}."
    counts = {verdict: sum(s.verdict is verdict for s in stages) for verdict in Verdict}
    told = ", ".join(f"{count} {SAID[verdict][count > 1]}" for verdict, count in counts.items() if count)
    return f"Of {len(stages)} stages {told}. {_cost(plan.estimate)}"


def _cost(took: Estimate) -> str:
    without = ", ".join(took.missing)
    if took.seconds is None:
        return f"How long that takes is not known: no history of {without}." if without else ""
    slots = f" and {took.slot_hours:.4g} slot hours" if took.slot_hours is not None else ""
    aside = f"; no history of {without}" if without else ""
    return f"About {lasting(took.seconds)}{slots}, as before{aside}."


def lasting(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.1f} min"
    return f"{seconds / HOUR:.1f} h"


def _title(resource: ResourcePlan) -> str:
    place = "" if resource.namespace == "default" else f" in {resource.namespace}"
    return f"{resource.kind} {resource.name}{place}: {resource.change}"


def _asides(resource: ResourcePlan) -> list[str]:
    return [*(f"warning: {w}" for w in resource.warnings), *(f"note: {n}" for n in resource.notes)]


def _rows(resource: ResourcePlan) -> Iterator[Row]:
    """One row a stage; sides of which the same is said share one."""
    for label, stages in labelled(resource.stages):
        yield _row(stages[0], label, max((s.estimate for s in stages), key=_length))


def _length(estimate: Estimate) -> float:
    return estimate.seconds if estimate.seconds is not None else -1


def _row(stage: Stage, label: str, estimate: Estimate) -> Row:
    verdict = str(stage.verdict) if stage.sure or stage.verdict is Verdict.UNKNOWN else f"{stage.verdict} (likely)"
    if not estimate.basis:
        time = slots = ""
    else:
        time = f"~{lasting(estimate.seconds)}" if estimate.seconds is not None else estimate.basis
        slots = f"~{estimate.slot_hours:.4g}" if estimate.slot_hours is not None else ""
    return label, verdict, "; ".join(stage.reasons), time, slots


def _line(cells: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
