"""From a folder of articles to what the trial learns from: computed by one trial, loaded by the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import articles
import numpy as np
from numpy.typing import NDArray
from transform import Vocabulary

from cdl.training.transforms import cached


@dataclass(frozen=True)
class Part:
    """Counted stems and, in step with them, the numbers of the classes."""

    counts: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """Both parts, the vocabulary that was chosen from the training part, and the classes."""

    training: Part
    validation: Part
    vocabulary: Vocabulary
    classes: list[str]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Count the stems of every article, or load the counts that another trial made."""
        found = cached(counted, folder)
        parts = [Part(found[f"{part}/counts"], found[f"{part}/labels"]) for part in ("training", "validation")]
        return cls(parts[0], parts[1], Vocabulary([str(stem) for stem in found["stems"]]), found["classes"].tolist())


def counted(folder: Path) -> dict[str, np.ndarray]:
    """Split the articles, choose the vocabulary from the training part, and count its stems in both parts."""
    every = articles.read(folder)
    training, validation = every.split()
    vocabulary = Vocabulary.of_texts(training.texts)
    found = {"stems": np.array(vocabulary.stems, dtype=np.str_), "classes": np.array(every.classes)}
    for name, part in (("training", training), ("validation", validation)):
        found[f"{name}/counts"] = vocabulary.counts(part.texts)
        found[f"{name}/labels"] = np.array(part.labels, dtype=np.int64)
    return found
