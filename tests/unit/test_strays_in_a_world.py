"""A step is renamed: what goes, what stays, and what people read meanwhile; the whole loop, in memory."""

from __future__ import annotations

import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec
from cdl.testing.builders import experiment_document, pipeline_document, release_document
from cdl.testing.world import World

NEWS = Key("DataPipeline", "default", "news")
CLEAN = {"news-clean-train", "news-clean-test"}
TIDY = {"news-tidy-train", "news-tidy-test"}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def steps(world, *names):
    spec = {"steps": [{"name": name, "uses": "text/clean"} for name in names]}
    world.resources.put(DataPipeline.read(pipeline_document(**spec)))
    world.settle()
    return world.get(NEWS).status


def train(world, **spec):
    world.resources.put(Experiment.read(experiment_document(**spec)))
    world.settle()


def pipelines(world):
    return {s.name for s in world.data.look(NEWS, DataPipelineSpec()).strays}


def test_a_renamed_step_leaves_nothing_behind(world):
    assert steps(world, "clean").dataset.train.repo == "news-clean-train"
    assert steps(world, "tidy").dataset.train.repo == "news-tidy-train"
    assert pipelines(world) == TIDY


def test_a_pipeline_that_loses_every_step_keeps_none(world):
    steps(world, "clean", "tidy")
    assert steps(world).dataset.train.repo == "news-train"
    assert pipelines(world) == set()


def test_what_was_released_stays(world):
    steps(world, "clean")
    train(world)
    steps(world, "tidy")
    assert pipelines(world) == CLEAN | TIDY
    repos = {r.spec.members["data"]["train"]["repo"] for r in world.resources.list(Release)}
    assert repos == {"news-clean-train", "news-tidy-train"}


def test_what_an_experiment_holds_on_to_stays_until_it_lets_go(world):
    hold = {"retrain": {"onData": False}, "evaluation": {"gates": [{"metric": "accuracy", "min": 1}]}}
    steps(world, "clean")
    train(world, **hold)
    steps(world, "tidy")
    assert pipelines(world) == CLEAN | TIDY
    assert world.resources.list(Release) == ()
    train(world, **hold | {"retrain": {"onData": True}})
    assert pipelines(world) == TIDY


def test_a_release_without_data_and_one_of_another_namespace_hold_nothing(world):
    steps(world, "clean")
    world.resources.put(Release.read(release_document("bare")))
    world.resources.put(Release.read(release_document("odd", data={"train": {"repo": 7}, "test": "elsewhere"})))
    elsewhere = release_document("far", data={"train": {"repo": "news-clean-train"}, "test": None})
    elsewhere["metadata"]["namespace"] = "team-a"
    world.resources.put(Release.read(elsewhere))
    steps(world, "tidy")
    assert pipelines(world) == TIDY
