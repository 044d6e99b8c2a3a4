"""The served classifier of cats and dogs."""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow loads: its greeting says nothing about the model

import network
import numpy as np
from numpy.typing import ArrayLike, NDArray
from transform import CLASSES


class CatsDogsModel:
    """Colour pictures of values 0 to 255 in, the probability of a cat and of a dog out."""

    def __init__(self, model_uri: str) -> None:
        """Remember where the checkpoint lies; `load` reads it."""
        self._folder = Path(model_uri.removeprefix("file://"))
        self._classifier: network.Classifier | None = None

    def load(self) -> None:
        """Read the checkpoint and compile its function."""
        self._classifier = network.Classifier.load(self._folder)

    def predict(self, X: ArrayLike, names: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Answer one row of two probabilities for each picture."""
        del names
        if self._classifier is None:
            raise RuntimeError("the model is not loaded yet")
        return self._classifier.probabilities(X)

    def class_names(self) -> list[str]:
        """Name the columns of an answer."""
        return list(CLASSES)
