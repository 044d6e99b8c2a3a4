"""The whole loop over the SQLite store: what is written is read back equal, or nothing would ever settle."""

from __future__ import annotations

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit.local.counted import Counted

DOCUMENTS = (pipeline_document(), experiment_document(), deployment_document())


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "engines")
    world.resources = Counted(tmp_path / "resources.db")
    world.restart()
    yield world
    world.resources.close()


def test_everything_becomes_ready_and_then_nothing_is_written(world):
    for document in DOCUMENTS:
        world.resources.apply(document)
    world.settle()
    for kind in (DataPipeline, Experiment, ModelDeployment):
        (resource,) = world.resources.list(kind)
        assert resource.status.condition(ConditionType.READY).status == "True", resource.status
    assert [r.approved for r in world.resources.list(Release)] == [True]
    assert world.resources.unreadable() == ()


def test_applying_the_same_again_runs_nothing(world):
    for _ in range(2):
        for document in DOCUMENTS:
            world.resources.apply(document)
        world.settle()
    assert set(world.training.created.values()) == {1}
    assert len(world.training.runs) == 2
    assert len(world.serving.served) == 1


def test_a_new_learning_rate_trains_again_and_leaves_the_data(world):
    for document in DOCUMENTS:
        world.resources.apply(document)
    world.settle()
    commits = dict(world.data.commits)
    world.resources.apply(experiment_document("news", 0.2))
    world.settle()
    assert dict(world.data.commits) == commits
    assert len(world.training.runs) == 4
    (served,) = world.resources.list(ModelDeployment)
    assert (served.status.release, served.status.previous_release) == ("news-2", "news-1")


def repositories(world):
    found = world.data.look(Key("DataPipeline", "default", "news"), DataPipelineSpec())
    return {s.name for s in found.strays} | {s.repo for s in found.sides}


def test_deleting_everything_leaves_what_a_release_names_until_that_goes_too(world):
    for document in DOCUMENTS:
        world.resources.apply(document)
    world.settle()
    gone = world.keys()
    assert len(gone) == 3
    for key in gone:
        world.resources.delete(key)
    world.settle()
    (left,) = world.keys()
    ready = world.get(left).status.condition(ConditionType.READY)
    assert (left.kind, ready.reason) == ("DataPipeline", Reason.PINNED_BY_RELEASE)
    assert "news-1 was made from commits of its repositories" in ready.message
    (release,) = world.resources.list(Release)
    assert {s["repo"] for s in map(release.spec.members["data"].get, ("train", "test"))} <= repositories(world)
    world.resources.delete(release.key)
    world.settle()
    assert world.keys() == ()
    assert (world.data.owners, world.serving.deployed) == (frozenset(), {})
    assert not [r for r in world.training.runs if not r.archived]
