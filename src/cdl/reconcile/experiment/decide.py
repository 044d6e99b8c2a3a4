"""Decide about an Experiment: train, evaluate, gate, release, approve."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short
from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1.experiment import ApprovalPolicy, GateStatus
from cdl.api.v1alpha1.release import ApprovalState
from cdl.api.v1alpha1.resource import DeletionPolicy
from cdl.reconcile.decision import Decision
from cdl.reconcile.summary import ABNORMAL, busy, fact, stalled, suspended

from .members import content_digest, release_members
from .seen import ApproveRelease, ForgetRuns, Measurement, RunPhase, StartRun, StopRun, TrainWish, WriteRelease
from .status import Answer, count_trials, said, was_rejected

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment, ExperimentSpec, ExperimentStatus, Gate

    from .seen import Action, CheckpointSeen, ReleaseSeen, RunSeen, Seen


TICK = timedelta(seconds=1)
"""The least by which one approval is later than another."""


def decide(resource: Experiment, seen: Seen) -> Decision[ExperimentStatus, Action]:
    """Say what brings the model one step closer to its Release."""
    spec = resource.spec
    if resource.metadata.deleting:
        gone: tuple[Action, ...] = (ForgetRuns(),) if spec.deletion_policy is DeletionPolicy.DELETE else ()
        return said(resource, seen, Answer((busy(Reason.DELETING, "stopping and archiving runs"),), gone))
    if spec.suspend:
        return Decision(suspended(resource.status, resource.metadata.generation))
    data = _dataset(resource, seen)
    if data is None:
        doing = busy(Reason.WAITING_FOR_DATA, f"DataPipeline {spec.data.pipeline}: {seen.waiting_for}")
        return said(resource, seen, Answer((doing,), patient=True))
    answer = _train(resource, seen, data)
    return said(resource, seen, answer)


def train_key(resource: Experiment, data: Dataset) -> str:
    """Same code, same configuration, same data: same run, however often the operator dies asking for it."""
    return f"{_wish_part(resource)}-{short(data.version, 8)}"


def evaluation_key(resource: Experiment, data: Dataset, checkpoint: str) -> str:
    """Same checkpoint, same test side, same program: measured once."""
    wish = short([checkpoint, data.version, resource.spec.evaluation.entrypoint])
    return f"e{wish}-{short(train_key(resource, data), 8)}"


def _wish_part(resource: Experiment) -> str:
    archive = resource.spec.code.archive
    return short([resource.metadata.uid, archive.sha256 if archive else None, resource.spec.config])


def _dataset(resource: Experiment, seen: Seen) -> Dataset | None:
    """With `retrain.onData: false` a wish stays with the dataset it was first made for."""
    pinned, run = resource.status.data, resource.status.run
    if not resource.spec.retrain.on_data and pinned and run and run.key.startswith(_wish_part(resource)):
        return pinned
    return seen.dataset


def _train(resource: Experiment, seen: Seen, data: Dataset) -> Answer:
    key = train_key(resource, data)
    run = next((r for r in seen.runs if r.key == key), None)
    keep = {key}
    if run and run.best:
        keep.add(evaluation_key(resource, data, run.best.uuid))
    stale = tuple(StopRun(r.key) for r in seen.runs if r.key not in keep and not r.phase.over)
    if run is None:
        start = StartRun(key, _training(resource, data))
        return Answer((busy(Reason.STARTING, f"starting run {key}"),), (*stale, start), data=data)
    over = _over_budget(resource.spec, run, seen.at)
    if over and not run.phase.over:
        return Answer((busy(Reason.OVER_BUDGET, over),), (*stale, StopRun(key)), run=run, data=data)
    match run.phase:
        case RunPhase.PAUSED:
            wake = StartRun(key, _training(resource, data))
            return Answer((busy(Reason.QUEUED, f"run {run.id} is paused"),), (*stale, wake), run=run, data=data)
        case RunPhase.QUEUED | RunPhase.STOPPING:
            return Answer(
                (busy(Reason.QUEUED, f"run {run.id} is {run.phase.value.lower()}"),), stale, run=run, data=data
            )
        case RunPhase.RUNNING:
            return Answer((busy(Reason.TRAINING, _trials_in_words(run)),), stale, run=run, data=data)
        case RunPhase.FAILED:
            return _failed(Reason.RUN_FAILED, f"run {run.id}: {run.failure or 'ended in error'}", stale, run, data)
        case RunPhase.CANCELED:
            reason, message = (
                (Reason.OVER_BUDGET, over) if over else (Reason.RUN_CANCELED, f"run {run.id} was canceled")
            )
            return _failed(reason, message, stale, run, data)
        case RunPhase.SUCCEEDED:
            return _evaluate(resource, seen, data, run, stale)


def _failed(reason: Reason, message: str, actions: tuple[Action, ...], run: RunSeen, data: Dataset) -> Answer:
    trained = fact(ConditionType.TRAINED, holds=False, reason=reason, message=message)
    return Answer((stalled(reason, message), trained), actions, run=run, data=data)


def _evaluate(resource: Experiment, seen: Seen, data: Dataset, run: RunSeen, stale: tuple[Action, ...]) -> Answer:
    if run.best is None:
        message = f"run {run.id} ended without a checkpoint that has the searcher's metric"
        return _failed(Reason.NO_CHECKPOINT, message, stale, run, data)
    trained = fact(
        ConditionType.TRAINED, holds=True, reason=Reason.TRAINING_DONE, message=f"trial {run.best.trial} won"
    )
    key = evaluation_key(resource, data, run.best.uuid)
    measured = next((r for r in seen.runs if r.key == key), None)
    if measured is None or not measured.phase.over:
        idle = measured is None or measured.phase is RunPhase.PAUSED
        start = (StartRun(key, _measuring(resource, data, run.best)),) if idle else ()
        doing = busy(Reason.EVALUATING, f"measuring checkpoint {run.best.uuid[:8]} on the test side")
        return Answer((doing, trained), (*stale, *start), run=run, measured=measured, data=data, done=1)
    if measured.phase is not RunPhase.SUCCEEDED or measured.measurement is None:
        message = f"evaluation {measured.id}: {measured.failure or 'reported nothing'}"
        return Answer(
            (stalled(Reason.EVALUATION_FAILED, message), trained), stale, run=run, measured=measured, data=data, done=1
        )
    gates = tuple(_gate(g, measured.measurement) for g in resource.spec.evaluation.gates)
    lost = next((g for g in gates if not g.passed), None)
    if lost is not None:
        reason, message = _lost(lost, measured.measurement)
        conditions = (
            stalled(reason, message),
            trained,
            fact(ConditionType.GATES_PASSED, holds=False, reason=reason, message=message),
        )
        return Answer(conditions, stale, run=run, measured=measured, gates=gates, data=data, done=2)
    return _release(resource, seen, data, run, run.best, measured, gates, stale)


def _gate(gate: Gate, measurement: Measurement) -> GateStatus:
    value = measurement.metrics.get(gate.metric)
    passed = value is not None and (gate.min is None or value >= gate.min) and (gate.max is None or value <= gate.max)
    return GateStatus(metric=gate.metric, value=value, min=gate.min, max=gate.max, passed=passed)


def _lost(gate: GateStatus, measurement: Measurement) -> tuple[Reason, str]:
    if gate.value is None:
        known = ", ".join(sorted(measurement.metrics)) or "nothing"
        return Reason.NO_METRIC, f"gate {gate.metric}: the evaluation reported no such metric, but {known}"
    bounds = [f"at least {gate.min:g}" for _ in [0] if gate.min is not None] + [
        f"at most {gate.max:g}" for _ in [0] if gate.max is not None
    ]
    return Reason.BELOW_GATE, f"gate {gate.metric}: found {gate.value:.4f}, allowed: {' and '.join(bounds)}"


def _release(
    resource: Experiment,
    seen: Seen,
    data: Dataset,
    run: RunSeen,
    best: CheckpointSeen,
    measured: RunSeen,
    gates: tuple[GateStatus, ...],
    stale: tuple[Action, ...],
) -> Answer:
    done = (
        fact(ConditionType.TRAINED, holds=True, reason=Reason.TRAINING_DONE),
        fact(ConditionType.GATES_PASSED, holds=True, reason=Reason.GATES_MET),
    )
    members, documents = release_members(resource, data, run, best, measured, seen.shelf)
    content = content_digest(members)
    release = next((r for r in seen.releases if r.content == content), None)
    if release is None:
        wanted = digest(members)
        write = WriteRelease(resource.spec.model.name, best.uuid, wanted, members, documents)
        doing = busy(Reason.RELEASING, f"writing the release of {wanted[:19]}")
        return Answer((doing, *done), (*stale, write), run=run, measured=measured, gates=gates, data=data, done=2)
    released = fact(ConditionType.RELEASED, holds=True, reason=Reason.RELEASE_WRITTEN, message=release.name)
    approval, actions = _approval(resource, release, seen)
    if stale and all(c.type not in ABNORMAL for c in approval):
        approval = (busy(Reason.STOPPING_RUNS, f"stopping {len(stale)} runs that nobody asks for any more"), *approval)
    return Answer((*approval, *done, released), (*stale, *actions), True, run, measured, gates, release, data, 3)


def _approval(
    resource: Experiment, release: ReleaseSeen, seen: Seen
) -> tuple[tuple[Condition, ...], tuple[Action, ...]]:
    """Bound to the digest: the decision is about these members and no others."""
    match release.approval:
        case ApprovalState.APPROVED:
            successor = _successor(resource, release, seen)
            if successor is not None:
                return _ask(resource, release, seen.at, successor)
            reason = (
                Reason.APPROVED_BY_POLICY if release.approved_by.startswith("policy/") else Reason.APPROVED_BY_PERSON
            )
            return (fact(ConditionType.APPROVED, holds=True, reason=reason, message=f"by {release.approved_by}"),), ()
        case ApprovalState.REJECTED:
            message = f"release {release.name} was {release.standing or f'rejected by {release.approved_by}'}"
            return _not_approved(Reason.REJECTED, message), ()
        case ApprovalState.VOID:
            message = f"release {release.name}: {release.standing}; to decide again: cdl approve {release.name}"
            return _not_approved(release.void, message), ()
        case ApprovalState.PENDING:
            return _ask(resource, release, seen.at, None)


def _not_approved(reason: Reason, message: str) -> tuple[Condition, ...]:
    return stalled(reason, message), fact(ConditionType.APPROVED, holds=False, reason=reason, message=message)


def _successor(resource: Experiment, release: ReleaseSeen, seen: Seen) -> ReleaseSeen | None:
    """The release of this Experiment that was approved after the one its spec now asks for: the spec was reverted."""
    mine = [r for r in seen.releases if r.experiment == resource.metadata.name and r.approval is ApprovalState.APPROVED]
    latest = max(mine, key=lambda r: (_moment(r), r.version), default=release)
    return latest if latest.name != release.name and _moment(latest) >= _moment(release) else None


def _moment(release: ReleaseSeen) -> float:
    return release.approved_at.timestamp() if release.approved_at else 0.0


def _ask(
    resource: Experiment, release: ReleaseSeen, at: datetime, successor: ReleaseSeen | None
) -> tuple[tuple[Condition, ...], tuple[Action, ...]]:
    """Approve by policy, or wait for a person; what was approved before its successor has to be approved again."""
    once_rejected = was_rejected(resource.status, release)
    if resource.spec.approval.policy is ApprovalPolicy.AUTOMATIC and not once_rejected:
        # a clock that was put back must not make the new approval look older than the one it replaces
        after = successor.approved_at + TICK if successor is not None and successor.approved_at is not None else at
        approve = ApproveRelease(release.name, release.digest, "policy/Automatic", max(at, after))
        return (busy(Reason.RELEASING, f"approving {release.name}"),), (approve,)
    again = f" (again, to replace {successor.name})" if successor is not None else ""
    again = " (again: somebody rejected these very members before)" if once_rejected else again
    message = f"{release.name} waits for a {resource.spec.approval.role}{again}: cdl approve {release.name}"
    return (busy(Reason.WAITING_FOR_APPROVAL, message),), ()


def _training(resource: Experiment, data: Dataset) -> TrainWish:
    spec = resource.spec
    if spec.code.archive is None:
        message = "code.archive is required"
        raise ValueError(message)
    return TrainWish(resource.metadata.name, spec.config, spec.code.archive, data.train.repo, data.train.commit)


def _measuring(resource: Experiment, data: Dataset, best: CheckpointSeen) -> TrainWish:
    """The one run that may read the test side."""
    train = _training(resource, data)
    config: dict[str, JsonValue] = {
        k: v for k, v in train.config.items() if k in {"environment", "checkpoint_storage", "workspace", "project"}
    }
    return TrainWish(
        f"{train.name}-evaluation",
        config,
        train.code,
        data.test.repo,
        data.test.commit,
        resource.spec.evaluation.entrypoint,
        best.uuid,
    )


def _over_budget(spec: ExperimentSpec, run: RunSeen, at: datetime) -> str:
    budget = spec.budget
    used = run.slot_seconds / 3600
    if budget.max_slot_hours is not None and used > budget.max_slot_hours:
        return f"run {run.id} used {used:.2f} slot hours, allowed: {budget.max_slot_hours:g}"
    if budget.max_duration is not None and run.started_at is not None:
        took = (run.finished_at or at) - run.started_at
        if took > length(budget.max_duration):
            return f"run {run.id} took {int(took.total_seconds())} s, allowed: {budget.max_duration}"
    return ""


def _trials_in_words(run: RunSeen) -> str:
    counts = count_trials(run.trials)
    return (
        f"run {run.id}: {counts.running} trials running, {counts.completed} completed, {counts.stopped} stopped early"
    )
