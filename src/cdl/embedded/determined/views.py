"""Records as the wire's objects; ``determined.common.api.bindings`` is the schema.

Only this module and ``registry_views`` know the bindings: a field that is missing or misspelt
fails there.
"""

import math
from collections.abc import Iterable, Mapping

from determined.common.api import bindings

from cdl.embedded.determined.fields import Tree, as_number, section, text, whole
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.logs import Line
from cdl.embedded.determined.records import Allocation, Checkpoint, Experiment, Report, Trial
from cdl.embedded.determined.states import ACTIVE, PAUSED, RUNNING, TERMINATED
from cdl.embedded.determined.web import stamp

HALVING = ("async_halving", "adaptive_asha")


def experiment(ledger: Ledger, found: Experiment) -> Tree:
    """Show an experiment, its ACTIVE state enriched by what its trials do."""
    trials = ledger.trials(found.id)
    home = ledger.project(found.project_id)
    room = ledger.workspace(home.workspace_id)
    username = ledger.username(found.user_id)
    best = _best_trial(ledger, found, trials)
    checkpoints = [c for t in trials for c in ledger.checkpoints(t.id)]
    return _json(
        bindings.v1Experiment(
            archived=found.archived,
            config=found.config,
            id=found.id,
            jobId=f"job-{found.id}",
            name=text(found.config, "name"),
            numTrials=len(trials),
            originalConfig=found.original,
            projectId=home.id,
            projectOwnerId=home.user_id,
            searcherType=text(found.config, "searcher", "name"),
            startTime=_stamp(found.start_time),
            state=bindings.experimentv1State(f"STATE_{experiment_state(ledger, found, trials)}"),
            username=username,
            displayName=username,
            userId=found.user_id,
            labels=[str(label) for label in _list(found.config.get("labels"))],
            description=text(found.config, "description"),
            notes=found.notes,
            progress=_progress(found, trials),
            endTime=stamp(found.end_time),
            duration=int((found.end_time or found.start_time) - found.start_time),
            hyperparameters=section(found.config, "hyperparameters"),
            trialIds=[trial.id for trial in trials],
            bestTrialId=best[0] if best else None,
            bestTrialSearcherMetric=best[1] if best else None,
            checkpointCount=len(checkpoints),
            checkpointSize=str(sum(_size(c) for c in checkpoints)),
            forkedFrom=found.parent_id,
            resourcePool=text(found.config, "resources", "resource_pool"),
            searcherMetric=found.metric,
            workspaceId=room.id,
            workspaceName=room.name,
            projectName=home.name,
            parentArchived=home.archived or room.archived,
            unmanaged=False,
            pachydermIntegration=section(found.config, "integrations", "pachyderm") or None,
        )
    )


def experiment_state(ledger: Ledger, found: Experiment, trials: Iterable[Trial]) -> str:
    """Return the state a client sees: the furthest of the running trials for an ACTIVE one."""
    if found.state != ACTIVE:
        return found.state
    seen = {trial_state(ledger, found, trial) for trial in trials if trial.live}
    return next((state for state in ("RUNNING", "STARTING") if state in seen), "QUEUED")


def trial_state(ledger: Ledger, parent: Experiment, found: Trial) -> str:
    """Return the state a client sees."""
    if found.state != ACTIVE:
        return found.state
    if parent.state == PAUSED:
        return PAUSED
    live = [allocation for allocation in ledger.allocations(found.id) if allocation.live]
    if not live:
        return "QUEUED"
    return "RUNNING" if live[-1].state == RUNNING else "STARTING"


def trial(ledger: Ledger, found: Trial) -> Tree:
    """Show a trial with its best and latest validation."""
    parent = ledger.experiment(found.experiment_id)
    best = ledger.best_validation(parent, found.id)
    latest = ledger.latest_validation(found.id)
    reports = ledger.reports(found.id)
    checkpoints = ledger.checkpoints(found.id)
    return _json(
        bindings.trialv1Trial(
            experimentId=found.experiment_id,
            hparams=found.hparams,
            id=found.id,
            restarts=found.restarts,
            startTime=_stamp(found.start_time),
            state=bindings.trialv1State(f"STATE_{trial_state(ledger, parent, found)}"),
            totalBatchesProcessed=max((report.steps for report in reports), default=0),
            bestCheckpoint=_best_checkpoint(ledger, parent, checkpoints),
            bestValidation=_validation(best),
            latestValidation=_validation(latest),
            checkpointCount=len(checkpoints),
            endTime=stamp(found.end_time),
            metadata=found.metadata or None,
            runnerState=found.runner_state,
            searcherMetricValue=ledger.score(parent, best) if best else None,
            summaryMetrics=summaries(reports),
            taskId=found.task_id,
            taskIds=[found.task_id],
            totalCheckpointSize=str(sum(_size(c) for c in checkpoints)),
            wallClockTime=_wall_clock(ledger, found),
            warmStartCheckpointUuid=found.warm_start,
        )
    )


