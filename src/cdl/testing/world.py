"""A whole cdl in memory: every engine, the real loop, and time that passes when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.loop import Controller, Engines, Reconciler
from cdl.loop.datapipeline import controller as data_pipelines
from cdl.loop.experiment import controller as experiments
from cdl.loop.forges import Forges
from cdl.loop.modeldeployment import controller as model_deployments
from cdl.loop.planned import announced

from .builders import signer
from .memory import (
    MemoryArtifacts,
    MemoryData,
    MemoryForge,
    MemoryLabelled,
    MemoryLabelling,
    MemoryLabels,
    MemoryLedger,
    MemoryRaw,
    MemoryResources,
    MemoryServing,
    MemorySources,
    MemoryTraining,
    archive,
)
from .weather import Weather

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import Resource

NEWS = {f"{label}/{n}.txt": f"{label} article {n}, long enough" for label in ("sport", "tech") for n in range(12)}
RECONCILED = (DataPipeline, Experiment, ModelDeployment)


class World:
    """Engines in memory, each with its own weather under one sky, and an operator that can be killed."""

    keeps_labels = False
    """There is a database for labels."""

    def __init__(self, folder: Path) -> None:
        """Publish one archive of news; nothing else is there."""
        self.sky = Weather()
        names = ("resources", "sources", "data", "training", "serving", "artifacts", "ledger", "forge")
        self.weather = {name: Weather(sky=self.sky) for name in names}
        self.resources = MemoryResources(self.weather["resources"])
        self.sources = MemorySources(folder, self.weather["sources"])
        self.data = MemoryData(self.weather["data"])
        self.people = MemoryLabelling(Weather(sky=self.sky))
        self.labelled = MemoryLabelled(self.data)
        self.raw = MemoryRaw(self.weather["data"])
        self.training = MemoryTraining(self.weather["training"])
        self.serving = MemoryServing(self.weather["serving"])
        self.artifacts = MemoryArtifacts(folder, self.weather["artifacts"])
        self.signer = signer()
        self.ledger = MemoryLedger(self.weather["ledger"])
        self.labels = MemoryLabels(Weather(sky=self.sky))
        self.forge = MemoryForge(self.weather["forge"])
        self.forges = Forges(lambda _: self.forge, {"validator": "maintainer"})
        """Which projects may be asked: all of them are the one there is."""
        self.sources.places["https://example.test/articles.tar"] = archive(NEWS)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.planned: list[tuple[Key, str]] = []
        """What operators said of changed resources before they worked on them."""
        self._reconcilers: dict[str, Reconciler[Any, Any, Any, Any]] = {}
        self.restart()

    def restart(self) -> None:
        """Start a new operator that knows nothing."""
        engines = self.engines
        self._reconcilers = {
            "DataPipeline": self._reconciler(data_pipelines(engines)),
            "Experiment": self._reconciler(experiments(engines)),
            "ModelDeployment": self._reconciler(model_deployments(engines)),
        }

    def _reconciler(self, controller: Controller[Any, Any, Any, Any]) -> Reconciler[Any, Any, Any, Any]:
        telling = announced(controller, lambda resource, line: self.planned.append((resource.key, line)))
        return Reconciler(telling, self.resources, lambda: self.now, ledger=self.ledger)

    @property
    def engines(self) -> Engines:
        """Everything there is to look at, as it is wired now."""
        ports = (self.resources, self.sources, self.data, self.training, self.serving, self.artifacts)
        return Engines(
            *ports,
            signer=self.signer,
            ledger=self.ledger,
            raw=self.raw,
            forge=self.forges,
            labels=self.labels if self.keeps_labels else None,
            people=self.people,
            labelled=self.labelled,
        )

    def turn(self, key: Key) -> timedelta | None:
        """Let the operator look at one resource once."""
        return self._reconcilers[key.kind].turn(key.namespace, key.name)

    def clear_up(self) -> None:
        """Let nothing go wrong any more."""
        for weather in (self.sky, *self.weather.values()):
            weather.clear_up()

    def advance(self) -> None:
        """Let a minute pass at every engine."""
        self.now += timedelta(minutes=1)
        for engine in (self.data, self.raw, self.training, self.serving):
            engine.advance()

    def keys(self) -> tuple[Key, ...]:
        """Every resource that the operator looks after."""
        return tuple(r.key for kind in RECONCILED for r in self.resources.list(kind))

    def get(self, key: Key) -> Resource | None:
        """Give a resource by its key."""
        kind = next(k for k in RECONCILED if k.__name__ == key.kind)
        return self.resources.get(kind, key.namespace, key.name)

    def settle(self, rounds: int = 60) -> int:
        """Turn everything and let time pass until nothing is written any more; say how many rounds that took.

        Raises:
            RuntimeError: something is still written after so many rounds.
        """
        quiet = 0
        for done in range(rounds):
            before = self.resources.writes
            for key in self.keys():
                self.turn(key)
            self.advance()
            quiet = quiet + 1 if self.resources.writes == before else 0
            if quiet == 4:
                return done + 1
        message = f"still writing after {rounds} rounds; last calls: {self.sky.calls[-12:]}"
        raise RuntimeError(message)
