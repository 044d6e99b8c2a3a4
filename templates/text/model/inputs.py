"""From files to numbers: the one transform of training, evaluation and serving. Change this first."""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
"""Words are counted in so many columns; two words may share one."""
WORD = re.compile(r"[a-z]+")


def read(folder: Path) -> tuple[list[object], list[str]]:
    """Give the texts below a folder, and the classes: the folders they lie in."""
    found = sorted(folder.rglob("*.txt"))
    return [path.read_text(encoding="utf-8") for path in found], [path.parent.name for path in found]


def features(items: Sequence[object]) -> NDArray[np.float64]:
    """Count the words of each text, as shares."""
    counted = np.zeros((len(items), WIDTH))
    for row, item in enumerate(items):
        words = WORD.findall(_text(item).lower())
        for word in words:
            counted[row, zlib.crc32(word.encode()) % WIDTH] += 1 / len(words)
    return counted


def _text(item: object) -> str:
    return item.decode("utf-8", errors="replace") if isinstance(item, bytes) else str(item)