def summaries(reports: Iterable[Report]) -> Tree:
    """Summarise every metric of every kind as a real master does."""
    found: dict[str, dict[str, list[object]]] = {}
    names = {"training": "avg_metrics", "validation": "validation_metrics"}
    for report in reports:
        kind = found.setdefault(names.get(report.kind, report.kind), {})
        for name, value in report.metrics.items():
            kind.setdefault(name, []).append(value)
    return {kind: {name: _summary(values) for name, values in metrics.items()} for kind, metrics in found.items()}


def checkpoint(ledger: Ledger, found: Checkpoint) -> Tree:
    """Show a checkpoint with what is known of its training."""
    return _json(
        bindings.v1Checkpoint(
            metadata=found.metadata,
            resources=found.resources,
            state=bindings.checkpointv1State(f"STATE_{found.state}"),
            training=_training(ledger, found),
            uuid=found.uuid,
            allocationId=found.allocation_id,
            reportTime=_stamp(found.report_time),
            storageId=found.storage_id,
            taskId=found.task_id,
        )
    )


def metrics(found: Report) -> Tree:
    """Show one report."""
    if found.kind == "validation":
        inner: Tree = {"validation_metrics": found.metrics}
    else:
        inner = {"avg_metrics": found.metrics, "batch_metrics": found.batches}
    return _json(
        bindings.v1MetricsReport(
            archived=found.archived,
            endTime=_stamp(found.end_time),
            group=found.kind,
            id=found.id,
            metrics=inner,
            totalBatches=found.steps,
            trialId=found.trial_id,
            trialRunId=found.run_id,
        )
    )


def workload(found: Report) -> Tree:
    """Show one report as the summary of a workload."""
    shown = _validation(found)
    return _json(shown) if shown else {}


def checkpoint_workload(found: Checkpoint) -> Tree:
    """Show a checkpoint as the summary of a workload."""
    return _json(_saved(found))


def log_line(trial_id: int, allocation: str, line: Line) -> Tree:
    """Show one log line."""
    rank = f"[rank={line.rank}] " if line.rank is not None else ""
    bare = line.text.removeprefix(rank)
    return _json(
        bindings.v1TrialLogsResponse(
            id=str(line.number),
            level=bindings.v1LogLevel(f"LOG_LEVEL_{line.level}"),
            message=f"[{stamp(line.seen)}] [{allocation}] {line.text}\n",
            timestamp=_stamp(line.seen),
            trialId=trial_id,
            agentId="local",
            containerId=allocation,
            log=bare,
            rankId=line.rank,
            source="task",
            stdtype="stdout",
        )
    )


def task(found: Trial, allocations: Mapping[str, tuple[Allocation, float | None]]) -> Tree:
    """Show a trial's task; an allocation starts when the user's entrypoint was launched."""
    return _json(
        bindings.v1Task(
            allocations=[_allocation(*each) for each in allocations.values()],
            startTime=_stamp(found.start_time),
            taskId=found.task_id,
            taskType=bindings.v1TaskType.TRIAL,
            endTime=stamp(found.end_time),
        )
    )


def allocation(found: Allocation, launched: float | None) -> Tree:
    """Show one allocation."""
    return _json(_allocation(found, launched))


def checkpoint_score(ledger: Ledger, parent: Experiment, found: Checkpoint, name: str = "") -> float | None:
    """Return the validation metric a checkpoint is ranked by, None when it cannot win."""
    report = ledger.validation_of(found)
    value = as_number(report.metrics.get(name or parent.metric)) if report else None
    return value if value is not None and math.isfinite(value) else None


