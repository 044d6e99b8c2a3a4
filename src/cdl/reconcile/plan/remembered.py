"""What statuses tell of the engines, where these cannot be asked: the same facts, with less in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus, Side
from cdl.api.v1alpha1.resource import DeletionPolicy
from cdl.reconcile import datapipeline as data
from cdl.reconcile import experiment as training
from cdl.reconcile import modeldeployment as serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
    from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Dataset, Source
    from cdl.api.v1alpha1.resource import Status

SOMEBODY_ELSE = frozenset({Reason.WAITING_FOR_APPROVAL, Reason.WAITING_FOR_RELEASE})
"""What is waited for while no engine does anything."""
GONE = "another program"
"""Stands for the code of a built-in program that is not here any more."""
BY_SPEC = ("code", "data", "labels", "transforms")
"""Members that the spec and the dataset alone decide about."""


def settled(status: Status, generation: int) -> bool:
    """The engines hold what the status says: nothing was going on when it was written.

    A dataset that broke a check is not in the status of its pipeline, which still tells of the one before it.
    """
    ready = status.condition(ConditionType.READY)
    if ready is None or status.observed_generation != generation:
        return False
    if ready.status == "False":
        return not isinstance(status, DataPipelineStatus)
    return ready.status == "True" or ready.reason in SOMEBODY_ELSE


def sources_seen(sources: Iterable[Source]) -> tuple[data.SourceSeen, ...]:
    """Stand in for a collector: what a source without a checksum holds is known by where it came from."""
    return tuple(data.SourceSeen(s.name, s.sha256 or f"what was at {s.uri} {s.query}".rstrip()) for s in sources)


def data_seen(before: DataPipeline | None, spec: DataPipelineSpec, programs: Mapping[str, str]) -> data.DataSeen:
    """Stand in for the data engine."""
    if before is None or before.status.dataset is None:
        return data.DataSeen(programs=programs)
    dataset = before.status.dataset
    then = _programs_then(before, programs, dataset)
    key = data.ingest_key(before.spec, sources_seen(before.spec.sources))
    heads = {side: _head(before, side) for side in Side}
    sides = tuple(
        data.SideSeen(side, f"{before.metadata.name}-{side}", heads[side], key if before.spec.sources else None)
        for side in Side
    )
    steps = {s.name for s in spec.steps}
    made = tuple(s for side in Side for s in _steps(before, side, heads[side], then) if s.step in steps)
    rows = dataset.labels.rows
    manifests = (
        _manifest(Side.TRAIN, dataset, max(rows - 1, 0)),
        _manifest(Side.TEST, dataset, min(rows, 1)),
    )
    return data.DataSeen(sides=sides, programs=programs, steps=_counted(before, made), manifests=manifests)


def _programs_then(before: DataPipeline, programs: Mapping[str, str], dataset: Dataset) -> Mapping[str, str]:
    """The programs of today, if the dataset was made by them; else some that differ from all of them."""
    used = {s.uses for s in before.spec.steps if s.uses}
    if used <= programs.keys() and data.transform_digest(before.spec, programs) == dataset.transform:
        return programs
    return dict.fromkeys(used, GONE)


def _head(before: DataPipeline, side: Side) -> str | None:
    name = f"{before.metadata.name}-{side}"
    return next((r.head for r in before.status.repos if r.name == name), None)


def _steps(before: DataPipeline, side: Side, head: str | None, programs: Mapping[str, str]) -> Iterator[data.StepSeen]:
    read = head or ""
    for wish in data.wishes(before.spec, programs):
        job = next((j for j in before.status.jobs if (j.step, j.side) == (wish.step.name, side)), None)
        made = job.id if job is not None else f"{wish.step.name} of {read}"
        yield data.StepSeen(wish.step.name, side, wish.digest, read, made, job, done=True)
        read = made


def _counted(before: DataPipeline, steps: tuple[data.StepSeen, ...]) -> tuple[data.StepSeen, ...]:
    """Put what was rejected on one of the steps: which one is not known, and does not matter."""
    if not steps:
        return steps
    report = data.Report(rejected=before.status.rejected.by_reason)
    return (*steps[:-1], replace(steps[-1], report=report))


def _manifest(side: Side, dataset: Dataset, rows: int) -> data.ManifestSeen:
    told = dataset.train if side is Side.TRAIN else dataset.test
    return data.ManifestSeen(side, told.repo, told.commit, "", told.files, dataset.labels.snapshot, rows)


def runs_seen(
    wanted: Experiment, before: Experiment | None, datasets: Sequence[Dataset], releases: Iterable[Release]
) -> tuple[training.RunSeen, ...]:
    """Stand in for the training engine: the run of the status, and those that made Releases."""
    if before is None:
        return ()
    found: dict[str, training.RunSeen] = {}
    for release in releases:
        for run in _runs_of(wanted, datasets, release.spec.members):
            found.setdefault(run.key, run)
    for run in _own_runs(before):
        found[run.key] = run
    return tuple(found.values())


def _own_runs(before: Experiment) -> Iterator[training.RunSeen]:
    status, told = before.status, before.status.run
    if told is None or told.state not in set(training.RunPhase):
        return
    best, checkpoint = status.best_trial, status.checkpoint
    won = None
    if best is not None and checkpoint is not None:
        won = training.CheckpointSeen(checkpoint.uuid, "", best.id, best.metric, best.hparams)
    yield training.RunSeen(
        key=told.key,
        id=told.id,
        phase=training.RunPhase(told.state),
        started_at=told.started_at,
        finished_at=told.finished_at,
        best=won,
        slot_seconds=status.cost.slot_seconds,
    )
    evaluation = status.evaluation
    if won is None or status.data is None or evaluation is None or not evaluation.metrics:
        return
    yield training.RunSeen(
        key=training.evaluation_key(before, status.data, won.uuid, told.key),
        id=evaluation.run,
        phase=training.RunPhase.SUCCEEDED,
        started_at=evaluation.started_at,
        finished_at=evaluation.finished_at,
        measurement=_measured(evaluation.metrics),
    )


def _runs_of(
    wanted: Experiment, datasets: Sequence[Dataset], members: Mapping[str, JsonValue]
) -> Iterator[training.RunSeen]:
    """The run and the evaluation behind a Release; none when it is not told in the words of today."""
    trained, kept, measured = (_part(members, name) for name in ("experiment", "checkpoint", "evaluation"))
    key, uuid, metrics = trained.get("key"), kept.get("uuid"), measured.get("metrics")
    if not (isinstance(key, str) and isinstance(uuid, str) and isinstance(metrics, dict)):
        return
    hparams, trial, metric = trained.get("hparams"), trained.get("trial"), trained.get("metric")
    best = training.CheckpointSeen(
        uuid,
        str(kept.get("uri")),
        trial if isinstance(trial, int) else 0,
        float(metric) if isinstance(metric, int | float) else 0.0,
        hparams if isinstance(hparams, dict) else {},
    )
    over = training.RunPhase.SUCCEEDED
    yield training.RunSeen(key=key, id=str(trained.get("run")), phase=over, best=best)
    if measured.get("entrypoint") != wanted.spec.evaluation.entrypoint:
        return
    figures = {name: float(v) for name, v in metrics.items() if isinstance(v, int | float)}
    for dataset in datasets:
        first = training.train_key(wanted, dataset)
        if key == first or key.startswith(f"{first}-"):
            again = training.evaluation_key(wanted, dataset, uuid, key)
            yield training.RunSeen(again, str(measured.get("run")), over, measurement=_measured(figures))


def _measured(metrics: Mapping[str, float]) -> training.Measurement:
    return training.Measurement(metrics, {}, {}, {}, {})


def contents_seen(
    wanted: Experiment, dataset: Dataset, seen: training.Seen, releases: Iterable[Release]
) -> training.Seen:
    """Let a Release that has everything the spec asks for be found by its content.

    What only the engines know of its members is not in a status; what the spec decides about is compared.
    """
    known = {r.metadata.name: r.spec.members for r in releases}
    by_key = {r.key: r for r in seen.runs}
    run = by_key.get(training.current_key(wanted, seen, dataset))
    if run is None or run.best is None:
        return seen
    measured = by_key.get(training.evaluation_key(wanted, dataset, run.best.uuid, run.key))
    if measured is None or measured.measurement is None:
        return seen
    members, _ = training.release_members(wanted, dataset, run, run.best, measured, seen.shelf)
    content = training.content_digest(members)
    asked = _by_spec(members)
    told = (replace(r, content=content) if _by_spec(known.get(r.name, {})) == asked else r for r in seen.releases)
    return replace(seen, releases=tuple(told))


def _by_spec(members: Mapping[str, JsonValue]) -> list[JsonValue]:
    trained, measured = _part(members, "experiment"), _part(members, "evaluation")
    whole = [members.get(name) for name in BY_SPEC]
    return [*whole, trained.get("key"), trained.get("config"), measured.get("entrypoint")]


def _part(members: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = members.get(name)
    return part if isinstance(part, dict) else {}


def serving_seen(before: ModelDeployment | None, releases: Iterable[serving.ReleaseSeen]) -> serving.ServingSeen | None:
    """Stand in for the serving engine."""
    if before is None:
        return None
    status, meta = before.status, before.metadata
    release = next((r for r in releases if r.name == status.release), None)
    up = status.condition(ConditionType.SERVING)
    if release is None or up is None or up.status != "True":
        return None
    takes_along = before.spec.deletion_policy is DeletionPolicy.DELETE
    wish = serving.ServingWish(release, before.spec, meta.uid if takes_along else "")
    replicas = status.replicas
    return serving.ServingSeen(
        wish.key, release.name, serving.ServingPhase.AVAILABLE, status.url, replicas.desired, replicas.ready
    )
