"""Cats and dogs: the paper's network row by row, its warm starts to the last parameter, and its report in small."""

import json
import re
import tarfile

import numpy as np
import pytest
import torch as pytorch
import yaml

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.training import layers, torch
from cdl.training.warm import WarmStart

from .conftest import USE_CASES

# Keras 3.15 hands TensorFlow's tensors to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TABLE_2 = [
    ("Convolution", "150x150", 16, 3, 448),
    ("Max pool", "75x75", 16, None, 0),
    ("Convolution", "75x75", 32, 3, 4_640),
    ("Max pool", "37x37", 32, None, 0),
    ("Convolution", "37x37", 64, 3, 18_496),
    ("Max pool", "18x18", 64, None, 0),
    ("Convolution", "18x18", 128, 3, 73_856),
    ("Max pool", "9x9", 128, None, 0),
    ("Flatten", "1", 10_368, None, 0),
    ("Fully connected", "1", 256, None, 2_654_464),
    ("Fully connected", "1", 512, None, 131_584),
    ("Fully connected", "1", 1, None, 513),
]
FREEZE = WarmStart("freeze", release="base-1", freeze=("conv*",))
COUNTS = "2,884,001 parameters, 2,884,001 loaded, 97,440 frozen, 2,786,561 trainable"


@pytest.fixture
def case(open_case):
    return open_case("cats_dogs")


def document(name):
    return yaml.safe_load((USE_CASES / "cats_dogs" / name).read_text())


def test_the_network_is_table_2_row_by_row_in_keras(case):
    network = case.module("network")
    model = network.build()
    assert network.rows(model) == TABLE_2
    assert model.count_params() == 2_884_001 == sum(row[-1] for row in TABLE_2)


def test_the_network_is_table_2_row_by_row_in_pytorch(case):
    module = case.module("torch_network")
    network = module.Network()
    assert module.parameters(network) == [row[-1] for row in TABLE_2]
    sizes = []
    for layer in network.children():
        layer.register_forward_hook(lambda _layer, _given, answer: sizes.append(tuple(answer.shape[1:])))
    with pytorch.inference_mode():
        answer = float(network(pytorch.zeros(1, 3, 150, 150)))
    expected = [(c, *map(int, size.split("x"))) if "x" in size else (c,) for _, size, c, _, _ in TABLE_2]
    assert sizes == expected
    assert 0 < answer < 1


def test_both_warm_starts_have_the_papers_numbers_in_keras(case, tmp_path):
    network = case.module("network")
    donor = network.compiled(0.001)
    donor.save_weights(tmp_path / layers.WEIGHTS)
    frozen = network.compiled(0.001)
    assert str(layers.begin(frozen, tmp_path, FREEZE)) == COUNTS
    assert [layer.name for layer in frozen.layers if not layer.trainable] == ["conv1", "conv2", "conv3", "conv4"]
    whole = layers.begin(network.compiled(0.001), tmp_path, WarmStart(release="base-1"))
    assert (whole.total, whole.trainable, whole.frozen) == (2_884_001, 2_884_001, 0)
    np.testing.assert_array_equal(
        frozen.get_layer("dense1").get_weights()[0], donor.get_layer("dense1").get_weights()[0]
    )


def test_both_warm_starts_have_the_papers_numbers_in_pytorch(case, tmp_path):
    module = case.module("torch_network")
    pytorch.save(module.Network().state_dict(), tmp_path / torch.WEIGHTS)
    assert str(torch.begin(module.Network(), tmp_path, FREEZE)) == COUNTS
    whole = torch.begin(module.Network(), tmp_path, WarmStart(release="base-1"))
    assert (whole.total, whole.trainable, whole.frozen) == (2_884_001, 2_884_001, 0)


def test_the_resources_are_the_papers_experiments(case):
    pipelines = {name: DataPipeline.model_validate(document(f"resources/{name}.yaml")) for name in ("base", "transfer")}
    assert all(one.spec.labels.source == "parent" for one in pipelines.values())
    found = {
        name: Experiment.model_validate(document(f"resources/{name}.yaml"))
        for name in ("network", "scratch", "weights", "freeze")
    }
    assert {name: one.spec.data.pipeline for name, one in found.items()} == {
        "network": "cats-dogs-base",
        "scratch": "cats-dogs-transfer",
        "weights": "cats-dogs-transfer",
        "freeze": "cats-dogs-transfer",
    }
    assert {name: one.spec.warm_start.policy.value for name, one in found.items()} == {
        "network": "none",
        "scratch": "none",
        "weights": "weights",
        "freeze": "freeze",
    }
    assert found["freeze"].spec.warm_start.freeze == ("conv*",)
    assert found["weights"].spec.warm_start.source.model == found["network"].spec.model.name
    deployment = ModelDeployment.model_validate(document("resources/modeldeployment.yaml"))
    assert deployment.spec.model.name == found["weights"].spec.model.name
    assert document("resources/network.yaml")["spec"]["config"] | {"name": "cats-dogs-base"} == document(
        "model/const.yaml"
    )


def test_halves_are_cut_alike_each_time(case, tmp_path):
    whole = tmp_path / "whole.tar"
    with tarfile.open(whole, "w") as archive:
        for side in ("train", "test"):
            for label in ("cat", "dog", "fox"):
                (tmp_path / "one.jpg").write_bytes(f"{side} {label}".encode())
                archive.add(tmp_path / "one.jpg", f"any/{side}/{label}/{label}.1.jpg")
    halves = case.module("halves")
    assert halves.cut(whole, tmp_path / "a") == {"base.tar": 2, "transfer.tar": 2}
    halves.cut(whole, tmp_path / "b")
    for name in ("base.tar", "transfer.tar"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with tarfile.open(tmp_path / "a" / "transfer.tar") as archive:
        assert archive.getnames() == ["cat/cat.1.jpg", "dog/dog.1.jpg"]
        assert archive.extractfile("dog/dog.1.jpg").read() == b"test dog"


def test_the_whole_paper_in_small(case, look_alike, tmp_path):
    paper = case.module("paper")
    scale = paper.Scale(side=32, epochs=(3, 2, 1, 1), learning_rate=0.003)
    paper.run(look_alike("cats_dogs"), tmp_path, scale)
    told = json.loads((tmp_path / "results.json").read_text())
    runs = {one["name"]: one for one in told["runs"]}
    assert {name: len(one["history"]["loss"]) for name, one in runs.items()} == {
        "base": 3,
        "scratch": 2,
        "weights": 1,
        "freeze": 1,
    }
    assert runs["freeze"]["parameters"]["frozen"] == 97_440
    assert (runs["scratch"]["parameters"]["loaded"], runs["weights"]["parameters"]["frozen"]) == (0, 0)
    report = (tmp_path / "report.md").read_text()
    assert "base 80 + 20 pictures, transfer 80 + 20; the paper has 8,000 + 2,000" in report
    assert "Seed 1, one run each." in report
    assert re.findall(r"^## Table (\d)", report, re.MULTILINE) == ["2", "3", "4", "5", "6", "7"]
    for number in range(8, 13):
        drawing = (tmp_path / f"figure-{number}.svg").read_text()
        assert drawing.count("<polyline") == (4 if number < 11 else 6)

    _answers_what_it_learned(case, tmp_path, look_alike("cats_dogs"), scale.side)


def _answers_what_it_learned(case, folder, data, side):
    """What the base network of the run knows, as evaluation and server tell it."""
    network, evaluate, serve = case.module("network"), case.module("evaluate"), case.module("serve")
    network.describe(folder, side)
    pictures = folder / "pictures"
    with tarfile.open(data / "base.tar") as archive:
        archive.extractall(pictures, filter="data")
    found = evaluate.evaluate(folder, pictures)
    assert found["n"] == 100 == len(found["correct"])
    assert found["metrics"]["accuracy"] == found["correct"].count("1") / 100
    assert set(found["perClass"]) == {"cat", "dog"}
    served = serve.CatsDogsModel(f"file://{folder}")
    with pytest.raises(RuntimeError, match="not loaded"):
        served.predict(np.zeros((1, side, side, 3)))
    served.load()
    first = case.module("pictures").read(pictures, side)
    answer = served.predict(first.pixels[:3])
    assert answer.shape == (3, 2)
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"allowed is \(n, 32, 32, 3\)"):
        served.predict(np.zeros((1, 8, 8, 3)))
