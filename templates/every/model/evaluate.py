"""Judge a checkpoint on the test side, which no trial has seen."""

from pathlib import Path

import inputs
from classifier import Classifier


def evaluate(checkpoint: Path, data: Path) -> dict[str, object]:
    """Measure accuracy, precision and recall."""
    model = Classifier.load(checkpoint)
    items, labels = inputs.read(data)
    chosen = model.chosen(items)
    pairs = list(zip(labels, chosen, strict=True))
    confusion = [[pairs.count((truth, answer)) for answer in model.classes] for truth in model.classes]
    return {
        "metrics": {"accuracy": sum(truth == answer for truth, answer in pairs) / len(pairs)},
        "perClass": {name: _scores(confusion, number) for number, name in enumerate(model.classes)},
        "confusion": confusion,
        "classes": model.classes,
        "n": len(pairs),
    }


def _scores(confusion: list[list[int]], number: int) -> dict[str, float]:
    hits, support = confusion[number][number], sum(confusion[number])
    answered = sum(row[number] for row in confusion)
    return {
        "precision": hits / answered if answered else 0.0,
        "recall": hits / support if support else 0.0,
        "support": support,
    }
