"""Decide about an Experiment: train, evaluate, gate, release, approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.api.v1alpha1.resource import DeletionPolicy
from cdl.reconcile.decision import Decision
from cdl.reconcile.summary import busy, fact, stalled, suspended

from .adopt import chosen, may_adopt, own_release
from .releasing import Made, released, taken
from .seen import ForgetRuns, RunPhase, StartRun, StopRun, TrainWish
from .status import Answer, count_trials, said

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment, ExperimentSpec, ExperimentStatus

    from .seen import Action, CheckpointSeen, ReleaseSeen, RunSeen, Seen


def decide(resource: Experiment, seen: Seen) -> Decision[ExperimentStatus, Action]:
    """Say what brings the model one step closer to its Release."""
    if resource.metadata.deleting:
        orphaned = resource.spec.deletion_policy is not DeletionPolicy.DELETE
        gone: tuple[Action, ...] = () if orphaned else (ForgetRuns(),)
        return said(resource, seen, Answer((busy(Reason.DELETING, "stopping and archiving runs"),), gone))
    if resource.spec.suspend:
        return Decision(suspended(resource.status, resource.metadata.generation))
    return said(resource, seen, _answer(resource, seen))


def asks(resource: Experiment, seen: Seen) -> ReleaseSeen | None:
    """Give the Release that waits for what the merge request says; None: nobody has to ask for it."""
    if resource.spec.approval.policy is not ApprovalPolicy.MERGE_REQUEST or _rests(resource):
        return None
    return _answer(resource, seen).asks


def wants_adoptable(resource: Experiment, seen: Seen) -> Dataset | None:
    """Give the data on which another's Release will do; None: nobody has to look for one."""
    data = None if _rests(resource) else _dataset(resource, seen)
    if data is None:
        return None
    run = next((r for r in seen.runs if r.key == train_key(resource, data)), None)
    return data if may_adopt(resource, seen, data, run) else None


def _rests(resource: Experiment) -> bool:
    return resource.metadata.deleting or resource.spec.suspend


def _answer(resource: Experiment, seen: Seen) -> Answer:
    data = _dataset(resource, seen)
    if data is None:
        doing = busy(Reason.WAITING_FOR_DATA, f"DataPipeline {resource.spec.data.pipeline}: {seen.waiting_for}")
        return Answer((doing,), patient=True)
    return _train(resource, seen, data)


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
    found = own_release(resource, seen, data, run) or chosen(resource, seen, data, run)
    if found is not None:
        return taken(resource, seen, data, key, found)
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
    return released(resource, seen, Made(data, run, run.best, measured, measured.measurement, trained, stale))


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
