"""The served news classifier."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from network import Classifier
from numpy.typing import NDArray


class NewsModel:
    """Texts in, the probability of each class out."""

    def __init__(self, model_uri: str) -> None:
        """Remember where the checkpoint lies; `load` reads it."""
        self._folder = Path(model_uri.removeprefix("file://"))
        self._classifier: Classifier | None = None

    def load(self) -> None:
        """Read the checkpoint."""
        self._classifier = Classifier.load(self._folder)

    def predict(
        self, X: Sequence[str] | NDArray[np.object_], names: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Answer one row of probabilities for each text."""
        del names
        return self._loaded().probabilities([_text(entry) for entry in np.asarray(X, dtype=object).ravel()])

    def class_names(self) -> list[str]:
        """Name the columns of an answer."""
        return list(self._loaded().classes)

    def _loaded(self) -> Classifier:
        if self._classifier is None:
            raise RuntimeError("the model is not loaded yet")
        return self._classifier


def _text(entry: object) -> str:
    return entry.decode("utf-8", errors="replace") if isinstance(entry, bytes) else str(entry)
