"""When `cdl wait` comes back, with what, and when it gives up."""

from __future__ import annotations

import shutil

import pytest
import yaml
from click.testing import CliRunner

from cdl.api.meta import REQUESTED_AT_ANNOTATION, Key
from cdl.cli import main
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit.local.counted import Counted

SERVE = Key("ModelDeployment", "default", "shop")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An Experiment whose Release waits for a person, and a ModelDeployment that waits for it."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    made = World(tmp_path / "engines")
    (tmp_path / "home").mkdir()
    made.resources = Counted(tmp_path / "home" / "resources.db")
    made.restart()
    for document in documents():
        made.resources.apply(document)
    made.settle()
    yield made
    made.resources.close()


def documents():
    return (
        pipeline_document(),
        experiment_document(approval={"policy": "Manual"}),
        deployment_document("shop", model={"name": "news"}),
    )


@pytest.fixture
def folder(tmp_path):
    """The same resources as a project."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "all.yaml").write_text(yaml.safe_dump_all(documents()))
    return tmp_path / "project"


def wait(*words):
    return CliRunner().invoke(main, ["wait", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["datapipeline", "news"], "DataPipeline default/news Ready"),
        (["cdlexp", "news", "--for", "released"], "Experiment default/news Released"),
        (["experiments", "--for", "condition=GatesPassed"], "Experiment default/news GatesPassed"),
        (["modeldeployment", "shop", "--for", "Ready=unknown"], "ModelDeployment default/shop Ready=Unknown"),
        (["modeldeployment", "gone", "--for", "delete"], "ModelDeployment default/gone deleted"),
    ],
)
def test_it_comes_back_when_the_condition_holds(world, words, said):
    answer = wait(*words, "--timeout", 0)
    assert answer.exit_code == 0, answer.output
    assert answer.output == f"{said}\n"


def test_a_project_is_all_of_its_resources(world, folder):
    late = wait(folder, "--timeout", 0)
    assert late.exit_code == 3
    assert [line.split(":")[0] for line in late.output.removeprefix("Error: ").splitlines()] == [
        "Experiment default/news",
        "ModelDeployment default/shop",
    ]
    assert wait("experiment", f"{folder}/", "--for", "Released", "--timeout", 0).exit_code == 0


def test_too_late_says_what_is_missing(world):
    late = wait("modeldeployment", "shop", "--timeout", 0.3)
    assert late.exit_code == 3
    assert late.output.startswith("Error: ModelDeployment default/shop: not Ready after 0.3 s: WaitingForRelease: ")


def test_what_is_there_is_waited_out_of_the_world(world):
    assert wait("modeldeployment", "shop", "--for", "delete", "--timeout", 0).exit_code == 3


def test_it_does_not_wait_for_what_time_will_not_change(world):
    gates = {"gates": [{"metric": "accuracy", "min": 0.99}]}
    world.resources.apply(experiment_document(approval={"policy": "Manual"}, evaluation=gates))
    world.settle()
    answer = wait("experiment", "news", "--for", "Released", "--timeout", 60)
    assert answer.exit_code == 1
    assert "time will not change that: " in answer.output


def test_an_answer_about_an_earlier_spec_or_request_is_none(world):
    world.resources.annotate(Key("DataPipeline", "default", "news"), REQUESTED_AT_ANNOTATION, "2026-01-01T00:00:00Z")
    answer = wait("datapipeline", "news", "--timeout", 0)
    assert answer.exit_code == 3
    assert answer.output.endswith("nobody has looked at it yet\n")
    world.settle()
    assert wait("datapipeline", "news", "--timeout", 0).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment", "old"], "Experiment default/old: not found"),
        (["release", "-n", "empty"], "Release: found none in namespace empty"),
        (["experiment", "news", "--for", "Happy"], "--for: found 'Happy', allowed: delete, or one of Ready, "),
        (["experiment", "news", "--for", "Ready=maybe"], "--for: found 'Ready=maybe', allowed: delete, "),
        (["pods"], "kind: found 'pods', allowed: "),
    ],
)
def test_a_mistake_is_a_sentence(world, words, said):
    answer = wait(*words)
    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: {said}")


def test_a_project_without_that_kind_is_said(world, folder):
    shutil.copy(folder / "all.yaml", folder / "part.txt")
    (folder / "all.yaml").write_text(yaml.safe_dump(pipeline_document()))
    answer = wait("experiment", f"{folder}/", "--timeout", 0)
    assert answer.exit_code == 1
    assert answer.output == f"Error: Experiment: found none in {folder}/\n"
