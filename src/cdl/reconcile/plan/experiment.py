"""What becomes of an Experiment: train, evaluate, gate, release, approve.

Nothing is decided twice: the decision of the loop is asked what it would do now, and the stages behind the one that it
stands at follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.reconcile import experiment as pure
from cdl.reconcile.experiment.beginning import begins
from cdl.reconcile.words import changes, few, moved

from .history import of_runs
from .stage import NO_HISTORY, NOTHING, Stage, Verdict

if TYPE_CHECKING:
    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.experiment import Experiment, ExperimentStatus
    from cdl.reconcile.decision import Decision

    from .datapipeline import DataAhead
    from .stage import Estimate

WAITS = frozenset({Reason.WAITING_FOR_APPROVAL, Reason.WAITING_FOR_WEIGHTS})
STAGES = ("train", "evaluate", "gate", "release", "approve")
MISSING = {
    "train": "there is no run of exactly this yet",
    "evaluate": "there is no evaluation of it yet",
    "release": "there is no release of exactly this yet",
}
"""Why a stage runs of which nothing changed."""
COMES_OF = {
    "train": "",
    "evaluate": "train runs",
    "gate": "it is judged once evaluate has run",
    "release": "what it consists of changes",
    "approve": "",
}


class NewRelease(StrEnum):
    """What those who serve the model have to reckon with."""

    NONE = "none"
    """No other Release than there is."""
    BY_POLICY = "by policy"
    """Another Release, approved by policy if its gates pass."""
    BY_A_PERSON = "by a person"
    """Another Release, once a person has approved it."""


@dataclass(frozen=True, slots=True)
class ReleaseAhead:
    """What those downstream will find."""

    model: str
    new: NewRelease = NewRelease.NONE
    again: str = ""
    """The Release that there is already and that will be approved once more; empty: it is not written yet."""


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """What is known of an Experiment."""

    wanted: Experiment
    before: Experiment | None
    """As it is stored now."""
    seen: pure.Seen
    data: DataAhead


def plan_experiment(facts: ExperimentFacts) -> tuple[tuple[Stage, ...], ReleaseAhead]:
    """Say what becomes of each stage, and what Release comes out."""
    resource, model = facts.wanted, facts.wanted.spec.model.name
    if resource.spec.suspend:
        why = ("spec.suspend is true: nothing is done until it is false",)
        return tuple(Stage(name=name, verdict=Verdict.WAIT, reasons=why) for name in STAGES), ReleaseAhead(model)
    seen = replace(facts.seen, dataset=facts.data.dataset, waiting_for=facts.data.because)
    facts = replace(facts, wanted=begins(resource, seen))
    resource = facts.wanted
    decision = pure.decide(resource, seen)
    blocker = _blocker(decision.status)
    if blocker is not None and blocker.reason is Reason.WAITING_FOR_DATA:
        return _without_data(facts), ReleaseAhead(model, _new(resource) if facts.data.changes else NewRelease.NONE)
    at = _stands_at(decision.status)
    stages = tuple(
        _done(facts, name, decision) if index < at else _next(facts, name, decision, blocker, at)
        for index, name in enumerate(STAGES)
    )
    return stages, _ahead(resource, decision, stages)


def _blocker(status: ExperimentStatus) -> Condition | None:
    return status.condition(ConditionType.STALLED) or status.condition(ConditionType.RECONCILING)


def _stands_at(status: ExperimentStatus) -> int:
    """The first stage that is not done."""
    held = {c.type: c.status == "True" for c in status.conditions}
    if not held.get(ConditionType.TRAINED):
        return 0
    if ConditionType.GATES_PASSED not in held:
        return 1
    if not held[ConditionType.GATES_PASSED]:
        return 2
    if not held.get(ConditionType.RELEASED):
        return 3
    return 5 if held.get(ConditionType.APPROVED) else 4


def _without_data(facts: ExperimentFacts) -> tuple[Stage, ...]:
    ahead = facts.data
    if not ahead.changes:
        waits = (f"DataPipeline {facts.wanted.spec.data.pipeline}: {ahead.because}",)
        return tuple(Stage(name=name, verdict=Verdict.WAIT, reasons=waits) for name in STAGES)
    # what another Release was made from is not trained again, and whether there is one the data will tell
    fresh = facts.before is None and facts.wanted.spec.approval.policy is not ApprovalPolicy.MERGE_REQUEST
    why = (*few(_train_changes(facts)), f"data will change: {ahead.because}")
    train = Stage(name="train", verdict=Verdict.RUN, reasons=why, sure=fresh, estimate=_estimate(facts, "train"))
    return (train, *(_behind(facts, name, 0) for name in STAGES[1:]))


def _done(facts: ExperimentFacts, name: str, decision: Decision[ExperimentStatus, pure.Action]) -> Stage:
    run = decision.status.run
    key = run.key if run is not None and name == "train" else ""
    again = pure.in_words(facts.wanted, replace(facts.seen, dataset=facts.data.dataset), decision.status)
    told = (_why_reused(facts, name, decision.status), *((again,) if again and name == "train" else ()))
    return Stage(name=name, verdict=Verdict.REUSE, reasons=told, key=key)


def _why_reused(facts: ExperimentFacts, name: str, status: ExperimentStatus) -> str:
    if facts.before is not None and facts.before.spec == facts.wanted.spec:
        return "nothing changed"
    adopted = _adopted(status)
    if adopted and name in {"train", "evaluate"}:
        return adopted
    changed = _train_changes(facts)
    if name == "train" and changed and status.run is not None:
        return f"run {status.run.id} was made of exactly this ({'; '.join(few(changed, 2))})"
    if name == "gate":
        return "the figures there are meet every gate"
    if name in {"release", "approve"} and status.release:
        return f"{status.release} has exactly these members"
    return "nothing in its key changed"


def _adopted(status: ExperimentStatus) -> str:
    """Say whose model is taken; empty: it is trained for this Experiment."""
    trained = status.condition(ConditionType.TRAINED)
    return trained.message if trained is not None and trained.reason is Reason.ADOPTED else ""


def _next(
    facts: ExperimentFacts,
    name: str,
    decision: Decision[ExperimentStatus, pure.Action],
    blocker: Condition | None,
    at: int,
) -> Stage:
    """The stage the decision stands at, or one behind it."""
    if STAGES[at] != name:
        return _behind(facts, name, at, blocked=_blocked(blocker))
    if blocker is None or _blocked(blocker) or blocker.reason in WAITS:
        message = blocker.message if blocker is not None else "it is not said why"
        return Stage(name=name, verdict=Verdict.WAIT, reasons=(message,))
    if blocker.reason is Reason.OVER_BUDGET:
        return Stage(name=name, verdict=Verdict.WAIT, reasons=(f"it is being stopped: {blocker.message}",))
    reasons = {"train": _train_changes, "evaluate": _evaluate_changes, "release": _release_changes}.get(name)
    found = few(reasons(facts)) if reasons is not None else ()
    if name == "release" and (adopted := _adopted(decision.status)):
        found = (adopted,)
    if name == "train" and (due := pure.due_time(_key(decision))) is not None:
        found = (f"retrain.schedule was due at {due:%Y-%m-%d %H:%M:%S} UTC",)
    going_on = not decision.actions
    told = ((f"it is running already: {blocker.message}",) if going_on else ()) + (
        found or (MISSING.get(name, blocker.message),)
    )
    return Stage(name=name, verdict=Verdict.RUN, reasons=told, key=_key(decision), estimate=_estimate(facts, name))


def _blocked(blocker: Condition | None) -> bool:
    return blocker is not None and blocker.type is ConditionType.STALLED


def _key(decision: Decision[ExperimentStatus, pure.Action]) -> str:
    return next((a.key for a in decision.actions if isinstance(a, pure.StartRun)), "")


def _behind(facts: ExperimentFacts, name: str, at: int, *, blocked: bool = False) -> Stage:
    """A stage that waits for one before it."""
    if blocked:
        return Stage(name=name, verdict=Verdict.WAIT, reasons=(f"{STAGES[at]} has to be mended first",))
    sure, why = at >= STAGES.index("evaluate"), COMES_OF[name]
    if name == "approve":
        return _approval_behind(facts)
    if name == "gate":
        gates = facts.wanted.spec.evaluation.gates
        if not gates:
            return Stage(name=name, verdict=Verdict.REUSE, reasons=("there is none: anything passes",))
        names = ", ".join(dict.fromkeys(g.metric for g in gates))
        return Stage(name=name, verdict=Verdict.RUN, reasons=(f"{why}: {names}",), sure=sure)
    return Stage(name=name, verdict=Verdict.RUN, reasons=(why,), sure=sure, estimate=_estimate(facts, name))


def _approval_behind(facts: ExperimentFacts) -> Stage:
    approval = facts.wanted.spec.approval
    if approval.policy is ApprovalPolicy.AUTOMATIC:
        return Stage(name="approve", verdict=Verdict.RUN, reasons=("by policy, if the gates pass",), sure=False)
    what = "merge request" if approval.policy is ApprovalPolicy.MERGE_REQUEST else "new release"
    return Stage(name="approve", verdict=Verdict.WAIT, reasons=(f"a {approval.role} has to approve the {what}",))


def _train_changes(facts: ExperimentFacts) -> tuple[str, ...]:
    """What differs of all that the key of training holds."""
    before, wanted = facts.before, facts.wanted
    if before is None:
        return ("there is no run yet",)
    old, new = before.spec.code.archive, wanted.spec.code.archive
    found: list[str] = []
    if (old.sha256 if old else None) != (new.sha256 if new else None):
        found.append(f"code.archive: sha256 {moved(old.sha256 if old else None, new.sha256 if new else None)}")
    found += changes(before.spec.config, wanted.spec.config)
    old_start, new_start = (r.spec.warm_start.model_dump(mode="json", by_alias=True) for r in (before, wanted))
    found += changes(old_start, new_start, "warmStart")
    pins = [r.status.warm_start for r in (before, wanted)]
    if pins[1] is not None and pins[1] != pins[0]:
        found.append(f"warmStart: begins with {pins[1].release or pins[1].checkpoint or 'random weights'}")
    if before.spec.data != wanted.spec.data:
        found += changes(
            before.spec.data.model_dump(mode="json", by_alias=True),
            wanted.spec.data.model_dump(mode="json", by_alias=True),
            "data",
        )
    known, ahead = wanted.status.data, facts.data.dataset
    if known is not None and ahead is not None and known.version != ahead.version:
        found.append(f"data: version {moved(known.version, ahead.version)}")
    return tuple(found)


def _evaluate_changes(facts: ExperimentFacts) -> tuple[str, ...]:
    before, wanted = facts.before, facts.wanted
    if before is None:
        return ("there is no evaluation yet",)
    old, new = before.spec.evaluation.entrypoint, wanted.spec.evaluation.entrypoint
    found = (f"evaluation.entrypoint: {old} -> {new}",) if old != new else ()
    return (*found, *_train_changes(facts))


def _release_changes(facts: ExperimentFacts) -> tuple[str, ...]:
    before, wanted = facts.before, facts.wanted
    if before is None:
        return ("there is no release yet",)
    places = [r.spec.code.archive.uri if r.spec.code.archive else None for r in (before, wanted)]
    old, new = (r.spec.code.serve for r in (before, wanted))
    found = changes(places[0], places[1], "code.archive.uri") + changes(
        old.model_dump(mode="json", by_alias=True) if old else None,
        new.model_dump(mode="json", by_alias=True) if new else None,
        "code.serve",
    )
    known, ahead = wanted.status.data, facts.data.dataset
    if known is not None and ahead is not None and known.version == ahead.version and known != ahead:
        found = (*found, "data: the same files in another commit")
    renamed = changes(before.spec.model.name, wanted.spec.model.name, "model.name")
    return (*found, *renamed, *_evaluate_changes(facts))


def _estimate(facts: ExperimentFacts, name: str) -> Estimate:
    if name == "train":
        return of_runs(r for r in facts.seen.runs if r.best is not None)
    if name == "evaluate":
        return of_runs(r for r in facts.seen.runs if r.measurement is not None)
    return NO_HISTORY if name == "release" else NOTHING


def _new(resource: Experiment) -> NewRelease:
    by_policy = resource.spec.approval.policy is ApprovalPolicy.AUTOMATIC
    return NewRelease.BY_POLICY if by_policy else NewRelease.BY_A_PERSON


def _ahead(
    resource: Experiment, decision: Decision[ExperimentStatus, pure.Action], stages: tuple[Stage, ...]
) -> ReleaseAhead:
    model, verdicts = resource.spec.model.name, {s.name: s.verdict for s in stages}
    approves = next((a for a in decision.actions if isinstance(a, pure.ApproveRelease)), None)
    if approves is not None:
        return ReleaseAhead(model, NewRelease.BY_POLICY, approves.release)
    if verdicts["release"] is Verdict.RUN:
        return ReleaseAhead(model, _new(resource))
    asked = decision.status.condition(ConditionType.RECONCILING)
    if asked is not None and asked.reason is Reason.WAITING_FOR_APPROVAL:
        return ReleaseAhead(model, NewRelease.BY_A_PERSON, decision.status.release)
    return ReleaseAhead(model)
