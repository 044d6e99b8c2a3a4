"""A Keras trial that was killed goes on as if nothing had happened: random numbers, callbacks and all."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from determined import core

from cdl.training.keras import KerasTrial

# Keras 3.15 hands TensorFlow's tensors to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROGRAM = Path(__file__).with_name("killed_trial.py")


def train(folder, how):
    """Train in a process of its own, on one thread; a sum over several is not the same twice."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    program = [sys.executable, str(PROGRAM), str(folder), how]
    return subprocess.run(program, capture_output=True, text=True, timeout=180, check=False, env=os.environ | one)


def test_a_killed_trial_ends_with_the_very_weights_of_an_undisturbed_one(tmp_path):
    killed = train(tmp_path, "killed")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    resumed = train(tmp_path, "resumed")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[-1] == "[2, 3, 4]"
    with np.load(tmp_path / "straight.npz") as theirs, np.load(tmp_path / "resumed.npz") as ours:
        assert sorted(ours) == sorted(theirs)
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


class Settles(keras.callbacks.Callback):
    """Make the validation loss that EarlyStopping watches: it falls for two epochs and stays."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = max(5.0 - epoch, 4.0)


@pytest.fixture
def context(tmp_path):
    with core._dummy_init(checkpoint_storage=str(tmp_path / "checkpoints")) as made:
        yield made


def model():
    keras.utils.set_random_seed(5)
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    made.compile("adam", "mse")
    return made


def fit(trial, epochs, draws=None):
    x, y = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    noting = (
        []
        if draws is None
        else [keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: draws.append(random.random()))]
    )
    return trial.fit(x, y, epochs=epochs, batch_size=4, callbacks=[Settles(), stop, *noting])


def newest(tmp_path):
    return max((tmp_path / "checkpoints").iterdir(), key=lambda place: place.stat().st_mtime_ns).name


def resumed(context, tmp_path):
    trial = KerasTrial(context, model())
    trial.restore(newest(tmp_path))
    return trial


def test_early_stopping_waits_no_longer_because_of_an_interruption(context, tmp_path):
    straight = model()
    history = fit(KerasTrial(context, straight), epochs=20)
    assert history.epoch == [0, 1, 2, 3, 4]
    fit(KerasTrial(context, model()), epochs=3)
    second = resumed(context, tmp_path)
    assert fit(second, epochs=20).epoch == [3, 4]
    for ours, theirs in zip(second._model.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_what_early_stopping_ended_stays_ended(context, tmp_path):
    fit(KerasTrial(context, model()), epochs=20)
    again = resumed(context, tmp_path)
    assert (again.ended, again.initial_epoch) == (True, 5)
    assert fit(again, epochs=20).epoch == []


def test_a_pause_is_no_end(context, tmp_path):
    class Paused(core.DummyPreemptContext):
        def should_preempt(self, auto_ack=True):
            return True

    calm = context.preempt
    context.preempt = Paused(context.distributed)
    assert fit(KerasTrial(context, model()), epochs=4).epoch == [0]
    context.preempt = calm
    again = resumed(context, tmp_path)
    assert not again.ended
    assert fit(again, epochs=4).epoch == [1, 2, 3]


def test_random_numbers_go_on_and_what_is_drawn_before_training_is_drawn_again(context, tmp_path):
    straight, first, second = [], [], []
    fit(KerasTrial(context, model()), epochs=4, draws=straight)
    fit(KerasTrial(context, model()), epochs=2, draws=first)
    model()
    unresumed = random.random()
    trial = resumed(context, tmp_path)
    assert random.random() == unresumed
    fit(trial, epochs=4, draws=second)
    assert first + second == straight
