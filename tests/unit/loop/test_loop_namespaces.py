"""Teams in two namespaces share engines and nothing else."""

from __future__ import annotations

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.testing.builders import experiment_document, pipeline_document
from cdl.testing.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def put(world, namespace, learning_rate):
    for kind, document in (
        (DataPipeline, pipeline_document()),
        (Experiment, experiment_document("news", learning_rate)),
    ):
        document["metadata"]["namespace"] = namespace
        world.resources.put(kind.read(document))


def test_each_team_counts_the_versions_of_its_own_model(world):
    for namespace, first, second in (("default", 0.1, 0.2), ("team", 0.15, 0.25)):
        put(world, namespace, first)
        world.settle()
        put(world, namespace, second)
        world.settle()
    for namespace in ("default", "team"):
        made = world.resources.list(Release, namespace)
        assert {(release.metadata.name, release.spec.version) for release in made} == {("news-1", 1), ("news-2", 2)}
    assert len({release.spec.digest for release in world.resources.list(Release)}) == 4
