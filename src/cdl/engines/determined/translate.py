"""Between Determined's types and ours; pure."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING

import yaml
from determined.common.api.bindings import checkpointv1State, experimentv1State, trialv1State

from cdl.api.v1alpha1.experiment import TrialStatus
from cdl.reconcile.experiment import CheckpointSeen, Measurement, RunPhase, measured
from cdl.reconcile.release import CheckpointFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from determined.common.api.bindings import trialv1Trial, v1Allocation, v1Checkpoint
    from pydantic import JsonValue

E = experimentv1State
PHASE_OF: dict[experimentv1State, RunPhase] = {
    E.UNSPECIFIED: RunPhase.QUEUED,
    E.QUEUED: RunPhase.QUEUED,
    E.PULLING: RunPhase.QUEUED,
    E.STARTING: RunPhase.QUEUED,
    E.ACTIVE: RunPhase.RUNNING,
    E.RUNNING: RunPhase.RUNNING,
    E.PAUSED: RunPhase.PAUSED,
    E.STOPPING_COMPLETED: RunPhase.STOPPING,
    E.STOPPING_CANCELED: RunPhase.STOPPING,
    E.STOPPING_KILLED: RunPhase.STOPPING,
    E.STOPPING_ERROR: RunPhase.STOPPING,
    E.COMPLETED: RunPhase.SUCCEEDED,
    E.CANCELED: RunPhase.CANCELED,
    E.ERROR: RunPhase.FAILED,
    E.DELETING: RunPhase.CANCELED,
    E.DELETED: RunPhase.CANCELED,
    E.DELETE_FAILED: RunPhase.CANCELED,
}
GONE = frozenset({E.DELETING, E.DELETED})
"""Somebody deletes the run at the engine: for us it is not there."""
T = trialv1State
TRIAL_PHASE_OF: dict[trialv1State, RunPhase] = {
    T.UNSPECIFIED: RunPhase.QUEUED,
    T.QUEUED: RunPhase.QUEUED,
    T.PULLING: RunPhase.QUEUED,
    T.STARTING: RunPhase.QUEUED,
    T.ACTIVE: RunPhase.RUNNING,
    T.RUNNING: RunPhase.RUNNING,
    T.PAUSED: RunPhase.PAUSED,
    T.STOPPING_COMPLETED: RunPhase.STOPPING,
    T.STOPPING_CANCELED: RunPhase.STOPPING,
    T.STOPPING_KILLED: RunPhase.STOPPING,
    T.STOPPING_ERROR: RunPhase.STOPPING,
    T.COMPLETED: RunPhase.SUCCEEDED,
    T.CANCELED: RunPhase.CANCELED,
    T.ERROR: RunPhase.FAILED,
}
RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::\s.*)?$")
TRACEBACK = "Traceback (most recent call last):"
RANK = re.compile(r"^\[rank=\d+\] ?")
WORDS = 400
"""How much of a trial's last words fits into a status."""


def moment(text: str | None) -> datetime | None:
    """Read a time of the wire."""
    if not text:
        return None
    return datetime.fromisoformat(text)


def trial_status(
    trial: trialv1Trial, searcher: Mapping[str, JsonValue], allocations: Iterable[v1Allocation]
) -> TrialStatus:
    """Read a trial: its times are those of its processes, where there were any."""
    begun = [at for a in allocations if (at := moment(a.startTime)) is not None]
    phase = TRIAL_PHASE_OF[trial.state]
    return TrialStatus(
        id=trial.id,
        state=phase.value,
        hparams=dict(trial.hparams),
        metric=_best(trial, searcher),
        steps=trial.totalBatchesProcessed,
        stopped_early=phase is RunPhase.SUCCEEDED and _fell_behind(trial, searcher),
        started_at=min(begun, default=moment(trial.startTime)),
        finished_at=moment(trial.endTime) if phase.over else None,
    )


def slot_seconds(allocations: Iterable[v1Allocation], now: datetime) -> float:
    """Add up how long slots were held; a slot is held until its process is gone."""
    total = 0.0
    for allocation in allocations:
        begun = moment(allocation.startTime)
        if begun is not None:
            total += max(((moment(allocation.endTime) or now) - begun).total_seconds(), 0) * allocation.slots
    return total


