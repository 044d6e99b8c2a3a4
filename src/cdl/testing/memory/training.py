"""A training engine in memory: runs that queue, train and end; their metric is 1 - learning_rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short
from cdl.api.v1alpha1.experiment import TrialStatus
from cdl.reconcile.experiment import CheckpointSeen, Measurement, Point, RunPhase, RunSeen, TrialFound
from cdl.reconcile.release import CheckpointFound, RunFound, VersionFound
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.meta import Key
    from cdl.reconcile.experiment import TrainWish

TICK = timedelta(minutes=1)
LENGTH = 2 * TICK
"""How long every run uses its one slot."""


@dataclass(slots=True)
class Run:
    """One run, as the engine keeps it."""

    owner: Key
    key: str
    id: str
    wish: TrainWish
    phase: RunPhase = RunPhase.QUEUED
    archived: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    slot_seconds: float = 0

    @property
    def live(self) -> bool:
        """It uses slots or will."""
        return not self.phase.over


class MemoryTraining:
    """A TrainingEngine. A run whose hyperparameters say `fail: true` fails; an unknown checkpoint is not measured."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start without runs and with an empty registry."""
        self.weather = weather or Weather()
        self.runs: list[Run] = []
        self.created: Counter[tuple[Key, str]] = Counter()
        """How often a run of each key was made."""
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._registry: dict[tuple[str, str], list[str]] = {}
        self.versions: dict[tuple[str, str, int], VersionFound] = {}
        """What each version of a model stands for."""

    def look(self, owner: Key) -> tuple[RunSeen, ...]:
        """Report every run of the owner, archived ones left out; changes nothing."""
        with self.weather.call("look at runs"):
            return tuple(self._seen(r) for r in self.runs if r.owner == owner and not r.archived)

    def start(self, owner: Key, key: str, wish: TrainWish) -> None:
        """Make sure a run called key exists and is active unless it ended."""
        with self.weather.call(f"start {key}"):
            run = self._find(owner, key)
            if run is None:
                self.runs.append(Run(owner, key, str(len(self.runs) + 1), wish))
                self.created[owner, key] += 1
            elif run.phase is RunPhase.PAUSED:
                run.phase = RunPhase.QUEUED

    def stop(self, owner: Key, key: str) -> None:
        """Make sure no run called key goes on."""
        with self.weather.call(f"stop {key}"):
            run = self._find(owner, key)
            if run is not None:
                self._end(run, RunPhase.CANCELED)

    def register(self, namespace: str, model: str, checkpoint: str, digest: str) -> int:
        """Make sure the registry has a version of the model for this digest and give its number."""
        with self.weather.call(f"register {digest}"):
            versions = self._registry.setdefault((namespace, model), [])
            if digest not in versions:
                versions.append(digest)
                self.versions[namespace, model, len(versions)] = VersionFound(checkpoint, digest)
            return versions.index(digest) + 1

    def run(self, run: str) -> RunFound | None:
        """Say what a run was asked for and, if it evaluated, what it reported."""
        with self.weather.call(f"read run {run}"):
            found = next((r for r in self.runs if r.id == run), None)
            if found is None:
                return None
            measured = self._seen(found).measurement
            dataset: dict[str, JsonValue] = {"repo": found.wish.repo, "commit": found.wish.commit}
            integrations: dict[str, JsonValue] = {"pachyderm": {"dataset": dataset}}
            config: dict[str, JsonValue] = {**found.wish.config, "integrations": integrations}
            return RunFound(found.key, None, config, measured.raw if measured is not None else None)

    def trials(self, run: str) -> tuple[TrialFound, ...] | None:
        """Give every trial of a run with all it reported, the first one first."""
        with self.weather.call(f"read trials of run {run}"):
            found = next((r for r in self.runs if r.id == run), None)
            return tuple(_reported(t) for t in _trials(found)) if found is not None else None

    def checkpoint(self, uuid: str) -> CheckpointFound | None:
        """Say whose a checkpoint is and where its files belong."""
        with self.weather.call(f"read checkpoint {uuid}"):
            run = self._trained(uuid)
            if run is None:
                return None
            best = _checkpoint(run)
            return CheckpointFound(best.uri, run.id, best.trial, best.metric, best.hparams)

    def version(self, namespace: str, model: str, number: int) -> VersionFound | None:
        """Say what a version of a namespace's model stands for by now."""
        with self.weather.call(f"read version {number} of {model}"):
            return self.versions.get((namespace, model, number))

    def forget(self, owner: Key) -> None:
        """Stop and archive every run of the owner."""
        with self.weather.call("forget runs"):
            for run in self.runs:
                if run.owner == owner:
                    self._end(run, RunPhase.CANCELED)
                    run.archived = True

    def beat(self) -> Mapping[Key, str]:
        """Give a text for every owner that changes whenever a look would see something else."""
        with self.weather.call("beat of runs"):
            kept: dict[Key, list[list[str]]] = {}
            for run in self.runs:
                if not run.archived:
                    kept.setdefault(run.owner, []).append([run.id, run.key, run.phase.value])
            return {owner: short(runs) for owner, runs in kept.items()}

    def pause(self, owner: Key, key: str) -> None:
        """Pause a run, as a person would at the engine."""
        run = self._find(owner, key)
        if run is not None and run.live:
            run.phase = RunPhase.PAUSED

    def advance(self) -> None:
        """Let a minute pass: what is queued runs, what runs ends."""
        self.now += TICK
        for run in self.runs:
            match run.phase:
                case RunPhase.QUEUED:
                    run.phase, run.started_at = RunPhase.RUNNING, self.now
                case RunPhase.RUNNING:
                    run.slot_seconds += TICK.total_seconds()
                    if run.slot_seconds >= LENGTH.total_seconds():
                        self._end(run, RunPhase.FAILED if self._failure(run) else RunPhase.SUCCEEDED)

    def _find(self, owner: Key, key: str) -> Run | None:
        return next((r for r in self.runs if (r.owner, r.key) == (owner, key) and not r.archived), None)

    def _end(self, run: Run, phase: RunPhase) -> None:
        if run.live:
            run.phase, run.finished_at = phase, self.now

    def _seen(self, run: Run) -> RunSeen:
        succeeded = run.phase is RunPhase.SUCCEEDED
        best = _checkpoint(run) if succeeded and not run.wish.evaluates else None
        trained = self._trained(run.wish.checkpoint)
        return RunSeen(
            key=run.key,
            id=run.id,
            phase=run.phase,
            started_at=run.started_at,
            finished_at=run.finished_at,
            trials=_trials(run),
            best=best,
            measurement=_measurement(run, trained) if succeeded and run.wish.evaluates and trained else None,
            slot_seconds=run.slot_seconds,
            failure=self._failure(run) if run.phase is RunPhase.FAILED else "",
            looked_at=run.wish.commit if run.wish.evaluates else "",
        )

    def _failure(self, run: Run) -> str:
        if _hparams(run.wish.config).get("fail"):
            return "the trial raised: fail is true"
        if run.wish.evaluates and self._trained(run.wish.checkpoint) is None:
            return f"checkpoint {run.wish.checkpoint} is not there"
        return ""

    def _trained(self, checkpoint: str) -> Run | None:
        return next((r for r in self.runs if r.phase is RunPhase.SUCCEEDED and _checkpoint(r).uuid == checkpoint), None)


