"""Make a data set to try everything on, without a download: `python3 synthetic.py OUTDIR [--seed N]`.

Grey images of 28 x 28 pixels, in MNIST's format: bright at the left, in the middle or at the top, under noise. The same
seed makes the same bytes.
"""

import argparse
import gzip
import random
import struct
from pathlib import Path

SIDE = 28
ROWS = {"train": 300, "t10k": 90}
PLACES = (((0, 28), (0, 12)), ((8, 20), (8, 20)), ((0, 12), (0, 28)))
"""Rows and columns that are bright, for each class in the order of its number."""


def image(label: int, source: random.Random) -> bytes:
    """Draw one image of a class, of some brightness, with noise on every pixel."""
    (top, bottom), (left, right) = PLACES[label]
    light, noise = source.randint(90, 190), source.randbytes(SIDE * SIDE)
    bright = [top <= row < bottom and left <= column < right for row in range(SIDE) for column in range(SIDE)]
    return bytes(light * on + grain // 4 for on, grain in zip(bright, noise, strict=True))


def write(folder: Path, seed: int = 0) -> list[Path]:
    """Write what the DataPipeline's sources name."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    made = []
    for prefix, rows in ROWS.items():
        labels = source.sample([row % len(PLACES) for row in range(rows)], rows)
        pixels = b"".join(image(label, source) for label in labels)
        made.append(
            _pack(folder / f"{prefix}-images-idx3-ubyte.gz", struct.pack(">4I", 0x803, rows, SIDE, SIDE) + pixels)
        )
        made.append(_pack(folder / f"{prefix}-labels-idx1-ubyte.gz", struct.pack(">2I", 0x801, rows) + bytes(labels)))
    return made


def unpacked(folder: Path, seed: int = 0) -> None:
    """Write the files as a trial gets them: those of one side."""
    for path in write(folder, seed):
        if not path.name.startswith("train"):
            path.unlink()


def _pack(path: Path, body: bytes) -> Path:
    path.write_bytes(gzip.compress(body, mtime=0))
    return path


def main() -> None:
    """Write where the command line says."""
    parser = argparse.ArgumentParser(description="Make a synthetic data set of images.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"synthetic images in {', '.join(map(str, write(chosen.outdir, chosen.seed)))}")


if __name__ == "__main__":
    main()