def searcher_of(config: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The part of a configuration that says what is searched and by which metric."""
    found = config.get("searcher")
    return found if isinstance(found, dict) else {}


def seed_of(config: Mapping[str, JsonValue]) -> int | None:
    """What the draws of a search begin with; a master fills it in."""
    found = config.get("reproducibility")
    seed = found.get("experiment_seed") if isinstance(found, dict) else None
    return int(seed) if isinstance(seed, int | float) else None


def commit_of(config: Mapping[str, JsonValue]) -> str:
    """Give the commit whose files a run was given."""
    pachyderm = _table(_table(config.get("integrations")).get("pachyderm"))
    return str(_table(pachyderm.get("dataset")).get("commit") or "")


def _best(trial: trialv1Trial, searcher: Mapping[str, JsonValue]) -> float | None:
    if trial.bestValidation is None:
        return None
    return number(trial.bestValidation.metrics.avgMetrics.get(str(searcher.get("metric"))))


def _fell_behind(trial: trialv1Trial, searcher: Mapping[str, JsonValue]) -> bool:
    """The search ended it: its last validation came before the time that a search runs to."""
    limit, clock = number(searcher.get("max_time")), searcher.get("time_metric")
    if limit is None or clock is None or trial.latestValidation is None:
        return False
    reached = number(trial.latestValidation.metrics.avgMetrics.get(str(clock)))
    return reached is not None and reached < limit


def number(value: object) -> float | None:
    """Give a finite number; the wire writes the others as words."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def checkpoint_seen(found: v1Checkpoint) -> CheckpointSeen | None:
    """Read a checkpoint; None when it was never measured by the searcher's metric."""
    training = found.training
    metric = number(training.searcherMetric)
    if metric is None or training.trialId is None:
        return None
    config = training.experimentConfig or {}
    return CheckpointSeen(
        uuid=found.uuid,
        uri=_checkpoint_uri(config.get("checkpoint_storage") or {}, found.uuid),
        trial=training.trialId,
        metric=metric,
        hparams=dict(training.hparams or {}),
    )


def checkpoint_found(found: v1Checkpoint) -> CheckpointFound | None:
    """Read a checkpoint for what a Release says of it; None when its files were deleted, all or some."""
    if found.state is not checkpointv1State.COMPLETED:
        return None
    training = found.training
    storage = (training.experimentConfig or {}).get("checkpoint_storage") or {}
    run, trial = str(training.experimentId or ""), training.trialId or 0
    uri = _checkpoint_uri(storage, found.uuid)
    return CheckpointFound(uri, run, trial, number(training.searcherMetric), dict(training.hparams or {}))


def asked_for(text: str) -> dict[str, JsonValue]:
    """Read a configuration as it was sent; what is no mapping asked for nothing."""
    try:
        return _table(yaml.safe_load(text))
    except yaml.YAMLError:
        return {}


def _checkpoint_uri(storage: Mapping[str, JsonValue], uuid: str) -> str:
    """Say where the files of a checkpoint lie."""
    match storage.get("type"):
        case "directory":
            return _file(str(storage.get("container_path")), uuid)
        case "shared_fs":
            inner = str(storage.get("storage_path") or "")
            host = str(storage.get("host_path"))
            return _file(inner if inner.startswith("/") else f"{host}/{inner}", uuid)
        case "s3":
            prefix = str(storage.get("prefix") or "").strip("/")
            return "/".join(part for part in ("s3:/", str(storage.get("bucket")), prefix, uuid) if part)
        case other:
            return f"{other}://{uuid}"


def _file(folder: str, uuid: str) -> str:
    return f"file://{folder.rstrip('/')}/{uuid}"


def measurement_of(document: Mapping[str, JsonValue]) -> Measurement:
    """Read what an evaluation reported under the group `evaluation`."""
    files = _table(_table(document.get("checkpoint")).get("files"))
    environment = _table(document.get("environment"))
    return measured(document, {path: str(sha) for path, sha in files.items()}, dict(document), environment)


def _table(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def last_words(lines: Iterable[str]) -> str:
    """Choose the line of a trial's log that says why it ended: the exception's own, else the last one.

    The exception's line is the first one after a traceback's head that is not indented; without a traceback it is
    the last one that looks like an exception's.
    """
    said = [text for line in lines if (text := RANK.sub("", line).rstrip())]
    heads = [place for place, text in enumerate(said) if text.strip() == TRACEBACK]
    after = said[heads[-1] + 1 :] if heads else []
    raised = next((line for line in after if not line[0].isspace()), "")
    alike = next((line.strip() for line in reversed(said) if RAISED.match(line.strip())), "")
    return (raised or alike or (said[-1].strip() if said else ""))[:WORDS]
