"""From sources to one dataset version, one step at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side
from cdl.api.v1alpha1.resource import DeletionPolicy
from cdl.reconcile.decision import HELD, PATIENT, SOON, Decision
from cdl.reconcile.protection import data_is_kept
from cdl.reconcile.summary import busy, stalled, suspended

from .actions import CollectSource, EnsureStep, ForgetData, Ingest
from .asking import ask, is_asking, listening
from .judge import is_refused, judge
from .seen import SideSeen, StepSeen
from .status import say
from .timetable import due, outdated
from .wishes import ingest_key, wishes

if TYPE_CHECKING:
    from cdl.api.v1alpha1.datapipeline import DataPipeline, DataPipelineStatus

    from .actions import Action
    from .seen import Seen


def decide(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """Say what brings the dataset one step closer to its spec."""
    spec = resource.spec
    if resource.metadata.deleting:
        kept = data_is_kept(resource, seen.pinned_by)
        if kept:
            said = say(resource, seen, stalled(Reason.PINNED_BY_RELEASE, kept))
            return replace(said, holds=True, look_again_after=HELD)
        gone: tuple[Action, ...] = (ForgetData(),) if spec.deletion_policy is DeletionPolicy.DELETE else ()
        return say(resource, seen, busy(Reason.DELETING, "removing repositories and pipelines"), gone)
    if spec.suspend:
        told = resource.status.model_copy(update={"next_fetch_at": None})
        return Decision(suspended(told, resource.metadata.generation))
    unknown = sorted({s.uses for s in spec.steps if s.uses and s.uses not in seen.programs})
    if unknown:
        known = ", ".join(sorted(seen.programs))
        return say(
            resource,
            seen,
            stalled(Reason.INVALID_SPEC, f"spec.steps: uses {unknown[0]!r} is no built-in program; there are: {known}"),
        )
    return _bring_data_in(resource, seen) or _run_steps(resource, seen) or _label(resource, seen)


def _label(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """Have people label what the steps left, where labels come from people, and judge the whole."""
    if not is_asking(resource):
        return judge(resource, seen)
    if is_refused(resource, seen):  # nobody labels what is not good enough
        return judge(resource, seen)
    asked = ask(resource, seen)
    if asked.doing is not None:
        return say(resource, seen, asked.doing, asked.actions, asked.wait, asked.trouble)
    said = judge(resource, replace(seen, manifests=asked.manifests))
    return replace(said, look_again_after=listening(said.look_again_after))


def _bring_data_in(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action] | None:
    spec = resource.spec
    if not spec.sources:
        empty = [s.repo for s in seen.sides if s.head is None]
        return (
            say(resource, seen, busy(Reason.WAITING_FOR_DATA, f"nothing was pushed to {empty[0]} yet"), wait=PATIENT)
            if empty
            else None
        )
    at = due(resource, seen)
    missing = tuple(s for s in spec.sources if outdated(s, seen, at))
    if missing:
        again = f", due {at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""
        doing = busy(Reason.FETCHING_SOURCES, f"fetching {', '.join(s.name for s in missing)}{again}")
        return say(resource, seen, doing, tuple(CollectSource(s, at) for s in missing))
    key = ingest_key(spec, seen.sources)
    stale = tuple(Side(side) for side in Side if _side(seen, side).ingest != key)
    if stale:
        doing = busy(Reason.INGESTING, f"writing {' and '.join(stale)} files, ingest {key}")
        return say(resource, seen, doing, tuple(Ingest(side, key, spec.sources, spec.split) for side in stale))
    return None


def _run_steps(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action] | None:
    meta = resource.metadata
    like = replace(resource.key, namespace=meta.like) if meta.like else None
    actions: list[Action] = []
    running: list[StepSeen] = []
    wished = wishes(resource.spec, seen.programs)
    for side in Side:
        before = _side(seen, side).head
        for wish in wished:
            now = _step(seen, wish.step.name, side)
            if now.wish != wish.digest:
                actions.append(EnsureStep(side, wish, wish.reads, like))
            elif now.failure and now.input == before:
                message = f"step {now.step} over the {side} side: {now.failure}"
                return say(resource, seen, stalled(Reason.STEP_FAILED, message), tuple(actions))
            elif not now.done or now.input != before:
                running.append(now)
            before = now.head
    if actions:
        return say(resource, seen, busy(Reason.TRANSFORMING, "bringing the steps up to date"), tuple(actions))
    if running:
        names = ", ".join(f"{s.step} ({s.side})" for s in running)
        return say(resource, seen, busy(Reason.TRANSFORMING, f"running {names}"), wait=SOON)
    if len(seen.manifests) < len(Side):
        return say(resource, seen, busy(Reason.TRANSFORMING, "reading the result"), wait=SOON)
    return None


def _side(seen: Seen, side: Side) -> SideSeen:
    return next((s for s in seen.sides if s.side is side), SideSeen(side, ""))


def _step(seen: Seen, step: str, side: Side) -> StepSeen:
    return next((s for s in seen.steps if s.step == step and s.side is side), StepSeen(step, side, None))
