"""A DataPipeline that may take over what an equal one has made: nothing runs twice; the whole loop, in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdl.api.meta import LIKE_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline
from cdl.testing.builders import pipeline_document
from cdl.testing.weather import Crash
from cdl.testing.world import World

PRODUCTION = Key("DataPipeline", "default", "news")
PREVIEW = replace(PRODUCTION, namespace="news-mr-1")
MOMENTS = 60
"""More than there are in the work of one DataPipeline."""


class Previewed(World):
    """A world in which production has its dataset."""

    def __init__(self, folder):
        super().__init__(folder)
        self.resources.put(DataPipeline.read(pipeline_document()))
        self.settle()

    def propose(self, like="default", **spec):
        document = pipeline_document(**spec)
        document["metadata"] |= {"namespace": PREVIEW.namespace, "annotations": {LIKE_ANNOTATION: like}}
        self.resources.put(DataPipeline.read(document))

    def version(self, key):
        dataset = self.get(key).status.dataset
        return dataset.version if dataset is not None else None

    def processed(self, key):
        return sum(self.data.processed(key).values())

    @property
    def message(self):
        return self.get(PREVIEW).status.conditions[0].message


@pytest.fixture
def world(tmp_path):
    return Previewed(tmp_path)


def test_an_equal_dataset_is_there_after_one_turn_and_nothing_ran(world):
    world.propose()
    world.turn(PREVIEW)  # puts its name on the resource, before anything is done outside
    world.turn(PREVIEW)
    assert world.version(PREVIEW) == world.version(PRODUCTION)
    assert world.processed(PREVIEW) == 0
    assert world.message.endswith(", taken over from default")


@pytest.mark.parametrize("like", ["", "nowhere", PREVIEW.namespace])
def test_without_somebody_to_take_from_it_is_computed(world, like):
    world.propose(like)
    world.settle()
    assert world.version(PREVIEW) == world.version(PRODUCTION)
    assert world.processed(PREVIEW) > 0
    assert "taken over" not in world.message


def test_other_steps_are_computed(world):
    world.propose(steps=[{"name": "clean", "uses": "text/clean", "env": {"OTHER": "yes"}}])
    world.settle()
    assert world.processed(PREVIEW) > 0
    assert world.version(PREVIEW) != world.version(PRODUCTION)


def test_another_split_is_computed(world):
    world.propose(split={"test": 0.25, "seed": 8})
    world.settle()
    assert world.processed(PREVIEW) > 0
    assert world.version(PREVIEW) != world.version(PRODUCTION)


@pytest.mark.parametrize(("gone", "stays"), [(PREVIEW, PRODUCTION), (PRODUCTION, PREVIEW)])
def test_either_may_go(world, gone, stays):
    world.propose()
    world.settle()
    before = world.get(stays).status
    world.resources.delete(gone)
    world.settle()
    assert world.get(gone) is None
    assert gone not in world.data.owners
    assert world.get(stays).status == before
    dataset = before.dataset
    assert world.data.manifest(dataset.train.repo, dataset.train.commit, stays.namespace)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_any_moment_it_takes_over_just_the_same(world, moment):
    world.propose()
    world.data.weather.crash_in = moment
    for _ in range(4):
        try:
            world.turn(PREVIEW)
        except Crash:
            world.restart()
    world.clear_up()
    world.settle()
    assert world.version(PREVIEW) == world.version(PRODUCTION)
    assert world.processed(PREVIEW) == 0
