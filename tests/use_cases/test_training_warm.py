"""A trial that begins with earlier weights: loaded, verified, frozen and counted, in Keras and in PyTorch."""

import keras
import numpy as np
import pytest
import torch as pytorch
from determined import core
from torch import nn

from cdl.training import TrainingError, torch, warm
from cdl.training.evaluate import provenance
from cdl.training.keras import KerasTrial
from cdl.training.warm import WarmStart

# Keras 3.15 hands TensorFlow's tensors to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BASE = WarmStart(release="base-2", checkpoint="c")
FREEZE = WarmStart("freeze", release="base-2", freeze=("conv*",))


class RecordedTrain(core.DummyTrainContext):
    """The harness's off-cluster context, which also remembers what it was told."""

    def __init__(self):
        super().__init__()
        self.metrics = []

    def report_metrics(self, group, steps_completed, metrics):
        self.metrics.append((group, steps_completed, metrics))


@pytest.fixture
def context(tmp_path):
    with core._dummy_init(checkpoint_storage=str(tmp_path / "checkpoints")) as made:
        made.train = RecordedTrain()
        yield made


def network(classes=2, **names):
    keras.utils.set_random_seed(7)
    made = keras.Sequential(
        [
            keras.layers.Input((6, 6, 1)),
            keras.layers.Conv2D(2, 3, activation="relu", name="conv1"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(classes, name=names.get("head", "head")),
        ]
    )
    made.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


def trained(context, model, epochs=1, start=None, checkpoint=None):
    """Train as a trial of its own; gives the trial and its last checkpoint."""
    trial = KerasTrial(context, model)
    trial._start = start
    if start is not None:
        from cdl.training import layers

        layers.freeze(model, start)
    if checkpoint is not None:
        trial.restore(checkpoint)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    trial.fit(x, (x.mean(axis=(1, 2, 3)) > 0).astype(np.uint8), epochs=epochs, batch_size=4)
    return trial


@pytest.fixture
def base(context, tmp_path):
    """A checkpoint of another trial: its name and its folder."""
    first = KerasTrial(context, network())
    first._id = "41"
    x = np.ones((4, 6, 6, 1), np.float32)
    first.fit(x, np.ones(4, np.uint8), epochs=1)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    return first._model, folder


def test_frozen_layers_keep_their_weights_and_the_numbers_say_so(context, base):
    donor, folder = base
    heir = network()
    trial = trained(context, heir, start=FREEZE, checkpoint=folder.name)
    assert str(trial.parameters) == "86 parameters, 86 loaded, 20 frozen, 66 trainable"
    for ours, theirs in zip(heir.get_layer("conv1").get_weights(), donor.get_layer("conv1").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(heir.get_layer("head").get_weights()[0], donor.get_layer("head").get_weights()[0])
    assert context.train.metrics[1] == (
        "warm_start",
        0,
        {"parameters": 86, "loaded": 86, "frozen": 20, "trainable": 66},
    )


def test_without_freezing_all_of_it_is_trained_on_from_there(context, base):
    donor, folder = base
    before = [weights.copy() for weights in donor.get_weights()]
    heir = network()
    trial = KerasTrial(context, heir)
    trial._start = BASE
    trial.restore(folder.name)
    for ours, theirs in zip(heir.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (trial.parameters.frozen, trial.parameters.trainable, trial.initial_epoch) == (0, 86, 0)
    assert not heir.optimizer.built


def test_a_warm_started_trial_resumes_itself_and_begins_no_second_time(context, base, tmp_path):
    _, folder = base
    straight = network()
    trained(context, straight, epochs=2, start=FREEZE, checkpoint=folder.name)
    for done in set((tmp_path / "checkpoints").iterdir()) - {folder}:
        for file in done.iterdir():
            file.unlink()
        done.rmdir()
    trained(context, network(), epochs=1, start=FREEZE, checkpoint=folder.name)
    (mine,) = set((tmp_path / "checkpoints").iterdir()) - {folder}
    context.train.metrics.clear()
    second = network()
    resumed = trained(context, second, epochs=2, start=FREEZE, checkpoint=mine.name)
    assert resumed.parameters is None
    assert "warm_start" not in {group for group, _, _ in context.train.metrics}
    for ours, theirs in zip(second.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: network(classes=3),
            r"do not fit this network: layers/dense/vars/0 is \(32, 2\) there and \(32, 3\) here",
        ),
        (
            lambda: keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)]),
            "layers/dense/vars/0 is .* there and missing here",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_a_sentence(base, model, sentence):
    from cdl.training import layers

    with pytest.raises(TrainingError, match=sentence) as refused:
        layers.begin(model(), base[1], BASE)
    assert str(refused.value).startswith("warm start: the weights of release base-2 ")
    assert "\n" not in str(refused.value)


def test_files_that_are_not_the_pinned_ones_are_refused(base):
    _, folder = base
    found = warm.verified(folder, BASE)
    assert warm.verified(folder, WarmStart(digest=found)) == found
    with pytest.raises(TrainingError, match=f"the files of checkpoint c have the digest {found}, pinned is sha256:0"):
        warm.verified(folder, WarmStart(digest="sha256:0", checkpoint="c"))


def test_the_digest_is_the_one_that_releases_have(base):
    from cdl.api.canonical import digest

    _, folder = base
    (folder / "sub").mkdir()
    (folder / "sub" / "größe.txt").write_text("x")
    assert warm.verified(folder, BASE) == digest(provenance("c", folder)["checkpoint"]["files"])


def test_a_layer_to_freeze_that_is_not_there_is_named():
    start = WarmStart("freeze", freeze=("convolution*",))
    with pytest.raises(TrainingError, match=r"freeze names convolution\*, but the network has only conv1, flat, head"):
        warm.frozen(["conv1", "flat", "head"], start)


def test_a_name_stands_for_all_that_is_below_it():
    names = ["conv.0.weight", "conv.0.bias", "conv.1.weight", "convex.weight"]
    assert warm.frozen(names, WarmStart("freeze", freeze=("conv",))) == set(names[:3])
    assert warm.frozen(names, WarmStart("freeze", freeze=("conv.0",))) == set(names[:2])
    assert warm.frozen(names, WarmStart("freeze", freeze=("conv*",))) == set(names)
    assert warm.frozen(names, WarmStart("weights")) == set()


def test_what_the_experiment_asked_for_is_read_from_the_trials_configuration():
    told = {"policy": "freeze", "release": "base-2", "checkpoint": "c", "digest": "sha256:1", "freeze": ["conv*"]}
    assert WarmStart.of_data({"cdl": {"warmStart": told}, "path": "x"}) == WarmStart(
        "freeze", "c", "sha256:1", "base-2", ("conv*",)
    )
    assert WarmStart.of_data({"path": "x"}) is None
    assert WarmStart.of_data(None) is None
    assert warm.wanted() is None


class Torch(nn.Module):
    """The same network in PyTorch."""

    def __init__(self, classes=2):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(32, classes)


@pytest.fixture
def torch_base(tmp_path):
    donor = Torch()
    pytorch.save(donor.state_dict(), tmp_path / "network.pt")
    return donor, tmp_path


def test_pytorch_loads_and_freezes_alike(torch_base):
    donor, folder = torch_base
    heir = Torch()
    parameters = torch.begin(heir, folder, FREEZE)
    assert str(parameters) == "86 parameters, 86 loaded, 20 frozen, 66 trainable"
    assert all(pytorch.equal(ours, theirs) for ours, theirs in zip(heir.parameters(), donor.parameters(), strict=True))
    assert [name for name, p in heir.named_parameters() if not p.requires_grad] == ["conv1.weight", "conv1.bias"]


def test_pytorch_refuses_what_does_not_fit(torch_base, tmp_path):
    _, folder = torch_base
    with pytest.raises(TrainingError, match=r"head.weight is \(2, 32\) there and \(3, 32\) here"):
        torch.begin(Torch(classes=3), folder, BASE)
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(TrainingError, match=r"bad\.pt of release base-2 holds no weights alone"):
        torch.begin(Torch(), tmp_path, BASE, "bad.pt")
    with pytest.raises(TrainingError, match=r"release base-2 holds no none\.pt"):
        torch.begin(Torch(), tmp_path, BASE, "none.pt")


def test_outside_a_trial_nothing_is_begun_with(context):
    assert torch.warm_start(context, Torch()) is None