def _allocation(found: Allocation, launched: float | None) -> "bindings.v1Allocation":
    state = {TERMINATED: "TERMINATED", RUNNING: "RUNNING"}.get(found.state, "STARTING")
    return bindings.v1Allocation(
        allocationId=found.id,
        slots=len(found.slot_ids),
        state=bindings.taskv1State(f"STATE_{state}"),
        taskId=found.task_id,
        startTime=stamp(launched),
        endTime=stamp(found.end_time),
        exitReason=found.exit_reason,
        statusCode=found.exit_code,
        isReady=found.ready,
    )


def _training(ledger: Ledger, found: Checkpoint) -> "bindings.v1CheckpointTrainingMetadata":
    if found.trial_id is None:
        return bindings.v1CheckpointTrainingMetadata()
    owner = ledger.trial(found.trial_id)
    parent = ledger.experiment(owner.experiment_id)
    validation, training = ledger.validation_of(found), ledger.training_of(found)
    return bindings.v1CheckpointTrainingMetadata(
        experimentConfig=parent.config,
        experimentId=parent.id,
        hparams=owner.hparams,
        searcherMetric=checkpoint_score(ledger, parent, found),
        trainingMetrics=bindings.v1Metrics(avgMetrics=training.metrics if training else {}),
        trialId=owner.id,
        validationMetrics=bindings.v1Metrics(avgMetrics=validation.metrics if validation else {}),
    )


def _validation(found: Report | None) -> "bindings.v1MetricsWorkload | None":
    if found is None:
        return None
    return bindings.v1MetricsWorkload(
        metrics=bindings.v1Metrics(avgMetrics=found.metrics),
        numInputs=0,
        totalBatches=found.steps,
        endTime=stamp(found.end_time),
    )


def _best_checkpoint(
    ledger: Ledger, parent: Experiment, found: Iterable[Checkpoint]
) -> "bindings.v1CheckpointWorkload | None":
    sign = 1 if parent.smaller_is_better else -1
    scored = [
        (sign * score, c)
        for c in found
        if c.state == "COMPLETED" and (score := checkpoint_score(ledger, parent, c)) is not None
    ]
    if not scored:
        return None
    best = min(scored, key=lambda pair: pair[0])[1]
    return _saved(best)


def _saved(found: Checkpoint) -> "bindings.v1CheckpointWorkload":
    return bindings.v1CheckpointWorkload(
        state=bindings.checkpointv1State(f"STATE_{found.state}"),
        totalBatches=found.steps,
        uuid=found.uuid,
        endTime=stamp(found.report_time),
        resources=found.resources,
        metadata=found.metadata,
    )


def _best_trial(ledger: Ledger, parent: Experiment, trials: Iterable[Trial]) -> tuple[int, float] | None:
    scored = [
        (score, trial.id)
        for trial in trials
        if (best := ledger.best_validation(parent, trial.id)) and (score := ledger.score(parent, best)) is not None
    ]
    if not scored:
        return None
    pick = min if parent.smaller_is_better else max
    score, trial_id = pick(scored, key=lambda pair: pair[0])
    return trial_id, score


def _summary(values: list[object]) -> Tree:
    numbers = [number for value in values if (number := as_number(value)) is not None]
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite or len(numbers) < len(values):
        return {"type": "string" if numbers == [] else "number", "last": values[-1]}
    return {
        "type": "number",
        "count": len(finite),
        "sum": sum(finite),
        "min": min(finite),
        "max": max(finite),
        "mean": sum(finite) / len(finite),
        "last": values[-1],
    }


def _wall_clock(ledger: Ledger, found: Trial) -> float:
    ended = [a for a in ledger.allocations(found.id) if a.end_time is not None]
    return sum((a.end_time or 0) - a.start_time for a in ended)


def _progress(found: Experiment, trials: Iterable[Trial]) -> float:
    """Return how far a search is; where trials all run to their end, what they say counts too."""
    if not found.live or text(found.config, "searcher", "name") in HALVING:
        return found.progress
    wanted = max(whole(found.config, "searcher", "max_trials", default=1), len(list(trials)))
    return max(found.progress, min(sum(trial.progress for trial in trials) / wanted, 1.0))


def _size(found: Checkpoint) -> int:
    return sum(int(size) for size in found.resources.values() if size.isdigit())


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _stamp(when: float) -> str:
    return stamp(when) or ""


def _json(shown: object) -> Tree:
    found = shown.to_json(True) if hasattr(shown, "to_json") else {}
    return dict(found)
