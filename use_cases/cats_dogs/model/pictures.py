"""Read a dataset version: pictures in two folders, `cat` and `dog`, wherever those lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from transform import CLASSES, SIDE

ENDINGS = {".png", ".jpg", ".jpeg"}
TRAINING_SHARE = 0.8


@dataclass(frozen=True)
class Pictures:
    """Colour pixels 0 to 255 and, in step with them, 0 for a cat and 1 for a dog."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def split(self, seed: int) -> tuple["Pictures", "Pictures"]:
        """Draw the training part and the validation part: the same share of each class, the same rows for a seed."""
        training, validation = [], []
        for number in range(len(CLASSES)):
            rows = np.random.default_rng([seed, number]).permutation(np.flatnonzero(self.labels == number))
            cut = int(len(rows) * TRAINING_SHARE)
            training.append(rows[:cut])
            validation.append(rows[cut:])
        parts = [np.sort(np.concatenate(each)) for each in (training, validation)]
        return Pictures(self.pixels[parts[0]], self.labels[parts[0]]), Pictures(
            self.pixels[parts[1]], self.labels[parts[1]]
        )


def read(folder: Path, side: int = SIDE) -> Pictures:
    """Read every picture below the folder; one of another size is brought to the side."""
    found = sorted(place for place in folder.rglob("*") if place.suffix.lower() in ENDINGS)
    labelled = [(place, CLASSES.index(place.parent.name)) for place in found if place.parent.name in CLASSES]
    if not labelled:
        raise FileNotFoundError(f"{folder} holds no pictures in folders called {' and '.join(CLASSES)}")
    pixels = np.stack([_pixels(place, side) for place, _ in labelled])
    return Pictures(pixels, np.asarray([label for _, label in labelled], dtype=np.uint8))


def _pixels(place: Path, side: int) -> NDArray[np.uint8]:
    picture = tf.io.decode_image(place.read_bytes(), channels=3, expand_animations=False)
    if picture.shape[:2] != (side, side):
        picture = tf.cast(tf.round(tf.image.resize(picture, (side, side), antialias=True)), tf.uint8)
    pixels: NDArray[np.uint8] = picture.numpy()
    return pixels
