"""From text to numbers: Porter stems counted over a vocabulary. Training, evaluation and serving share it."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from nltk.stem import PorterStemmer
from numpy.typing import NDArray

WORD = re.compile(r"\b\w\w+\b")
MIN_DOCUMENTS = 2
MAX_SHARE = 0.5
LIMIT = 9_500
FILE = "vocabulary.json"

_stemmer = PorterStemmer()


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Reduce a word to its Porter stem; stemming is the cost of this transform, and words repeat."""
    return str(_stemmer.stem(word))


def stems_of(text: str) -> list[str]:
    """Split a text into the stems of its words."""
    return [stem(word) for word in WORD.findall(text.lower())]


class Vocabulary:
    """The stems a model counts, in the order of its inputs."""

    def __init__(self, stems: Sequence[str]) -> None:
        """Keep the stems in the order given."""
        self.stems = tuple(stems)
        self._place = {stem: place for place, stem in enumerate(self.stems)}

    def __len__(self) -> int:
        """Count the stems: the width of the network's input."""
        return len(self.stems)

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Self:
        """Choose the stems that occur in at least two of the texts, but not in more than half of them.

        The same texts in any order choose the same stems: the most frequent win, ties go by the alphabet.
        """
        documents = [set(stems_of(text)) for text in texts]
        seen = Counter(stem for document in documents for stem in document)
        most = MAX_SHARE * len(documents)
        kept = [(-count, stem) for stem, count in seen.items() if MIN_DOCUMENTS <= count <= most]
        return cls(sorted(stem for _, stem in sorted(kept)[:LIMIT]))

    def counts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Count each stem in each text; words outside the vocabulary are left out."""
        table = np.zeros((len(texts), len(self.stems)), dtype=np.float32)
        for row, text in zip(table, texts, strict=True):
            for word in stems_of(text):
                place = self._place.get(word)
                if place is not None:
                    row[place] += 1.0
        return table

    def save(self, folder: Path) -> None:
        """Write the vocabulary into a checkpoint's folder."""
        (folder / FILE).write_text(json.dumps(self.stems, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the vocabulary a checkpoint was trained with."""
        return cls(json.loads((folder / FILE).read_text()))


def held_out(text: str, share: float, seed: int) -> bool:
    """Tell whether a text belongs to the held-out share: by its content, so that equal texts stay together."""
    digest = hashlib.sha256(f"{seed}\0{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
