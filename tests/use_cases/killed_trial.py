"""Train a small network as a trial does, in a process of its own: `killed_trial.py FOLDER killed` or `resumed`."""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
from determined import core

from cdl.training.keras import KerasTrial

EPOCHS, KILLED_IN = 5, 3


class Killer(keras.callbacks.Callback):
    """Ends the process as kill -9 does, in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch >= 1 and self.model.epochs_begun == KILLED_IN:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.model.epochs_begun = epoch + 1


def network():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 20)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def train(storage, *callbacks, resumed=False):
    """Give the network after all its epochs, and the epochs that were trained."""
    source = np.random.default_rng(0)
    x = source.normal(size=(40, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.uint8)
    with core._dummy_init(checkpoint_storage=str(storage)) as context:
        model = network()
        trial = KerasTrial(context, model)
        if resumed:
            kept = sorted(storage.iterdir(), key=lambda place: place.stat().st_mtime_ns)
            trial.restore(kept[-1].name)
        history = trial.fit(x, y, epochs=EPOCHS, batch_size=10, validation_data=(x, y), callbacks=list(callbacks))
    return model, history.epoch


def write(place, model):
    np.savez(place, *model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables))


def main():
    folder, how = Path(sys.argv[1]), sys.argv[2]
    if how == "killed":
        write(folder / "straight.npz", train(folder / "undisturbed")[0])
        train(folder / "checkpoints", Killer())
    model, epochs = train(folder / "checkpoints", resumed=True)
    write(folder / "resumed.npz", model)
    print(epochs)


if __name__ == "__main__":
    main()
