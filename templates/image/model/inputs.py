"""From files to numbers: the one transform of training, evaluation and serving. Change this first."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 28
CLASSES = ("left", "middle", "top")
"""What the numbers in the files of labels mean."""


def read(folder: Path) -> tuple[list[object], list[str]]:
    """Give the grey images below a folder, and their classes."""
    images, labels = _array(folder, "*images-idx3-ubyte.gz"), _array(folder, "*labels-idx1-ubyte.gz")
    if len(images) != len(labels):
        raise ValueError(f"{folder} holds {len(images)} images but {len(labels)} labels; every image needs one label")
    return list(images), [CLASSES[number] for number in labels]


def features(items: Sequence[object]) -> NDArray[np.float64]:
    """Turn grey values 0 to 255 into rows of 28 x 28 numbers from 0 to 1."""
    images = np.asarray(items, dtype=float)
    if images.size != len(images) * SIDE * SIDE:
        raise ValueError(f"images have the shape {images.shape}, allowed is (n, {SIDE}, {SIDE})")
    return images.reshape(-1, SIDE * SIDE) / 255


def _array(folder: Path, pattern: str) -> NDArray[np.uint8]:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} holds {len(found)} files {pattern}, exactly one is needed")
    with gzip.open(found[0]) as stream:
        body = stream.read()
    dimensions = body[3]
    shape = struct.unpack_from(f">{dimensions}I", body, 4)
    return np.frombuffer(body, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
