"""KerasTrial: a trial that was interrupted ends where an uninterrupted one ends."""

import json
from pathlib import Path

import determined
import keras
import numpy as np
import pytest
from determined import core

from cdl.training import TrainingError
from cdl.training.keras import KerasTrial

# Keras 3.15 hands TensorFlow's tensors to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROWS, BATCH = 40, 10


class RecordedTrain(core.DummyTrainContext):
    """The harness's off-cluster context, which also remembers what it was told."""

    def __init__(self):
        super().__init__()
        self.metrics = []

    def report_metrics(self, group, steps_completed, metrics):
        self.metrics.append((group, steps_completed, metrics))


class Interrupted(core.DummyPreemptContext):
    """A master that wants the trial to stop after so many epochs."""

    epochs_left = 1

    def should_preempt(self, auto_ack=True):
        self.epochs_left -= 1
        return self.epochs_left <= 0


@pytest.fixture
def context(tmp_path):
    with core._dummy_init(checkpoint_storage=str(tmp_path / "checkpoints")) as made:
        made.train = RecordedTrain()
        yield made


def fresh_model(learning_rate=0.01):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], steps_per_execution=3)
    return model


def rows():
    source = np.random.default_rng(0)
    x = source.normal(size=(ROWS, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.uint8)


def fit(trial, epochs):
    x, y = rows()
    return trial.fit(x, y, epochs=epochs, batch_size=BATCH, validation_data=(x, y), shuffle=False)


def checkpoints(tmp_path):
    return sorted((tmp_path / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_an_interrupted_trial_ends_with_the_weights_of_an_uninterrupted_one(context, tmp_path):
    straight = fresh_model()
    fit(KerasTrial(context, straight), epochs=4)

    first = fresh_model()
    fit(KerasTrial(context, first), epochs=2)
    resumed_model = fresh_model()
    resumed = KerasTrial(context, resumed_model)
    resumed.restore(checkpoints(tmp_path)[-1].name)
    assert resumed.initial_epoch == 2
    assert int(resumed_model.optimizer.iterations) == 2 * ROWS // BATCH
    history = fit(resumed, epochs=4)

    assert history.epoch == [2, 3]
    for ours, theirs in zip(resumed_model.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_resumed_trial_counts_its_batches_on(context, tmp_path):
    fit(KerasTrial(context, fresh_model()), epochs=1)
    resumed = KerasTrial(context, fresh_model())
    resumed.restore(checkpoints(tmp_path)[-1].name)
    context.train.metrics.clear()
    fit(resumed, epochs=2)
    assert [(group, steps, metrics["epochs"]) for group, steps, metrics in context.train.metrics] == [
        ("training", 8, 2),
        ("validation", 8, 2),
    ]


def test_every_epoch_reports_both_groups_and_keeps_one_checkpoint_of_the_same_step(context, tmp_path):
    fit(KerasTrial(context, fresh_model()), epochs=3)
    assert [steps for group, steps, _ in context.train.metrics if group == "validation"] == [4, 8, 12]
    group, steps, metrics = context.train.metrics[-1]
    assert (group, steps) == ("validation", 12)
    assert set(metrics) == {"accuracy", "loss", "epochs", "batches"}
    kept = [json.loads((path / "metadata.json").read_text()) for path in checkpoints(tmp_path)]
    assert [metadata["steps_completed"] for metadata in kept] == [4, 8, 12]


def test_a_stop_signal_ends_the_training_after_the_running_epoch_with_its_checkpoint(context, tmp_path):
    stopping = Interrupted(context.distributed)
    stopping.epochs_left = 2
    context.preempt = stopping
    history = fit(KerasTrial(context, fresh_model()), epochs=9)
    assert history.epoch == [0, 1]
    assert len(checkpoints(tmp_path)) == 2


def test_another_trials_checkpoint_lends_its_weights_and_nothing_else(context, tmp_path):
    donor = fresh_model(learning_rate=0.01)
    trial = KerasTrial(context, donor)
    trial._id = "41"
    fit(trial, epochs=2)
    heir = fresh_model(learning_rate=0.5)
    started = KerasTrial(context, heir)
    started.restore(checkpoints(tmp_path)[-1].name)
    assert started.initial_epoch == 0
    assert int(heir.optimizer.iterations) == 0
    assert float(heir.optimizer.learning_rate) == pytest.approx(0.5)
    for ours, theirs in zip(heir.get_weights(), donor.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_trial_that_is_started_again_trains_no_more(context, tmp_path):
    fit(KerasTrial(context, fresh_model()), epochs=2)
    resumed = KerasTrial(context, fresh_model())
    resumed.restore(checkpoints(tmp_path)[-1].name)
    assert fit(resumed, epochs=2).epoch == []


def test_extra_files_lie_in_every_checkpoint(context, tmp_path):
    def add(folder: Path) -> None:
        (folder / "classes.txt").write_text("cat dog")

    fit(KerasTrial(context, fresh_model(), extra_files=add), epochs=2)
    assert [(path / "classes.txt").read_text() for path in checkpoints(tmp_path)] == ["cat dog", "cat dog"]


def test_a_model_without_a_shape_is_refused_with_a_sentence(context):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("adam", "mse")
    with pytest.raises(TrainingError, match="start it with an Input layer"):
        KerasTrial(context, model).restore("any")


def test_the_epoch_to_start_from_is_not_the_callers_to_choose(context):
    x, y = rows()
    with pytest.raises(TrainingError, match="initial_epoch"):
        KerasTrial(context, fresh_model()).fit(x, y, initial_epoch=1)


def test_outside_a_cluster_nothing_is_restored(context):
    assert determined.get_cluster_info() is None
    assert KerasTrial(context, fresh_model()).initial_epoch == 0
