"""Judge a checkpoint on pictures it has never seen."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow loads: its greeting says nothing about the trial

import network
import numpy as np
import pictures
from numpy.typing import NDArray
from transform import CLASSES


def evaluate(checkpoint: Path, data: Path) -> dict[str, object]:
    """Classify every picture of the folder and compare with the folder it lies in."""
    classifier = network.Classifier.load(checkpoint)
    test = pictures.read(data, classifier.side)
    predicted = classifier.probabilities(test.pixels).argmax(axis=1)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(confusion, (test.labels, predicted), 1)
    per_class = {name: _scores(confusion, number) for number, name in enumerate(CLASSES)}
    metrics = {
        "accuracy": float(confusion.trace() / confusion.sum()),
        "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values()])),
    }
    return {
        "metrics": metrics,
        "perClass": per_class,
        "confusion": confusion.tolist(),
        "classes": list(CLASSES),
        "n": len(test.labels),
        "correct": "".join("1" if right else "0" for right in predicted == test.labels),
    }


def _scores(confusion: NDArray[np.int_], number: int) -> dict[str, float]:
    hits = float(confusion[number, number])
    predicted, support = float(confusion[:, number].sum()), float(confusion[number].sum())
    precision = hits / predicted if predicted else 0.0
    recall = hits / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}
