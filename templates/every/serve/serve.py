"""The served model; `model/` lies beside this file when it runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from classifier import Classifier
from numpy.typing import NDArray


class Model:
    """The class contract of Seldon's wrapper: items in, the probability of each class out."""

    def __init__(self, model_uri: str) -> None:
        """Remember where the checkpoint lies; `load` reads it."""
        self._folder = Path(model_uri.removeprefix("file://"))
        self._classifier: Classifier | None = None

    def load(self) -> None:
        """Read the checkpoint."""
        self._classifier = Classifier.load(self._folder)

    def predict(self, X: Sequence[object], names: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Answer one row of probabilities for each item."""
        del names
        return self._loaded().probabilities(X)

    def class_names(self) -> list[str]:
        """Name the columns of an answer."""
        return self._loaded().classes

    def _loaded(self) -> Classifier:
        if self._classifier is None:
            raise RuntimeError("the model is not loaded yet")
        return self._classifier
