"""What an operator says of a changed resource before it works on it."""

from __future__ import annotations

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.testing.memory import archive
from cdl.testing.world import NEWS

from .plan_project import STEPS, Project

CONFIG = {
    "hyperparameters": {"learning_rate": 0.05},
    "searcher": {"name": "single", "metric": "accuracy", "smaller_is_better": False},
}


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.apply()
    return made


def said(project):
    lines = [f"{key.kind}: {line}" for key, line in project.world.planned]
    project.world.planned.clear()
    return lines


def test_nothing_is_said_of_what_is_new(project):
    assert said(project) == []


def test_nothing_is_said_of_a_commit_that_changes_no_spec(project):
    project.revision = "2"
    project.apply()
    assert said(project) == []


@pytest.mark.parametrize(
    ("kind", "edit", "line"),
    [
        (
            Experiment,
            {"config": CONFIG},
            "Experiment: train runs: hyperparameters.learning_rate: 0.1 -> 0.05. then evaluate, gate, release, approve",
        ),
        (
            DataPipeline,
            {"steps": [{**STEPS[0], "env": {"WORDS": "few"}}, STEPS[1]]},
            "DataPipeline: clean runs: env.WORDS: added, few. then again. reused: ingest",
        ),
        (
            ModelDeployment,
            {"predictor": {"replicas": 2}},
            "ModelDeployment: rollout is rolled out: predictor.replicas: 1 -> 2",
        ),
    ],
)
def test_a_change_is_said_once_with_what_follows(project, kind, edit, line):
    project.edit(kind, **edit)
    project.apply()
    assert said(project) == [line]


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        (ModelDeployment, {"interval": "5m"}),
        (Experiment, {"evaluation": {"gates": [{"metric": "accuracy", "min": 0.99}]}}),
        (DataPipeline, {"suspend": True}),
    ],
)
def test_a_change_that_runs_nothing_is_no_event(project, kind, edit):
    project.edit(kind, **edit)
    project.apply()
    assert said(project) == []


def test_an_operator_that_has_just_begun_says_what_follows_without_what_changed(project):
    project.world.restart()
    project.edit(Experiment, config=CONFIG)
    project.apply()
    assert said(project) == [
        "Experiment: train runs: there is no run of exactly this yet. then evaluate, gate, release, approve"
    ]


def test_other_data_is_said_of_the_pipeline_alone(project):
    project.publish(NEWS | {"sport/99.txt": "a late result"})
    project.apply()
    (line,) = said(project)
    assert line.startswith("DataPipeline: ingest runs: sources[0].sha256: ")
    assert line.endswith(". then clean, again")


def test_a_resource_that_is_deleted_is_forgotten(project):
    known = project.world.keys()
    for key in known:
        project.world.resources.delete(key)
    project.world.settle()
    project.apply()
    assert said(project) == []


def test_the_source_of_a_checksum_is_no_news(project):
    project.world.sources.places["https://example.test/articles.tar"] = archive(NEWS)
    project.apply()
    assert said(project) == []