def _hparams(config: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    found = config.get("hyperparameters")
    return dict(found) if isinstance(found, dict) else {}


def _accuracy(run: Run) -> float:
    rate = _hparams(run.wish.config).get("learning_rate", 0.1)
    return 1.0 - float(rate) if isinstance(rate, int | float) else 0.0


def _checkpoint(run: Run) -> CheckpointSeen:
    uuid = f"ckpt-{short([str(run.owner), run.key])}"
    return CheckpointSeen(uuid, f"memory:///{uuid}", 1, _accuracy(run), _hparams(run.wish.config))


def _trials(run: Run) -> tuple[TrialStatus, ...]:
    if run.phase is RunPhase.QUEUED and run.started_at is None:
        return ()
    metric = _accuracy(run) if run.phase is RunPhase.SUCCEEDED else None
    return (
        TrialStatus(
            id=1, state=run.phase.value, hparams=_hparams(run.wish.config), metric=metric, started_at=run.started_at
        ),
    )


def _reported(trial: TrialStatus) -> TrialFound:
    """One validation at its end."""
    points = () if trial.metric is None else (Point(trial.steps, {"accuracy": trial.metric}),)
    return TrialFound(trial, 0, points)


def _measurement(run: Run, trained: Run) -> Measurement:
    metrics = {"accuracy": _accuracy(trained)}
    files = {"weights": digest([trained.owner.name, trained.key])}
    environment: dict[str, JsonValue] = {"python": "3.11", "packages": {"memory": "1"}}
    raw: dict[str, JsonValue] = {"metrics": dict(metrics), "commit": run.wish.commit}
    return Measurement(metrics, {"business": {"f1": metrics["accuracy"]}}, files, environment, raw)
