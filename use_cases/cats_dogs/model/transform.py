"""From stored pixels to the network's input. The one transform of training, evaluation and serving."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIDE = 150
CLASSES = ("cat", "dog")


def scaled(pixels: ArrayLike, side: int = SIDE) -> NDArray[np.float32]:
    """Turn colour pictures of values 0 to 255 into rows of numbers from 0 to 1; one picture alone becomes one row."""
    pictures = np.asarray(pixels)
    if pictures.ndim == 3:
        pictures = pictures[np.newaxis]
    if pictures.ndim != 4 or pictures.shape[1:] != (side, side, 3):
        raise ValueError(f"pictures have the shape {np.asarray(pixels).shape}, allowed is (n, {side}, {side}, 3)")
    return pictures.astype(np.float32) / np.float32(255)
