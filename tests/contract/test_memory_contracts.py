"""Every contract, kept by the engines in memory."""

from __future__ import annotations

import dataclasses

import pytest

from cdl.api.v1alpha1.datapipeline import Side
from cdl.api.v1alpha1.experiment import Archive
from cdl.reconcile.experiment import TrainWish
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingWish
from cdl.testing.artifacts_contract import ArtifactStoreContract
from cdl.testing.builders import A_SHA, deployment, folder, owner, step_wish
from cdl.testing.data_contract import NEWS, DataEngineContract, spec
from cdl.testing.forge_contract import ForgeContract
from cdl.testing.labelled_contract import LabelledDataContract
from cdl.testing.labelling_contract import ANN, LabellingEngineContract
from cdl.testing.labels_contract import LabelStoreContract
from cdl.testing.ledger_contract import LedgerContract
from cdl.testing.memory import (
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
    MemorySigner,
    MemorySources,
    MemoryTraining,
)
from cdl.testing.memory.forge import US, Note
from cdl.testing.memory.serving import BROKEN
from cdl.testing.pulse_contract import PulseContract
from cdl.testing.raw_contract import RawPipelinesContract
from cdl.testing.resources_contract import ResourceStoreContract
from cdl.testing.serving_contract import ServingEngineContract
from cdl.testing.signing_contract import SignerContract
from cdl.testing.sources_contract import SourceCollectorContract
from cdl.testing.training_contract import TrainingEngineContract
from cdl.testing.weather import Crash
from tests.contract.pulses import ServingPulse, TrainingPulse

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


class TestMemoryRaw(RawPipelinesContract):
    @pytest.fixture
    def engine(self):
        return MemoryRaw()

    def repo(self, engine):
        return "articles"

    def settle(self, engine, key):
        for _ in range(ENOUGH):
            engine.advance()
        return engine.look(key)


class TestMemoryTraining(TrainingEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryTraining()

    def wish(self, **config):
        return TrainWish("news", config, Archive(uri="https://example.test/m.tar.gz", sha256=A_SHA), "news", "c1")

    def short_wish(self):
        return self.wish(hyperparameters={"learning_rate": 0.1})

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


def serving(version, document):
    digest, approval = f"sha256:{version}", f"memory:///{version}.approval"
    seen = ReleaseSeen(f"news-{version}", version, digest, True, document, attestation=approval)
    return ServingWish(seen, deployment().spec)


class TestMemorySigner(SignerContract):
    @pytest.fixture
    def engine(self):
        return MemorySigner()


class TestMemoryServing(ServingEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryServing()

    def wish(self, version):
        return serving(version, f"memory:///{version}")

    def broken_wish(self):
        return serving(3, BROKEN)

    def settle(self, engine, key):
        engine.advance()
        return engine.look(key)

    def answering(self, engine, key):
        return engine.answering(key)

    def bury(self, engine, key):
        engine.bury(self.born(engine, key))


class TestMemoryDataPulse(PulseContract):
    wish = step_wish("copy")

    @pytest.fixture
    def engine(self):
        return MemoryData()

    def owner(self):
        return owner("DataPipeline")

    def begin(self, engine, key, place):
        engine.ensure_step(key, Side.TRAIN, self.wish, "")
        engine.ingest(key, Side.TRAIN, "one", folder(place, NEWS))

    def change(self, engine, key, place):
        engine.push(key, Side.TRAIN, {"tech/9.txt": b"pushed by somebody"})

    def forget(self, engine, key):
        engine.forget(key)

    def look(self, engine, key):
        return engine.look(key, spec(self.wish))

    def settled(self, seen):
        return all(step.done for step in seen.steps if step.wish)

    def later(self, engine):
        engine.advance()


class TestMemoryTrainingPulse(TrainingPulse):
    wish, short_wish, failing_wish = (
        TestMemoryTraining.wish,
        TestMemoryTraining.short_wish,
        TestMemoryTraining.failing_wish,
    )

    @pytest.fixture
    def engine(self):
        return MemoryTraining()

    def look(self, engine, key):
        return [run if run.phase.over else (run.id, run.key, run.phase) for run in engine.look(key)]

    def settled(self, seen):
        return not any(isinstance(run, tuple) for run in seen)

    def later(self, engine):
        engine.advance()


class TestMemoryServingPulse(ServingPulse):
    wish = TestMemoryServing.wish

    @pytest.fixture
    def engine(self):
        return MemoryServing()

    def later(self, engine):
        engine.advance()


class TestMemoryArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return MemoryArtifacts(tmp_path)

    def damage(self, engine, uri):
        engine.contents[uri] = b"something else"

    def lose(self, engine, uri):
        del engine.contents[uri]

    def lay(self, engine, files):
        engine.contents |= {f"memory:///laid/{path}": content for path, content in files.items()}
        return "memory:///laid"


class TestMemorySources(SourceCollectorContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return MemorySources(tmp_path)

    def publish(self, engine, name, content):
        uri = f"https://example.test/{name}"
        engine.places[uri] = content
        return uri

    def replace(self, engine, uri, content):
        engine.places[uri] = content

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


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def engine(self):
        return MemoryLedger()

    def change(self, engine, number, entry):
        engine.kept[number - 1] = dataclasses.replace(engine.kept[number - 1], entry=entry)


class TestMemoryLabels(LabelStoreContract):
    @pytest.fixture
    def engine(self):
        return MemoryLabels()


class TestMemoryLabelled(LabelledDataContract):
    @pytest.fixture
    def engine(self):
        return MemoryLabelled()

    def beside(self, engine):
        return engine.data


class TestMemoryLabelling(LabellingEngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryLabelling()

    def founded(self, engine, title, config):
        return engine.found(title, config)

    def shown(self, engine, project):
        kept = engine.projects[project]
        offered = engine._choices(kept.config)
        tasks = [(one.fields, one.predicted if one.predicted in offered else "") for one in kept.tasks.values()]
        return kept.title, kept.config, tasks

    def answered(self, engine, project, item, *choices, who=ANN, skipped=False):
        return engine.answer(project, item, *choices, who=who, skipped=skipped)

    def changed(self, engine, project, answer, *choices):
        engine.change(project, answer, *choices)

    def exists(self, engine, project):
        return project in engine.projects


class TestMemoryForge(ForgeContract):
    @pytest.fixture
    def engine(self):
        return MemoryForge()

    def pushed(self, engine, branch, author="developer"):
        return engine.push(branch, author)

    def proposed(self, engine, branch, sha, *, draft=False, target="main"):
        seen = engine.propose(branch, sha, target=target)
        engine.reviews[seen.number].draft = draft
        return seen

    def ruled(self, engine, name, *people):
        engine.rules[name] = set(people)

    def shown(self, engine, markdown):
        return engine.files[markdown.partition("](")[2].removesuffix(")")]

    def approved(self, engine, number, *, back=False):
        review = engine.reviews[number]
        if back:
            del review.approvals["validator"]
        else:
            review.approvals["validator"] = review.seen.sha

    def say(self, engine, number, body, *, ours=False):
        engine.reviews[number].notes.append(Note(US if ours else "validator", body))

    def heard(self, engine, number):
        return [note.body for note in engine.reviews[number].notes]

    def closed(self, engine, number):
        review = engine.reviews[number]
        review.seen = dataclasses.replace(review.seen, open=False)

    def forbid(self, engine):
        for review in engine.reviews.values():
            review.protected = True

    def lose_reply(self, engine):
        engine.weather.lose_reply = True

    def writes(self, engine, sha, name):
        return engine.written.get(name, 0)
