"""Make a small look-alike of Fashion-MNIST: `python3 synthetic.py OUTDIR [--seed N]`.

The files have Fashion-MNIST's names and format, and every class a pattern that a network can learn; nothing in them is
a photograph. The same seed makes the same bytes.
"""

import argparse
import gzip
import random
import struct
from pathlib import Path

SIDE = 28
CLASSES = 10
ROWS = {"train": 2_000, "t10k": 400}
COARSE = 7


def patterns(source: random.Random) -> list[bytes]:
    """Draw one coarse picture a class and enlarge it to full size."""
    drawn = []
    for _ in range(CLASSES):
        cells = [[source.choice((0, 60, 140, 220)) for _ in range(COARSE)] for _ in range(COARSE)]
        step = SIDE // COARSE
        drawn.append(bytes(cells[row // step][column // step] for row in range(SIDE) for column in range(SIDE)))
    return drawn


def image(pattern: bytes, source: random.Random) -> bytes:
    """Vary a class's picture: another brightness, and noise on every pixel."""
    strength = source.uniform(0.6, 1.0)
    noise = source.randbytes(len(pattern))
    return bytes(min(255, int(pixel * strength) + grain // 4) for pixel, grain in zip(pattern, noise, strict=True))


def write(folder: Path, seed: int) -> None:
    """Write the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)  # noqa: S311 - pictures, no secrets
    pictures = patterns(source)
    for prefix, rows in ROWS.items():
        labels = bytes(row % CLASSES for row in range(rows))
        order = source.sample(labels, rows)
        pixels = b"".join(image(pictures[label], source) for label in order)
        _pack(folder / f"{prefix}-images-idx3-ubyte.gz", struct.pack(">4I", 0x803, rows, SIDE, SIDE) + pixels)
        _pack(folder / f"{prefix}-labels-idx1-ubyte.gz", struct.pack(">2I", 0x801, rows) + bytes(order))


def _pack(path: Path, body: bytes) -> None:
    path.write_bytes(gzip.compress(body, mtime=0))


def main() -> None:
    """Write the look-alike where the command line says."""
    parser = argparse.ArgumentParser(description="Make a small look-alike of Fashion-MNIST.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    write(chosen.outdir, chosen.seed)
    print(f"synthetic Fashion-MNIST look-alike: {ROWS['train']} + {ROWS['t10k']} images in {chosen.outdir}")


if __name__ == "__main__":
    main()
