"""Read a dataset version's idx files: images and labels, found by their names wherever they lie."""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAINING_SHARE = 0.8
"""The first 48,000 of Fashion-MNIST's 60,000 rows train, the last 12,000 validate."""


@dataclass(frozen=True)
class Images:
    """Grey pixels 0 to 255 and, in step with them, the numbers of their classes."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def split(self) -> tuple["Images", "Images"]:
        """Cut into the training and the validation part, always at the same row."""
        cut = int(len(self.labels) * TRAINING_SHARE)
        return Images(self.pixels[:cut], self.labels[:cut]), Images(self.pixels[cut:], self.labels[cut:])


def read(folder: Path) -> Images:
    """Read the one pair of idx files below the folder."""
    pixels, labels = _array(_only(folder, "*images-idx3-ubyte.gz")), _array(_only(folder, "*labels-idx1-ubyte.gz"))
    if len(pixels) != len(labels):
        raise ValueError(f"{folder} holds {len(pixels)} images but {len(labels)} labels; every image needs one label")
    return Images(pixels, labels)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} holds {len(found)} files {pattern}, exactly one is needed")
    return found[0]


def _array(path: Path) -> NDArray[np.uint8]:
    with gzip.open(path) as stream:
        body = stream.read()
    dimensions = body[3]
    shape = struct.unpack_from(f">{dimensions}I", body, 4)
    return np.frombuffer(body, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
