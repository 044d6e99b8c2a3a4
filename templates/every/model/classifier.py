"""Softmax regression in numpy. Put your network in its place: the other files use `Classifier` as it is here."""

from collections.abc import Sequence
from pathlib import Path

import inputs
import numpy as np
from numpy.typing import NDArray

FILE = "model.npz"
STEPS = 50
"""Steps downhill in an epoch."""

Matrix = NDArray[np.float64]


class Classifier:
    """Knows the classes it was shown, and how probable each is for an item."""

    def __init__(self, classes: Sequence[str], middle: Matrix, spread: Matrix, weights: Matrix) -> None:
        """Take what `fresh` starts with, or what `load` has read."""
        self.classes = list(classes)
        self._middle, self._spread, self._weights = middle, spread, weights

    @classmethod
    def fresh(cls, items: Sequence[object], labels: Sequence[str]) -> "Classifier":
        """Start from nothing but the classes and the scale of the features."""
        features, classes = inputs.features(items), sorted(set(labels))
        spread = features.std(axis=0)
        spread[spread < spread.max() / 100] = max(float(spread.max()), 1e-9)  # what hardly varies is not blown up
        return cls(classes, features.mean(axis=0), spread, np.zeros((features.shape[1] + 1, len(classes))))

    def learn(self, items: Sequence[object], labels: Sequence[str], rate: float) -> None:
        """Go through all items once more."""
        rows = self._rows(items)
        truth = np.array([[label == name for name in self.classes] for label in labels], dtype=float)
        for _ in range(STEPS):
            self._weights -= rate * rows.T @ (_shares(rows @ self._weights) - truth) / len(rows)

    def probabilities(self, items: Sequence[object]) -> Matrix:
        """Give a row for each item, a column for each class."""
        return _shares(self._rows(items) @ self._weights)

    def chosen(self, items: Sequence[object]) -> list[str]:
        """Name the most probable class of each item."""
        return [self.classes[best] for best in self.probabilities(items).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        np.savez(folder / FILE, classes=self.classes, middle=self._middle, spread=self._spread, weights=self._weights)

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read a checkpoint."""
        with np.load(folder / FILE) as kept:
            return cls(kept["classes"].tolist(), kept["middle"], kept["spread"], kept["weights"])

    def _rows(self, items: Sequence[object]) -> Matrix:
        scaled = (inputs.features(items) - self._middle) / self._spread
        return np.hstack([scaled / np.sqrt(scaled.shape[1]), np.ones((len(scaled), 1))])


def _shares(scores: Matrix) -> Matrix:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares
