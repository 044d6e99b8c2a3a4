"""Fashion-MNIST: the networks are the promised ones, and the server answers what the trained network says."""

import json

import numpy as np
import pytest
from determined import core

from cdl.training.keras import KerasTrial

from .conftest import USE_CASES, idx_images, idx_labels

# Keras 3.15 hands TensorFlow's tensors to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HPARAMS = {"architecture": "mlp", "dense1": 32, "batch_size": 32, "learning_rate": 0.003, "epochs": 2}


@pytest.fixture
def fashion(open_case):
    return open_case("fashion_mnist")


@pytest.fixture
def halves(look_alike, tmp_path):
    """The look-alike's files as the two sides of a dataset version."""
    raw = look_alike("fashion_mnist")
    for prefix, side in {"train": "train", "t10k": "test"}.items():
        (tmp_path / side).mkdir()
        for path in raw.glob(f"{prefix}-*"):
            (tmp_path / side / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.parametrize(("architecture", "dense1", "parameters"), [("mlp", 128, 101_770), ("cnn", 128, 206_922)])
def test_the_networks_have_the_promised_size(fashion, architecture, dense1, parameters):
    model = fashion.module("network").build({"architecture": architecture, "dense1": dense1})
    assert model.count_params() == parameters


def test_an_unknown_architecture_is_named(fashion):
    with pytest.raises(ValueError, match="architecture is rnn, allowed are mlp, cnn"):
        fashion.module("network").build({"architecture": "rnn", "dense1": 8})


def test_the_transform_scales_and_shapes(fashion):
    scaled = fashion.module("transform").scaled
    flat = np.arange(2 * 784, dtype=np.int64).reshape(2, 784) % 256
    rows = scaled(flat)
    assert (rows.dtype, rows.shape) == (np.float32, (2, 28, 28))
    np.testing.assert_allclose(rows[0, 0, :3], [0, 1 / 255, 2 / 255], rtol=1e-6)
    np.testing.assert_array_equal(scaled(flat[0].reshape(28, 28)), rows[:1])
    np.testing.assert_array_equal(scaled(flat.reshape(2, 28, 28, 1).tolist()), rows)


@pytest.mark.parametrize("shape", [(3, 28, 27), (784,), (2, 783), (0,)])
def test_a_wrong_shape_is_refused(fashion, shape):
    with pytest.raises(ValueError, match="allowed is"):
        fashion.module("transform").scaled(np.zeros(shape))


def test_the_last_fifth_validates(fashion, tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx_images(10))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx_labels(list(range(10))))
    training, validation = fashion.module("images").read(tmp_path).split()
    assert training.labels.tolist() == list(range(8))
    assert validation.labels.tolist() == [8, 9]
    assert validation.pixels.shape == (2, 28, 28)


def test_a_folder_without_images_says_what_it_needs(fashion, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"0 files .*images-idx3-ubyte.gz, exactly one is needed"):
        fashion.module("images").read(tmp_path)


@pytest.fixture
def checkpoint(fashion, halves, tmp_path):
    """Train on the look-alike off the cluster and return the last checkpoint with its network."""
    network, train, images = (fashion.module(name) for name in ("network", "train", "images"))
    training, validation = images.read(halves / "train").split()
    with core._dummy_init(checkpoint_storage=str(tmp_path / "checkpoints")) as context:
        model = train.compiled(HPARAMS, len(training.labels))
        trial = KerasTrial(context, model, extra_files=lambda folder: network.describe(folder, HPARAMS))
        scaled = fashion.module("transform").scaled
        trial.fit(
            scaled(training.pixels),
            training.labels,
            epochs=2,
            batch_size=32,
            validation_data=(scaled(validation.pixels), validation.labels),
        )
    latest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return latest, model


def test_the_server_answers_what_the_network_says_offline(fashion, halves, checkpoint):
    folder, model = checkpoint
    served = fashion.module("serve").FashionModel(model_uri=f"file://{folder}")
    served.load()
    pixels = fashion.module("images").read(halves / "test").pixels[:100]

    scores = np.asarray(model(pixels.astype(np.float32) / 255, training=False), dtype=np.float64)
    offline = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    answer = served.predict(pixels.tolist(), [])
    assert answer.shape == (100, 10)
    np.testing.assert_allclose(answer, offline, atol=1e-6)
    np.testing.assert_allclose(np.vstack([served.predict(row[None]) for row in pixels[:5]]), answer[:5], atol=1e-6)
    assert served.class_names()[1] == "Trouser"


def test_the_samples_are_answered(fashion, checkpoint):
    served = fashion.module("serve").FashionModel(model_uri=str(checkpoint[0]))
    served.load()
    for path in sorted((USE_CASES / "fashion_mnist/samples").iterdir()):
        answer = served.predict([json.loads(path.read_text())])
        assert answer.shape == (1, 10)
        assert float(answer.sum()) == pytest.approx(1, abs=1e-5)


def test_the_evaluation_counts_every_image_of_the_test_side(fashion, halves, checkpoint):
    document = fashion.module("evaluate").evaluate(checkpoint[0], halves / "test")
    confusion = np.array(document["confusion"])
    assert document["n"] == confusion.sum() == 400
    assert document["metrics"]["accuracy"] == pytest.approx(confusion.trace() / 400)
    assert (len(document["correct"]), document["correct"].count("1")) == (400, confusion.trace())
    assert document["metrics"]["accuracy"] > 0.86
    assert set(document["perClass"]) == set(document["classes"])
    assert [document["perClass"][name]["support"] for name in document["classes"]] == confusion.sum(axis=1).tolist()


def test_a_model_that_is_not_loaded_says_so(fashion, tmp_path):
    with pytest.raises(RuntimeError, match="not loaded"):
        fashion.module("serve").FashionModel(model_uri=str(tmp_path)).predict([])
