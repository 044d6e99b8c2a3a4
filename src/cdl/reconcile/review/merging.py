"""What merging will do to production, from the plan that the loop's own decisions make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.reconcile.plan import BUSY, Change, Plan, Verdict, in_a_line

from .defused import mono, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdl.reconcile.plan import Estimate, ResourcePlan, Stage

MOST = 30
MINUTE, HOUR = 60, 3600
TRAINS = "train"
ADOPTS = "adopt"
"""What a stage, or the reason of one, is called by which a Release that is there already is taken over."""


def merging(plan: Plan | str) -> Iterator[str]:
    """Write the part about production."""
    if not plan:
        return
    yield "#### If this is merged"
    if isinstance(plan, str):
        yield f"What merging does to production could not be planned: {plain(plan)}."
        return
    yield f"**{sentence(plan)}**{_takes(plan.estimate)}"
    rows = [_row(one) for one in plan.resources[:MOST]]
    more = f"\n\nand {len(plan.resources) - MOST} resources more" if len(plan.resources) > MOST else ""
    if rows:
        yield table(("Production", "It is", "What happens"), rows) + more
    notes = [*(f"warning: {w}" for r in plan.resources for w in r.warnings)]
    notes += [*dict.fromkeys(f"note: {n}" for r in plan.resources for n in r.notes)]
    if notes:
        yield "\n".join(f"- {plain(note)}" for note in notes[:MOST])


def sentence(plan: Plan) -> str:
    """Say in one sentence what becomes of production."""
    stages = [stage for resource in plan.resources for stage in resource.stages]
    busy = [stage for stage in stages if stage.verdict in BUSY]
    if any(_adopts(stage) for stage in busy):
        return "Production adopts the Release: nothing is trained again."
    trains = [stage for stage in busy if stage.name == TRAINS]
    if trains:
        sure = all(stage.verdict is Verdict.RUN and stage.sure for stage in trains)
        return "Production trains again." if sure else "Production may train again."
    if any(stage.name in {"evaluate", "release", "approve"} for stage in busy):
        return "Production trains nothing: it measures or releases again what is there."
    if any(stage.name == "rollout" for stage in busy):
        return "Production trains nothing: it only serves otherwise."
    if busy:
        return "Production works on its data and trains nothing yet."
    waiting = {stage.name for stage in stages if stage.verdict is Verdict.WAIT}
    if waiting and waiting <= {"approve", "rollout"}:
        return "Production trains nothing: it serves otherwise once the Release is approved."
    if waiting:
        return "Nothing runs in production: it waits."
    return "Nothing changes in production."


def _adopts(stage: Stage) -> bool:
    return ADOPTS in stage.name or any(ADOPTS in reason for reason in stage.reasons)


def _row(resource: ResourcePlan) -> tuple[str, str, str]:
    changed = "affected" if resource.change is Change.AFFECTED else resource.change.value
    return f"{resource.kind} {mono(resource.name)}", changed, plain(in_a_line(resource.stages), 400)


def _takes(took: Estimate) -> str:
    if took.seconds is None:
        return ""
    slots = f" and {took.slot_hours:.4g} slot hours" if took.slot_hours is not None else ""
    return f" About {lasting(took.seconds)}{slots}, as before."


def lasting(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / MINUTE:.1f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def listed(lines: Iterable[str]) -> str:
    """Write a list of Markdown."""
    return "\n".join(f"- {line}" for line in lines)
