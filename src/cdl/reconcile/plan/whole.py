"""Put the plans of resources together: figures, budgets and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.duration import length

from .history import at_once, of_stages, one_after_the_other
from .stage import NO_HISTORY, NOTHING, Change, Plan, ResourcePlan, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
    from cdl.api.v1alpha1.experiment import Budget

    Planned = DataPipeline | Experiment | ModelDeployment


KINDS = ("DataPipeline", "Experiment", "ModelDeployment")
"""In the order in which they work."""


def resource_plan(
    wanted: Planned,
    stages: tuple[Stage, ...],
    change: Change,
    *,
    asked: bool = True,
    at_rest: bool = True,
    notes: tuple[str, ...] = (),
) -> ResourcePlan:
    """Put the plan of one resource together; what only a resting resource says truly is not claimed of another."""
    if not at_rest:
        stages = tuple(_doubted(stage) for stage in stages)
        notes = (*notes, "its last change did not come to its end, so its status does not say what there is")
    warnings, over = over_budget(wanted.spec.budget, stages) if wanted.kind == "Experiment" else ((), False)
    meta = wanted.metadata
    return ResourcePlan(
        kind=wanted.kind,
        namespace=meta.namespace,
        name=meta.name,
        change=change,
        stages=stages,
        estimate=of_stages(stages),
        warnings=warnings,
        over_budget=over,
        asked=asked,
        notes=notes,
    )


def _doubted(stage: Stage) -> Stage:
    if stage.verdict is not Verdict.REUSE:
        return stage.model_copy(update={"sure": False})
    why = "it is not known whether it has run"
    return stage.model_copy(
        update={"verdict": Verdict.UNKNOWN, "reasons": (why, *stage.reasons), "sure": False, "estimate": NO_HISTORY}
    )


def over_budget(budget: Budget, stages: Sequence[Stage]) -> tuple[tuple[str, ...], bool]:
    """Compare what training took before with what it may take; what the loop itself stops a run by."""
    train = next((s for s in stages if s.name == "train"), None)
    if train is None or train.verdict is not Verdict.RUN:
        return (), False
    found: list[str] = []
    seconds, slot_hours = train.estimate.seconds, train.estimate.slot_hours
    limited = [n for n, v in (("maxDuration", budget.max_duration), ("maxSlotHours", budget.max_slot_hours)) if v]
    if limited and seconds is None:
        return (f"no history: whether it stays within spec.budget ({', '.join(limited)}) is not known",), False
    if (
        budget.max_duration is not None
        and seconds is not None
        and seconds > length(budget.max_duration).total_seconds()
    ):
        found.append(f"train took {seconds:.0f} s before, spec.budget.maxDuration allows {budget.max_duration}")
    if budget.max_slot_hours is not None and slot_hours is not None and slot_hours > budget.max_slot_hours:
        allowed = f"spec.budget.maxSlotHours allows {budget.max_slot_hours:g}"
        found.append(f"train used {slot_hours:.4g} slot hours before, {allowed}")
    return tuple(f"{sentence}: it would be stopped" for sentence in found), bool(found)


def whole_plan(resources: Sequence[ResourcePlan]) -> Plan:
    """Put everything together, in the order in which it happens."""
    in_order = sorted(resources, key=lambda r: (KINDS.index(r.kind), r.namespace, r.name))
    by_kind = [[r.estimate for r in in_order if r.kind == kind and r.busy] for kind in KINDS]
    known = [at_once(estimates) for estimates in by_kind if estimates]
    return Plan(
        runs=any(r.busy for r in in_order),
        over_budget=any(r.over_budget for r in in_order),
        estimate=one_after_the_other([e for e in known if e != NOTHING]),
        resources=tuple(in_order),
    )


def labelled(stages: Sequence[Stage]) -> list[tuple[str, tuple[Stage, ...]]]:
    """Put sides of which the same is said under one label."""
    by_name: dict[str, list[Stage]] = {}
    for stage in stages:
        by_name.setdefault(stage.name, []).append(stage)
    found: list[tuple[str, tuple[Stage, ...]]] = []
    for name, sides in by_name.items():
        alike = len({(s.verdict, s.reasons) for s in sides}) == 1
        found += [(name, tuple(sides))] if alike else [(s.label, (s,)) for s in sides]
    return found


def in_a_line(stages: Sequence[Stage]) -> str:
    """Say a plan in one sentence: what runs and why, what follows from that, and what is reused."""
    told: dict[tuple[Verdict, str], list[str]] = {}
    follow: list[str] = []
    reused: list[str] = []
    for label, (stage, *_) in labelled(stages):
        if stage.verdict is Verdict.REUSE:
            reused.append(label)
        elif told and stage.verdict is Verdict.RUN and not stage.sure:
            follow.append(label)
        else:
            told.setdefault((stage.verdict, "; ".join(stage.reasons)), []).append(label)
    parts = [f"{', '.join(of)} {_VERB[verdict][len(of) > 1]}: {why}" for (verdict, why), of in told.items()]
    parts += [f"then {', '.join(follow)}"] if follow else []
    parts += [f"reused: {', '.join(reused)}"] if reused else []
    return ". ".join(parts)


_VERB = {
    Verdict.RUN: ("runs", "run"),
    Verdict.ROLLOUT: ("is rolled out", "are rolled out"),
    Verdict.WAIT: ("waits", "wait"),
    Verdict.UNKNOWN: ("is uncertain", "are uncertain"),
}
