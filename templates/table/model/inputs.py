"""From files to numbers: the one transform of training, evaluation and serving. Change this first."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("length", "width", "weight")
LABEL = "kind"


def read(folder: Path) -> tuple[list[object], list[str]]:
    """Give the rows of every table below a folder, and their classes."""
    items: list[object] = []
    labels: list[str] = []
    for path in sorted(folder.rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                items.append([float(row[name]) for name in COLUMNS])
                labels.append(row[LABEL])
    return items, labels


def features(items: Sequence[object]) -> NDArray[np.float64]:
    """Take the numbers as they are."""
    rows = np.asarray(items, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != len(COLUMNS):
        raise ValueError(f"rows have the shape {rows.shape}, allowed is (n, {len(COLUMNS)}): {', '.join(COLUMNS)}")
    return rows
