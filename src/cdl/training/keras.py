"""Keras 3 under Determined: metrics, checkpoints, pause and resume that are right, on the Core API alone.

Determined's own callback was written for Keras 2: with Keras 3 it cannot save, restarts at epoch 0 after a pause
and forgets the optimizer. Here the state is restored *before* `fit`, through Keras's public arguments, and with it what
Keras keeps nowhere: where random numbers stand, what callbacks have counted, that a callback ended the training. On one
thread a trial that was killed and resumed ends with the same weights, bit by bit, as one that was left alone:

    with core.init(tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        trial = KerasTrial(context, model)
        trial.fit(train_images, train_labels, validation_data=..., epochs=5, batch_size=32)
"""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import determined
import keras
import numpy as np
from determined import core

from cdl.training import layers, states, warm
from cdl.training.failures import TrainingError
from cdl.training.layers import WEIGHTS
from cdl.training.warm import Parameters, WarmStart

STATE = "trial.json"


class ExtraFiles(Protocol):
    """Write what else serving needs into a checkpoint's folder (a vocabulary, the shape of the network)."""

    def __call__(self, folder: Path) -> None:
        """Add files to the folder."""


class KerasTrial:
    """One compiled model trained as one Determined trial, from the last checkpoint on if there is one."""

    def __init__(self, context: core.Context, model: keras.Model, extra_files: ExtraFiles | None = None) -> None:
        """Bind the model to the trial and restore its latest checkpoint: weights, optimizer, epoch."""
        self._context = context
        self._model = model
        self._extra_files = extra_files
        self.initial_epoch = 0
        self.steps_completed = 0
        self.ended = False
        """A callback of the author's ended the training."""
        self._callbacks: list[keras.callbacks.Callback] = []
        self._pending: _Pending | None = None
        cluster = determined.get_cluster_info()
        in_trial = cluster is not None and cluster.task_type == "TRIAL"
        self._id = str(cluster.trial.trial_id) if cluster is not None and in_trial else "local"
        self.parameters: Parameters | None = None
        """What the trial began with, where that was another's weights."""
        self._start = warm.wanted()
        if self._start is not None:
            _require_built(model)
            layers.freeze(model, self._start)
        if cluster is not None and cluster.latest_checkpoint is not None:
            self.restore(cluster.latest_checkpoint)

    def restore(self, checkpoint: str) -> None:
        """Load a checkpoint: one of this same trial continues it, another trial's only lends its weights."""
        _require_built(self._model)
        strategy = getattr(self._model, "distribute_strategy", None)  # TensorFlow's mirrored models have one
        with nullcontext() if strategy is None else strategy.scope():
            self._restore(checkpoint)

    def _restore(self, checkpoint: str) -> None:
        with self._context.checkpoint.restore_path(checkpoint) as path:
            folder = Path(path)
            kept = folder / STATE
            state = json.loads(kept.read_text()) if kept.is_file() else {}
            if state.get("trial") != self._id:
                self._begin(folder, checkpoint)
                return
            # An optimizer that was never built has no variables yet to load into.
            self._model.optimizer.build(self._model.trainable_variables)
            self._model.load_weights(folder / WEIGHTS)
            noted = state.get("callbacks", [])
            best = states.best_weights(folder, len(noted))
        self.initial_epoch = int(state["epochs"])
        self.steps_completed = int(state["batches"])
        self.ended = bool(state.get("ended", False))
        self._pending = _Pending(state.get("random", {}), noted, best)

    def _begin(self, folder: Path, checkpoint: str) -> None:
        """Begin with another's weights; its steps, momenta and learning rate are not wanted."""
        start = self._start or WarmStart(checkpoint=checkpoint)
        digest = warm.verified(folder, start)
        self.parameters = layers.begin(self._model, folder, start)
        warm.tell(self._context, start, self.parameters, digest)

    def fit(
        self, *args: object, callbacks: list[keras.callbacks.Callback] | None = None, **options: object
    ) -> keras.callbacks.History:
        """Train like `model.fit`, starting where the trial stopped and reporting to Determined."""
        if "initial_epoch" in options:
            raise TrainingError("initial_epoch is the trial's own: it comes from the checkpoint")
        options.setdefault("verbose", 0)
        if self.ended:
            options["epochs"] = self.initial_epoch
        self._callbacks = list(callbacks or [])
        every = [*self._callbacks, _Reporter(self)]
        return self._model.fit(*args, initial_epoch=self.initial_epoch, callbacks=every, **options)

    def go_on(self) -> None:
        """Let random numbers and callbacks go on from where they stood; called once training begins.

        What is drawn before, such as which rows validate, is drawn again as it was at first.
        """
        if self._pending is not None:
            states.draw_on(self._model, self._pending.random)
            states.count_on(self._callbacks, self._pending.callbacks, self._pending.best)
            self._pending = None

    def save(self, epochs: int, batches: int, *, ended: bool = False) -> str:
        """Store a checkpoint that `restore` continues from; its UUID."""
        metadata = {"steps_completed": batches}
        with self._context.checkpoint.store_path(metadata) as (path, uuid):
            folder = Path(path)
            self._model.save_weights(folder / WEIGHTS)
            state = {
                "trial": self._id,
                "epochs": epochs,
                "batches": batches,
                "ended": ended,
                "random": states.drawn(self._model),
                "callbacks": states.counted(self._callbacks, folder),
            }
            (folder / STATE).write_text(json.dumps(state))
            if self._extra_files is not None:
                self._extra_files(folder)
        return str(uuid)

    def report(self, epochs: int, batches: int, logs: Mapping[str, float]) -> None:
        """Report one epoch: training metrics, then validation metrics, under Keras's names without `val_`."""
        place = {"epochs": epochs, "batches": batches}
        validation = {
            name.removeprefix("val_"): float(value) for name, value in logs.items() if name.startswith("val_")
        }
        training = {name: float(value) for name, value in logs.items() if not name.startswith("val_")}
        self._context.train.report_metrics("training", batches, {**training, **place})
        if validation:
            self._context.train.report_metrics("validation", batches, {**validation, **place})

    def progress(self, done: float) -> None:
        """Tell how much of the training is done, from 0 to 1."""
        self._context.train.report_progress(done)

    def should_stop(self) -> bool:
        """Ask whether the trial was paused, cancelled or stopped early by the search."""
        return bool(self._context.preempt.should_preempt())


