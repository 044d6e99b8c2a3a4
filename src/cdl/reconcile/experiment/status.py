"""Put an Experiment's answer into its status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.experiment import (
    BestTrial,
    CheckpointStatus,
    Cost,
    EvaluationStatus,
    ExperimentStatus,
    GateStatus,
    RunStatus,
    TrialCounts,
    TrialStatus,
)
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.decision import PATIENT, SOON, Decision, until
from cdl.reconcile.summary import remembered, settled

from .beside import own_looks
from .seen import RunPhase

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment

    from .retraining import Times
    from .seen import Action, ReleaseSeen, RunSeen, Seen

AT_FIRST, LATER, MUCH_LATER = timedelta(seconds=1), timedelta(seconds=3), timedelta(seconds=10)
"""How long to wait before the forge is asked again, for no event tells. A runner stretches SOON and PATIENT, which
none of these may equal."""
FRESH, STALE = timedelta(minutes=2), timedelta(minutes=30)
"""Ages of a question: who has just been asked may sit before it and wait; who sleeps over it does not."""
COST_STEP = 30
"""Slot seconds between two reports of what a living run has cost."""
REJECTED = "rejected"
"""How the line of the history ends that remembers a rejection."""
STAGES = 3
"""Train, evaluate, release."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One status in the making."""

    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...] = ()
    patient: bool = False
    run: RunSeen | None = None
    measured: RunSeen | None = None
    gates: tuple[GateStatus, ...] = ()
    release: ReleaseSeen | None = None
    data: Dataset | None = None
    done: int = 0
    again: Times | None = None
    """Known while the resource is neither deleted nor suspended."""
    asks: ReleaseSeen | None = None
    """What the merge request decides about next; nothing tells of an answer, so it is looked for."""


def count_trials(trials: tuple[TrialStatus, ...]) -> TrialCounts:
    """Sort trials by what became of them; one that was stopped early did complete, but counts as stopped."""
    stopped = sum(t.stopped_early for t in trials)
    return TrialCounts(
        total=len(trials),
        running=sum(t.state in {RunPhase.QUEUED, RunPhase.RUNNING, RunPhase.STOPPING} for t in trials),
        completed=sum(t.state == RunPhase.SUCCEEDED and not t.stopped_early for t in trials),
        stopped=stopped,
        failed=sum(t.state in {RunPhase.FAILED, RunPhase.CANCELED} for t in trials),
    )


def said(resource: Experiment, seen: Seen, answer: Answer) -> Decision[ExperimentStatus, Action]:
    """Put the answer into a status; what was released before stays in it until its successor is."""
    old, meta = resource.status, resource.metadata
    generation = meta.generation
    going_on = any(c.type is ConditionType.RECONCILING for c in answer.conditions)
    release = answer.release
    history = old.history
    if release is not None and release.name != old.release:
        history = remembered(history, seen.at, f"release {release.name}", meta.revision, release.digest)
    if release is not None and release.approval is ApprovalState.REJECTED and not was_rejected(old, release):
        history = remembered(history, seen.at, f"release {release.name} {REJECTED}", meta.revision, release.digest)
    success = f"{release.name} approved" if release is not None and not going_on else ""
    about = _about_the_run(answer)
    status = about.model_copy(
        update={
            "evaluation": _counted(about.evaluation, resource, seen, answer.data),
            "observed_generation": generation,
            "conditions": settled(answer.conditions, generation, Reason.SUCCEEDED, success),
            "progress": f"{answer.done}/{STAGES}",
            "last_attempted_revision": meta.revision,
            "last_applied_revision": meta.revision
            if answer.done == STAGES and not going_on
            else old.last_applied_revision,
            "history": history,
            "data": answer.data or old.data,
            "model_version": release.version if release else old.model_version,
            "release": release.name if release else old.release,
            "warm_start": old.warm_start if resource.spec.warm_start.source is not None else None,
            "retrained_for": answer.again.retrained_for if answer.again else None,
            "next_retrain_at": answer.again.next_retrain_at if answer.again else None,
        }
    )
    wait = _until_asked_again(old, seen.at) if answer.asks is not None else PATIENT if answer.patient else SOON
    if not going_on:
        return Decision(status, answer.actions, until(status.next_retrain_at, seen.at, resource.spec.interval))
    return Decision(status, answer.actions, wait)


def _until_asked_again(old: ExperimentStatus, at: datetime) -> timedelta:
    """Ask often what was asked just now, that is, once the gates were passed."""
    passed = old.condition(ConditionType.GATES_PASSED)
    since = passed.last_transition_time if passed is not None else None
    waited = at - since if since is not None else timedelta()
    return AT_FIRST if waited < FRESH else LATER if waited < STALE else MUCH_LATER


def was_rejected(status: ExperimentStatus, release: ReleaseSeen) -> bool:
    """Tell whether somebody rejected exactly these members once, be it of a Release that is gone by now."""
    return any(e.digest == release.digest and e.what.endswith(REJECTED) for e in status.history)


def _about_the_run(answer: Answer) -> ExperimentStatus:
    run, measured = answer.run, answer.measured
    if run is None:
        return ExperimentStatus()
    best, measurement = run.best, measured.measurement if measured else None
    return ExperimentStatus(
        run=RunStatus(
            key=run.key, id=run.id, state=run.phase.value, started_at=run.started_at, finished_at=run.finished_at
        ),
        trials=count_trials(run.trials),
        trial_table=run.trials,
        best_trial=BestTrial(id=best.trial, metric=best.metric, hparams=dict(best.hparams)) if best else None,
        checkpoint=CheckpointStatus(uuid=best.uuid, sha256=digest(dict(measurement.files)))
        if best and measurement
        else None,
        evaluation=_about_the_evaluation(answer, measured) if measured else None,
        cost=Cost(slot_seconds=_spent(run) + (_spent(measured) if measured else 0)),
    )


def _counted(
    evaluation: EvaluationStatus | None, resource: Experiment, seen: Seen, data: Dataset | None
) -> EvaluationStatus | None:
    """Say how often the test commit was looked at; nothing where nobody did that is known."""
    if evaluation is None or data is None:
        return evaluation
    mine = own_looks(resource, seen, data)
    counted = {"own_looks": mine or None, "looks": mine + seen.looks_elsewhere or None}
    return evaluation.model_copy(update=counted)


def _spent(run: RunSeen) -> float:
    """Exact once the run is over; before, in steps, so that time alone does not rewrite the status at every look."""
    return run.slot_seconds if run.phase.over else run.slot_seconds // COST_STEP * COST_STEP


def _about_the_evaluation(answer: Answer, measured: RunSeen) -> EvaluationStatus:
    measurement = measured.measurement
    return EvaluationStatus(
        run=measured.id,
        metrics=dict(measurement.metrics) if measurement else {},
        intervals=dict(measurement.intervals) if measurement else {},
        per_class={k: dict(v) for k, v in measurement.per_class.items()} if measurement else {},
        per_group={k: dict(v) for k, v in measurement.per_group.items()} if measurement else {},
        costs=dict(measurement.costs) if measurement else {},
        against=next((g.against for g in answer.gates if g.production is not None), ""),
        gates=answer.gates,
        started_at=measured.started_at,
        finished_at=measured.finished_at,
    )
