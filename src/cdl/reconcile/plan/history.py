"""What stages took before, and so what they may take again."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from .stage import NO_HISTORY, NOTHING, Estimate, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cdl.api.v1alpha1.datapipeline import JobStatus
    from cdl.reconcile.experiment import RunSeen

    from .stage import Stage

HOUR = 3600
COSTLY = frozenset({Verdict.RUN, Verdict.UNKNOWN, Verdict.ROLLOUT})
LOOKED_BACK = 5
"""Runs that a median is taken of: the newest ones."""


def of_step(job: JobStatus | None) -> Estimate:
    """Estimate a step by its newest job, as if everything had to be processed."""
    if job is None or job.started_at is None or job.finished_at is None or not job.processed:
        return NO_HISTORY
    took = (job.finished_at - job.started_at).total_seconds()
    return Estimate(
        seconds=round(took * max(job.total / job.processed, 1), 3),
        basis=f"job {job.id[:12]}: {job.processed} of {job.total} datums in {took:.1f} s",
    )


def of_runs(runs: Iterable[RunSeen]) -> Estimate:
    """Estimate a run by the newest ones of its sort that ended well."""
    ended = sorted(
        (r.finished_at, (r.finished_at - r.started_at).total_seconds(), r)
        for r in runs
        if r.started_at is not None and r.finished_at is not None
    )[-LOOKED_BACK:]
    if not ended:
        return NO_HISTORY
    slots = [r.slot_seconds for _, _, r in ended if r.slot_seconds]
    one = f"run {ended[-1][2].id}"
    return Estimate(
        seconds=round(median(took for _, took, _ in ended), 3),
        slot_hours=round(median(slots) / HOUR, 6) if slots else None,
        basis=one if len(ended) == 1 else f"median of the newest {len(ended)} runs",
    )


def of_stages(stages: Sequence[Stage]) -> Estimate:
    """Estimate one resource: stages one after the other, the sides of a stage at once."""
    running = [s for s in stages if s.verdict in COSTLY and s.estimate != NOTHING]
    names = dict.fromkeys(s.name for s in running)
    return one_after_the_other([_sides([s for s in running if s.name == name]) for name in names])


def _sides(stages: Sequence[Stage]) -> Estimate:
    whole = at_once([s.estimate for s in stages])
    if any(s.estimate.seconds is None for s in stages):
        return whole.model_copy(update={"missing": (stages[0].name,)})
    return whole


def one_after_the_other(parts: Sequence[Estimate]) -> Estimate:
    """Add up what follows one another."""
    return _summed(parts, sum)


def at_once(parts: Sequence[Estimate]) -> Estimate:
    """The longest of what goes on at the same time; slots add up."""
    return _summed(parts, max)


def _summed(parts: Sequence[Estimate], times: Callable[[list[float]], float]) -> Estimate:
    if len(parts) <= 1:
        return parts[0] if parts else NOTHING
    known = [e.seconds for e in parts if e.seconds is not None]
    slots = [e.slot_hours for e in parts if e.slot_hours is not None]
    return Estimate(
        seconds=round(times(known), 3) if known else None,
        slot_hours=round(sum(slots), 6) if slots else None,
        basis="what took as long before" if known else "no history",
        missing=tuple(dict.fromkeys(name for e in parts for name in e.missing)),
    )
