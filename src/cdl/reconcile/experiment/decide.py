"""Decide about an Experiment: train, evaluate, gate, release, approve."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.api.v1alpha1.resource import DeletionPolicy
from cdl.reconcile.decision import Decision
from cdl.reconcile.summary import busy, fact, stalled, suspended

from .adopt import chosen, may_adopt, own_release
from .beginning import begins, held_up
from .beside import compares, kept_key, outcomes, reads_report, report_address
from .gate import undecided
from .releasing import Made, released, taken
from .retraining import by_schedule, dataset, due, due_time, newest, start_of, times, train_key, waits_until
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
        told = resource.status.model_copy(update={"next_retrain_at": None})
        return Decision(suspended(told, resource.metadata.generation))
    resource = begins(resource, seen)
    return said(resource, seen, _answer(resource, seen))


def asks(resource: Experiment, seen: Seen) -> ReleaseSeen | None:
    """Give the Release that waits for what the merge request says; None: nobody has to ask for it."""
    if resource.spec.approval.policy is not ApprovalPolicy.MERGE_REQUEST or _rests(resource):
        return None
    return _answer(resource, seen).asks


def wants_adoptable(resource: Experiment, seen: Seen) -> Dataset | None:
    """Give the data on which another's Release will do; None: nobody has to look for one."""
    data = None if _rests(resource) else dataset(resource, seen)
    if data is None:
        return None
    key = current_key(resource, seen, data)
    run = next((r for r in seen.runs if r.key == key), None)
    return data if due_time(key) is None and may_adopt(resource, seen, data, run) else None


def wants_report(resource: Experiment, seen: Seen) -> tuple[str, str] | None:
    """Give address and digest of the report of what will be taken instead of training; None: nobody needs it."""
    data = None if _rests(resource) or not reads_report(resource) else dataset(resource, seen)
    if data is None:
        return None
    key = current_key(resource, seen, data)
    run = next((r for r in seen.runs if r.key == key), None)
    if due_time(key) is not None:
        return None
    found = own_release(resource, seen, data, run) or chosen(resource, seen, data, run)
    address = report_address(found.members) if found is not None else ("", "")
    return address if all(address) else None


def wants_production(resource: Experiment, seen: Seen) -> bool:
    """Tell whether a gate is about to compare with what answers in production."""
    if _rests(resource) or not compares(resource):
        return False
    answer = _answer(resource, seen)
    measurement = answer.measured.measurement if answer.measured is not None else None
    if measurement is None:
        return False
    kept = outcomes(answer.release.members) if answer.release is not None else ()
    return undecided(resource.spec.evaluation.gates, measurement, kept)


def _rests(resource: Experiment) -> bool:
    return resource.metadata.deleting or resource.spec.suspend


def _answer(resource: Experiment, seen: Seen) -> Answer:
    data = dataset(resource, seen)
    if data is None:
        doing = busy(Reason.WAITING_FOR_DATA, f"DataPipeline {resource.spec.data.pipeline}: {seen.waiting_for}")
        return Answer((doing,), patient=True, again=times(resource, seen, None, "", starting=False))
    if (lacks := held_up(resource, seen)) is not None:
        return Answer((lacks,), patient=True, data=data, again=times(resource, seen, data, "", starting=False))
    key = current_key(resource, seen, data)
    answer = _train(resource, seen, data, key)
    at = due(resource, seen, key)
    if at is not None and _settled(answer) and waits_until(resource, seen) is None:
        key = by_schedule(train_key(resource, data), at)
        answer = _train(resource, seen, data, key)
    starting = answer.run is None and any(isinstance(action, StartRun) for action in answer.actions)
    return replace(answer, again=times(resource, seen, data, key, starting=starting))


def _settled(answer: Answer) -> bool:
    """Tell whether nothing is done that a run by the schedule would cut off; to wait for people is nothing."""
    doing = (c.reason for c in answer.conditions if c.type is ConditionType.RECONCILING)
    return all(reason is Reason.WAITING_FOR_APPROVAL for reason in doing)


def current_key(resource: Experiment, seen: Seen, data: Dataset) -> str:
    """Give the key of the run that the wish is about now: the last one by the schedule, else the first of all."""
    return newest(train_key(resource, data), resource, seen)


def evaluation_key(resource: Experiment, data: Dataset, checkpoint: str, key: str = "") -> str:
    """Same checkpoint, same test side, same program: measured once. With the key of a run that repeats another."""
    wish = short([checkpoint, data.version, resource.spec.evaluation.entrypoint])
    return f"e{wish}-{short(key or train_key(resource, data), 8)}"


def _train(resource: Experiment, seen: Seen, data: Dataset, key: str) -> Answer:
    run = next((r for r in seen.runs if r.key == key), None)
    if due_time(key) is None:  # who asks for a run by the clock wants no other's model
        found = own_release(resource, seen, data, run) or chosen(resource, seen, data, run)
        if found is not None:
            return taken(resource, seen, data, key, found)
    keep = {key, kept_key(resource, seen, data)}
    if run and run.best:
        keep.add(evaluation_key(resource, data, run.best.uuid, key))
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
    key = evaluation_key(resource, data, run.best.uuid, run.key)
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
    read, start = data.train, start_of(resource, data.version)
    return TrainWish(resource.metadata.name, spec.config, spec.code.archive, read.repo, read.commit, start=start)


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
