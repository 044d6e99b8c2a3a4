"""The paper's network (its table 2), how it lies in a checkpoint, and how a stored one answers."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import ArrayLike, NDArray
from transform import SIDE, scaled

WEIGHTS = "model.weights.h5"
SHAPE = "network.json"
CHANNELS = (16, 32, 64, 128)
DENSE = (256, 512)

# Trials share a machine's cores: TensorFlow keeps to the number of threads that every other library is given.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["OMP_NUM_THREADS"])
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", os.environ["OMP_NUM_THREADS"])

Hparams = Mapping[str, str | int | float]


class Row(NamedTuple):
    """One row of table 2."""

    layer: str
    size: str
    channels: int | None
    kernel: int | None
    parameters: int


def build(side: int = SIDE) -> keras.Model:
    """Build the network: four convolutions, each with a pool, then three fully connected layers."""
    stack = [layers.Input((side, side, 3))]
    for number, channels in enumerate(CHANNELS, 1):
        stack += [
            layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv{number}"),
            layers.MaxPooling2D(name=f"pool{number}"),
        ]
    stack.append(layers.Flatten(name="flatten"))
    stack += [layers.Dense(units, activation="relu", name=f"dense{n}") for n, units in enumerate(DENSE, 1)]
    stack.append(layers.Dense(1, activation="sigmoid", name="answer"))
    return keras.Sequential(stack)


def compiled(learning_rate: float, side: int = SIDE) -> keras.Model:
    """Build and compile the network; the probability that a picture shows a dog comes out."""
    model = build(side)
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def rows(model: keras.Model) -> list[Row]:
    """Describe the layers as table 2 does."""
    return [_row(layer) for layer in model.layers]


def _row(layer: keras.Layer) -> Row:
    shape, parameters = layer.output.shape, layer.count_params()
    match layer:
        case layers.Conv2D():
            return Row("Convolution", f"{shape[1]}x{shape[2]}", shape[3], layer.kernel_size[0], parameters)
        case layers.MaxPooling2D():
            return Row("Max pool", f"{shape[1]}x{shape[2]}", shape[3], None, parameters)
        case layers.Flatten():
            return Row("Flatten", "1", shape[1], None, parameters)
        case _:
            return Row("Fully connected", "1", shape[1], None, parameters)


def describe(folder: Path, side: int) -> None:
    """Write the shape of the network beside its weights, so that serving needs no experiment config."""
    (folder / SHAPE).write_text(json.dumps({"side": side}))


@dataclass(frozen=True)
class Classifier:
    """A trained network, compiled to one function."""

    dogs: Callable[[tf.Tensor], tf.Tensor]
    side: int

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read a checkpoint, ready to answer."""
        side = int(json.loads((folder / SHAPE).read_text())["side"])
        network = build(side)
        network.load_weights(folder / WEIGHTS)
        return cls.of(network, side)

    @classmethod
    def of(cls, network: keras.Model, side: int) -> "Classifier":
        """Compile a network for any number of pictures."""

        @tf.function
        def dogs(pictures: tf.Tensor) -> tf.Tensor:
            return network(pictures, training=False)

        return cls(dogs.get_concrete_function(tf.TensorSpec((None, side, side, 3), tf.float32)), side)

    def probabilities(self, pixels: ArrayLike, batch: int = 64) -> NDArray[np.float32]:
        """Give each picture its probability of showing a cat and of showing a dog."""
        ready = scaled(pixels, self.side)
        parts = [self.dogs(tf.constant(ready[at : at + batch])).numpy() for at in range(0, len(ready), batch)]
        dog = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        return np.concatenate([1 - dog, dog], axis=1)
