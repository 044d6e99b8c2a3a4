"""Gates against production, from the first release on: the whole loop in memory, with evaluations that keep answers."""

from __future__ import annotations

import dataclasses

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.memory import MemoryTraining
from cdl.testing.weather import Crash
from cdl.testing.world import World

ITEMS = 1000


class Answering(MemoryTraining):
    """Its evaluations say which items were answered rightly."""

    def _seen(self, run):
        seen = super()._seen(run)
        if seen.measurement is None:
            return seen
        right = round(seen.measurement.metrics["accuracy"] * ITEMS)
        raw = {**seen.measurement.raw, "correct": "1" * right + "0" * (ITEMS - right)}
        return dataclasses.replace(seen, measurement=dataclasses.replace(seen.measurement, raw=raw))


class Gated(World):
    """Data and a deployment; the model is wished for by each test."""

    def __init__(self, folder):
        super().__init__(folder)
        self.training = Answering(self.weather["training"])
        self.restart()
        self.resources.put(DataPipeline.read(pipeline_document("news")))
        self.resources.put(ModelDeployment.read(deployment_document("news")))

    def wish(self, rate=0.1):
        spec = {
            "config": {"hyperparameters": {"learning_rate": rate}},
            "evaluation": {"gates": [{"metric": "accuracy", "against": "production"}]},
            "approval": {"policy": "Automatic"},
        }
        self.resources.put(Experiment.read(experiment_document("news", **spec)))
        self.settle()
        return self.experiment

    @property
    def experiment(self):
        return self.resources.get(Experiment, "default", "news").status

    @property
    def serves(self):
        return self.resources.get(ModelDeployment, "default", "news").status.release

    @property
    def hidden_commit(self):
        return self.resources.get(DataPipeline, "default", "news").status.dataset.test.commit

    @property
    def releases(self):
        return sorted(release.metadata.name for release in self.resources.list(Release))

    @property
    def measuring(self):
        return [run for run in self.training.runs if run.key.startswith("p")]

    def divide_anew(self):
        """Another seed: other items on the test side, so another test commit."""
        again = pipeline_document("news", split={"test": 0.25, "seed": 8})
        self.resources.put(DataPipeline.read(again))


@pytest.fixture
def world(tmp_path):
    return Gated(tmp_path)


def test_each_release_is_compared_with_the_one_that_answers(world):
    first = world.wish()
    [gate] = first.evaluation.gates
    assert (first.release, gate.passed) == ("news-1", True)
    assert "nothing answers in production yet" in gate.words
    assert world.serves == "news-1"
    worse = world.wish(rate=0.2)
    ready = worse.condition(ConditionType.READY)
    assert (ready.status, ready.reason, worse.release) == ("False", "BelowGate", "news-1")
    assert "0.8000 here, 0.9000 in news-1, of the same 1000 items" in ready.message
    better = world.wish(rate=0.05)
    assert (better.release, better.evaluation.against) == ("news-2", "news-1")
    kept = world.resources.get(Release, "default", "news-2").spec.members["evaluation"]
    assert (kept["gates"][0]["against"], kept["gates"][0]["passed"], kept["looks"]) == ("news-1", True, 3)
    assert world.serves == "news-2"
    assert world.releases == ["news-1", "news-2"]


def test_on_another_test_commit_production_is_measured_again_first(world):
    world.wish()
    before = world.hidden_commit
    world.divide_anew()
    world.settle()
    assert before != world.hidden_commit
    [run] = world.measuring
    assert (run.wish.commit, run.wish.evaluates) == (world.hidden_commit, "evaluate:evaluate")
    status = world.experiment
    assert (status.release, world.serves) == ("news-2", "news-2")
    [gate] = status.evaluation.gates
    assert (gate.against, gate.production, gate.passed) == ("news-1", 0.9, True)
    assert (status.evaluation.own_looks, status.evaluation.looks) == (2, 2)  # its own, and that of production


def test_a_death_at_any_moment_measures_production_once(tmp_path):
    deaths = 0
    for moment in range(0, 240, 12):
        world = Gated(tmp_path / str(moment))
        world.wish()
        world.divide_anew()
        world.sky.crash_in = moment
        try:
            world.settle()
        except Crash:
            deaths += 1
        world.clear_up()
        world.restart()
        world.settle()
        assert set(world.training.created.values()) == {1}
        assert (len(world.measuring), world.releases, world.serves) == (1, ["news-1", "news-2"], "news-2")
    assert deaths > 5
