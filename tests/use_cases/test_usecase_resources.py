"""The customers' resources: accepted by the API, one config told once, the numbers that were promised."""

import json

import pytest
import yaml

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.cli import project

from .conftest import USE_CASES

CASES = ["bbc_news", "fashion_mnist"]


def document(case, path):
    return yaml.safe_load((USE_CASES / case / path).read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_experiment_is_the_adaptive_config(case):
    pasted = document(case, "resources/experiment.yaml")["spec"]["config"]
    assert pasted == document(case, "model/adaptive.yaml")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("config", ["const", "adaptive", "distributed"])
def test_every_config_trains_by_accuracy_and_upwards(case, config):
    searcher = document(case, f"model/{config}.yaml")["searcher"]
    assert searcher["metric"] == "accuracy"
    assert searcher["smaller_is_better"] is False


@pytest.mark.parametrize("case", CASES)
def test_the_three_resources_name_each_other(case):
    pipeline, experiment, deployment = (
        document(case, f"resources/{kind}.yaml") for kind in ("datapipeline", "experiment", "modeldeployment")
    )
    assert experiment["spec"]["data"]["pipeline"] == pipeline["metadata"]["name"]
    assert deployment["spec"]["model"]["name"] == experiment["spec"]["model"]["name"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [DataPipeline, Experiment, ModelDeployment])
def test_the_api_accepts_every_resource(case, kind):
    written = document(case, f"resources/{kind.__name__.lower()}.yaml")
    assert kind.model_validate(written).metadata.name == case.replace("_", "-")


@pytest.mark.parametrize("case", CASES)
def test_the_built_in_steps_exist(case):
    steps = document(case, "resources/datapipeline.yaml")["spec"]["steps"]
    assert all((USE_CASES.parent / "pipelines" / step["uses"] / "step.py").is_file() for step in steps)


def test_the_gates_are_the_promised_ones():
    projects = [*CASES, "fashion_mnist/cnn"]
    gates = {case: document(case, "resources/experiment.yaml")["spec"]["evaluation"]["gates"] for case in projects}
    assert gates == {
        "bbc_news": [{"metric": "accuracy", "min": 0.95}],
        "fashion_mnist": [{"metric": "accuracy", "min": 0.86}],
        "fashion_mnist/cnn": [{"metric": "accuracy", "min": 0.90}],
    }


def test_the_convolutional_network_is_a_project_of_its_own_on_the_same_data():
    documents = {d.resource.kind: d for d in project.read(USE_CASES / "fashion_mnist" / "cnn")}
    assert documents["DataPipeline"].plain == document("fashion_mnist", "resources/datapipeline.yaml")
    assert documents["Experiment"].plain["spec"]["config"] == document("fashion_mnist", "model/cnn.yaml")
    models = {documents[kind].plain["spec"]["model"]["name"] for kind in ("Experiment", "ModelDeployment")}
    assert models == {"fashion-mnist-cnn"}


@pytest.mark.parametrize("case", CASES)
def test_there_are_three_samples(case):
    samples = sorted((USE_CASES / case / "samples").iterdir())
    assert len(samples) == 3
    for sample in samples:
        if sample.suffix == ".json":
            picture = json.loads(sample.read_text())
            assert [len(row) for row in picture] == [28] * 28
        else:
            assert len(sample.read_text().split()) > 20