@dataclass(frozen=True)
class _Pending:
    """What a restored trial still has to take up."""

    random: dict[str, list[Any]]
    callbacks: list[dict[str, object]]
    best: list[list[np.ndarray]]


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Report, save, and look for a stop signal at every epoch's end."""

    def __init__(self, trial: KerasTrial) -> None:
        super().__init__()
        self._trial = trial
        self._batches = trial.steps_completed
        self._last_batch = -1

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Come last of all callbacks, which begin anew here: now they may go on."""
        self._trial.go_on()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note how far the epoch is; with `steps_per_execution` Keras calls once for several batches."""
        steps = self.params.get("steps")
        # The last of these calls names the batch it would have ended with, had the epoch been long enough.
        self._last_batch = batch if steps is None else min(batch, steps - 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Close one epoch; the metrics and the checkpoint carry the same step, so the best of both meet."""
        epochs = epoch + 1
        self._batches += self._last_batch + 1
        self._last_batch = -1
        self._trial.report(epochs, self._batches, logs or {})
        self._trial.save(epochs, self._batches, ended=bool(self.model.stop_training))
        self._trial.progress(epochs / self.params["epochs"])
        if self._trial.should_stop():
            self.model.stop_training = True


def _require_built(model: keras.Model) -> None:
    if not model.built:
        raise TrainingError(
            "the model has no shape yet: start it with an Input layer, so that its weights can be restored"
        )
