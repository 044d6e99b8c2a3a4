"""Judge a checkpoint on articles it has never seen."""

from pathlib import Path

import articles
import numpy as np
from network import Classifier


def evaluate(checkpoint: Path, data: Path) -> dict[str, object]:
    """Classify every article of the folder and compare with the folder it lies in."""
    classifier = Classifier.load(checkpoint)
    test = articles.read(data, classifier.classes)
    predicted = classifier.probabilities(test.texts).argmax(axis=1)
    size = len(classifier.classes)
    confusion = np.zeros((size, size), dtype=int)
    np.add.at(confusion, (test.labels, predicted), 1)
    per_class = {name: _scores(confusion, number) for number, name in enumerate(classifier.classes)}
    metrics = {
        "accuracy": float(confusion.trace() / confusion.sum()),
        "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values()])),
    }
    return {
        "metrics": metrics,
        "perClass": per_class,
        "confusion": confusion.tolist(),
        "classes": classifier.classes,
        "n": len(test.texts),
        "correct": "".join("1" if right else "0" for right in predicted == test.labels),
    }


def _scores(confusion: np.ndarray, number: int) -> dict[str, float]:
    hits = float(confusion[number, number])
    predicted, support = float(confusion[:, number].sum()), float(confusion[number].sum())
    precision = hits / predicted if predicted else 0.0
    recall = hits / support if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}
