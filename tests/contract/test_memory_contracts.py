"""Every contract, kept by the engines in memory."""

from __future__ import annotations

import pytest

from cdl.api.v1alpha1.experiment import Archive
from cdl.reconcile.experiment import TrainWish
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingWish
from cdl.testing.artifacts_contract import ArtifactStoreContract
from cdl.testing.builders import A_SHA, deployment
from cdl.testing.data_contract import DataEngineContract
from cdl.testing.memory import (
    MemoryArtifacts,
    MemoryData,
    MemoryResources,
    MemoryServing,
    MemorySources,
    MemoryTraining,
)
from cdl.testing.memory.serving import BROKEN
from cdl.testing.resources_contract import ResourceStoreContract
from cdl.testing.serving_contract import ServingEngineContract
from cdl.testing.sources_contract import SourceCollectorContract
from cdl.testing.training_contract import TrainingEngineContract
from cdl.testing.weather import Crash

ENOUGH = 8
"""Rounds after which everything in memory has ended."""


class TestMemoryData(DataEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryData()

    def settle(self, engine, key, wanted):
        for _ in range(ENOUGH):
            engine.advance()
        return engine.look(key, wanted)

    def abandon(self, engine, key, which, ingest, files):
        engine.weather.crash_in = 1
        with pytest.raises(Crash):
            engine.ingest(key, which, ingest, files)


class TestMemoryTraining(TrainingEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryTraining()

    def wish(self, **config):
        return TrainWish("news", config, Archive(uri="https://example.test/m.tar.gz", sha256=A_SHA), "news", "c1")

    def short_wish(self):
        return self.wish()

    def failing_wish(self):
        return self.wish(hyperparameters={"fail": True})

    def measuring_wish(self, checkpoint):
        code = self.wish().code
        return TrainWish("news-evaluation", {}, code, "news", "c2", "evaluate:evaluate", checkpoint)

    def settle(self, engine, key):
        others = [(run, run.phase) for run in engine.runs if run.owner != key]
        for _ in range(ENOUGH):
            engine.advance()
        for run, phase in others:  # only this owner's time passed
            run.phase = phase
        return engine.look(key)

    def pause(self, engine, key, run):
        engine.pause(key, run)

    def live(self, engine, key):
        return sum(run.live for run in engine.runs if run.owner == key)


class TestMemoryServing(ServingEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryServing()

    def wish(self, version):
        seen = ReleaseSeen(
            f"news-{version}", version, f"sha256:{version}", approved=True, document=f"memory:///{version}"
        )
        return ServingWish(seen, deployment().spec)

    def broken_wish(self):
        return ServingWish(ReleaseSeen("news-3", 3, "sha256:3", approved=True, document=BROKEN), deployment().spec)

    def settle(self, engine, key):
        engine.advance()
        return engine.look(key)

    def answering(self, engine, key):
        return engine.answering(key)


class TestMemoryArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return MemoryArtifacts(tmp_path)

    def damage(self, engine, uri):
        engine.contents[uri] = b"something else"

    def lose(self, engine, uri):
        del engine.contents[uri]


class TestMemorySources(SourceCollectorContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return MemorySources(tmp_path)

    def publish(self, engine, name, content):
        uri = f"https://example.test/{name}"
        engine.places[uri] = content
        return uri

    def withdraw(self, engine, uri):
        del engine.places[uri]

    def silent(self, engine):
        engine.silent.add("https://silent.test/a.txt")
        return "https://silent.test/a.txt"


class TestMemoryResources(ResourceStoreContract):
    @pytest.fixture
    def engine(self):
        return MemoryResources()

    def apply(self, engine, resource):
        engine.put(resource)

    def delete(self, engine, key):
        engine.delete(key)
