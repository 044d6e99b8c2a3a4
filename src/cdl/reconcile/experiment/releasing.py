"""From a model that was trained and measured, here or elsewhere, to a Release and what is decided about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.reconcile.origin import adopted_from
from cdl.reconcile.summary import ABNORMAL, busy, fact, stalled

from . import gate
from .adopt import adopted_members, runs_behind
from .approve import approval
from .beside import beside, compares, kept_key, outcomes, own_looks, report_address
from .gate import Beside
from .members import content_digest, release_members, with_gates
from .seen import AdoptableSeen, AdoptRelease, StopRun, WriteRelease
from .status import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment, GateStatus

    from .seen import Action, CheckpointSeen, Measurement, ReleaseSeen, RunSeen, Seen


@dataclass(frozen=True, slots=True)
class Made:
    """A model that was trained and measured, by whomever."""

    data: Dataset
    run: RunSeen
    best: CheckpointSeen
    measured: RunSeen
    measurement: Measurement
    trained: Condition
    """Says so."""
    stale: tuple[Action, ...]
    """Ends what nobody asks for any more."""
    gates: tuple[GateStatus, ...] = ()


def released(resource: Experiment, seen: Seen, made: Made) -> Answer:
    """Release what was trained here."""
    trained = fact(ConditionType.TRAINED, holds=True, reason=Reason.TRAINING_DONE)
    members, documents = release_members(resource, made.data, made.run, made.best, made.measured, seen.shelf)
    content = content_digest(members)
    release = next((r for r in seen.releases if r.content == content), None)
    judged = _judged(resource, seen, made, release)
    if isinstance(judged, Answer):
        return judged
    made = replace(judged, trained=trained)
    if release is not None:
        return _standing(resource, seen, made, release)
    members = with_gates(members, made.gates, own_looks(resource, seen, made.data) + seen.looks_elsewhere)
    wanted = digest(members)
    write = WriteRelease(resource.spec.model.name, made.best.uuid, wanted, members, documents)
    return _writing(made, f"writing the release of {wanted[:19]}", write)


def taken(
    resource: Experiment,
    seen: Seen,
    data: Dataset,
    key: str,
    found: ReleaseSeen | AdoptableSeen,
) -> Answer:
    """Go on with a Release that needs no training: one that is there already, or one to adopt."""
    members = adopted_members(resource, data, found) if isinstance(found, AdoptableSeen) else found.members
    behind = runs_behind(members, key, seen.reports.get(report_address(members)[1]))
    if behind is None:
        raise ValueError("a release that tells of no run cannot be taken")
    run, best, measured, measurement = behind
    trained = fact(ConditionType.TRAINED, holds=True, reason=Reason.ADOPTED, message=_origin(members, found.name))
    asked = kept_key(resource, seen, data)
    stale = tuple(StopRun(r.key) for r in seen.runs if not r.phase.over and r.key != asked)
    own = None if isinstance(found, AdoptableSeen) else found
    made = _judged(resource, seen, Made(data, run, best, measured, measurement, trained, stale), own)
    if isinstance(made, Answer):
        return made
    if not isinstance(found, AdoptableSeen):
        return _standing(resource, seen, made, found)
    other = f"{found.namespace}/{found.name}"
    if compares(resource):  # what was compared there was compared with what answers there
        members = with_gates(dict(members), made.gates)
    write = AdoptRelease(resource.spec.model.name, best.uuid, digest(members), members, other)
    return _writing(made, trained.message, write)


def _origin(members: Mapping[str, JsonValue], name: str) -> str:
    origin = adopted_from(members)
    if not origin:
        return f"release {name} was made from exactly this"
    return f"adopts release {origin.get('name')} of namespace {origin.get('namespace')} instead of training"


def _judged(resource: Experiment, seen: Seen, made: Made, release: ReleaseSeen | None) -> Made | Answer:
    """Judge the gates; or say what is waited for before, or which of them is not met.

    How a Release compared with production when it was written stays true, whatever answers by now.
    """
    gates, kept = resource.spec.evaluation.gates, outcomes(release.members) if release is not None else ()
    other = Beside()
    if gate.undecided(gates, made.measurement, kept):
        other, condition, actions = beside(resource, seen, made.data, release.name if release is not None else "")
        if condition is not None:
            return _answer(made, (condition, made.trained), (*made.stale, *actions))
    made = replace(made, gates=gate.judged(gates, made.measurement, other, kept))
    lost = next((g for g in made.gates if not g.passed), None)
    if lost is None:
        return made
    reason, message = gate.lost(lost, made.measurement)
    failed = fact(ConditionType.GATES_PASSED, holds=False, reason=reason, message=message)
    return _answer(made, (stalled(reason, message), made.trained, failed), made.stale)


def _writing(made: Made, message: str, write: WriteRelease | AdoptRelease) -> Answer:
    met = fact(ConditionType.GATES_PASSED, holds=True, reason=Reason.GATES_MET)
    return _answer(made, (busy(Reason.RELEASING, message), made.trained, met), (*made.stale, write))


def _standing(resource: Experiment, seen: Seen, made: Made, release: ReleaseSeen) -> Answer:
    standing, stale = approval(resource, release, seen), made.stale
    conditions = standing.conditions
    if stale and all(c.type not in ABNORMAL for c in conditions):
        ending = busy(Reason.STOPPING_RUNS, f"stopping {len(stale)} runs that nobody asks for any more")
        conditions = (ending, *conditions)
    met = fact(ConditionType.GATES_PASSED, holds=True, reason=Reason.GATES_MET)
    written = fact(ConditionType.RELEASED, holds=True, reason=Reason.RELEASE_WRITTEN, message=release.name)
    answer = _answer(made, (*conditions, made.trained, met, written), (*stale, *standing.actions))
    return replace(answer, patient=True, release=release, done=3, asks=release if standing.asks else None)


def _answer(made: Made, conditions: tuple[Condition, ...], actions: tuple[Action, ...]) -> Answer:
    return Answer(conditions, actions, run=made.run, measured=made.measured, gates=made.gates, data=made.data, done=2)
