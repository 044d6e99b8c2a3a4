"""From stored pixels to the network's input. The one transform of training, evaluation and serving."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIDE = 28
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def scaled(pixels: ArrayLike) -> NDArray[np.float32]:
    """Turn images of grey values 0 to 255 into rows of 28 x 28 numbers from 0 to 1; one image alone becomes one row."""
    images = np.asarray(pixels)
    if images.ndim == 2 and images.shape == (SIDE, SIDE):
        images = images[np.newaxis]
    if images.ndim not in {2, 3, 4} or images.size != len(images) * SIDE * SIDE:
        raise ValueError(f"images have the shape {images.shape}, allowed is (n, {SIDE}, {SIDE})")
    return images.reshape(-1, SIDE, SIDE).astype(np.float32) / np.float32(255)
