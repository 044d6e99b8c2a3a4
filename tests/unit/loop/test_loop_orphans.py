"""Servers go with their ModelDeployment or stay without it, as its policy says at the end."""

from __future__ import annotations

import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World

SERVE = Key("ModelDeployment", "default", "news")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.resources.put(DataPipeline.read(pipeline_document()))
    made.resources.put(Experiment.read(experiment_document()))
    made.resources.put(ModelDeployment.read(deployment_document()))
    made.settle()
    assert made.serving.answering(SERVE) == "news-1"
    return made


def policy(world, wanted):
    world.resources.put(ModelDeployment.read(deployment_document(deletionPolicy=wanted)))


def go(world):
    """Delete the resource; when it is gone, Kubernetes takes along what belonged to it."""
    uid = world.get(SERVE).metadata.uid
    world.resources.delete(SERVE)
    world.settle()
    assert world.get(SERVE) is None
    world.serving.bury(uid)


def test_servers_that_somebody_forgot_to_stop_go_with_their_resource(world):
    world.serving.bury(world.get(SERVE).metadata.uid)
    assert world.serving.deployed == {}


def test_by_default_the_servers_go(world):
    go(world)
    assert world.serving.deployed == {}


@pytest.mark.parametrize("seen_in_between", [True, False])
def test_orphans_stay_even_if_the_policy_changed_at_the_last_moment(world, seen_in_between):
    policy(world, "Orphan")
    if seen_in_between:
        world.settle()
    go(world)
    assert world.serving.answering(SERVE) == "news-1"


def test_who_changes_the_policy_back_has_them_go(world):
    for wanted in ("Orphan", "Delete"):
        policy(world, wanted)
        world.settle()
    world.serving.bury(world.get(SERVE).metadata.uid)
    assert world.serving.deployed == {}


def test_a_resource_made_again_adopts_the_orphans(world):
    policy(world, "Orphan")
    go(world)
    policy(world, "Delete")
    world.settle()
    assert world.serving.answering(SERVE) == "news-1"
    go(world)
    assert world.serving.deployed == {}
