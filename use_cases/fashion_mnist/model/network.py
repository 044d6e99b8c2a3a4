"""The two networks, how one lies in a checkpoint, and how a stored one answers."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import ArrayLike, NDArray
from transform import CLASSES, SIDE, scaled

WEIGHTS = "model.weights.h5"
SHAPE = "network.json"

# Trials share a machine's cores: TensorFlow keeps to the number of threads that every other library is given.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["OMP_NUM_THREADS"])
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", os.environ["OMP_NUM_THREADS"])

Hparams = Mapping[str, str | int | float]


def build(hparams: Hparams) -> keras.Model:
    """Build the network that `architecture` names: `mlp` (the thesis's) or `cnn`."""
    architecture = hparams.get("architecture", "mlp")
    if architecture == "mlp":
        return _mlp(int(hparams["dense1"]))
    if architecture == "cnn":
        return _cnn(int(hparams["dense1"]))
    raise ValueError(f"hyperparameter architecture is {architecture}, allowed are mlp, cnn")


def _mlp(dense1: int) -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((SIDE, SIDE)),
            layers.Flatten(),
            layers.Dense(dense1, activation="relu"),
            layers.Dense(len(CLASSES)),
        ]
    )


def _cnn(dense1: int) -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((SIDE, SIDE)),
            layers.Reshape((SIDE, SIDE, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(dense1, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(len(CLASSES)),
        ]
    )


def describe(folder: Path, hparams: Hparams) -> None:
    """Write the shape of the network beside its weights, so that serving needs no experiment config."""
    shape = {"architecture": hparams.get("architecture", "mlp"), "dense1": int(hparams["dense1"])}
    (folder / SHAPE).write_text(json.dumps(shape))


@dataclass(frozen=True)
class Classifier:
    """A trained network, compiled to one function."""

    scores: Callable[[tf.Tensor], tf.Tensor]

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read a checkpoint, ready to answer."""
        network = build(json.loads((folder / SHAPE).read_text()))
        network.load_weights(folder / WEIGHTS)
        return cls.of(network)

    @classmethod
    def of(cls, network: keras.Model) -> "Classifier":
        """Compile a network and its softmax for any number of images; a concrete function answers in microseconds."""

        @tf.function
        def scores(images: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(network(images, training=False))

        return cls(scores.get_concrete_function(tf.TensorSpec((None, SIDE, SIDE), tf.float32)))

    def probabilities(self, pixels: ArrayLike) -> NDArray[np.float32]:
        """Give each image its probability of belonging to each class."""
        answer: NDArray[np.float32] = self.scores(tf.constant(scaled(pixels))).numpy()
        return answer
