"""Make small look-alikes of the two halves: `python3 synthetic.py OUTDIR [--seed N]`.

`base.tar` and `transfer.tar` hold pictures in the folders `cat` and `dog`. A cat is lying stripes, a dog standing ones;
the two halves differ in their colours. Nothing in them is a photograph. The same seed makes the same bytes.
"""

import argparse
import io
import random
import struct
import tarfile
import zlib
from pathlib import Path

SIDE = 48
PICTURES = 50
"""How many a class and half get."""
CLASSES = ("cat", "dog")
HALVES = {"base.tar": ((150, 110, 70), (240, 220, 190)), "transfer.tar": ((60, 80, 120), (190, 210, 240))}
Colour = tuple[int, int, int]


def picture(label: str, dark: Colour, light: Colour, source: random.Random) -> bytes:
    """Draw stripes of a width and a beginning of their own, with noise on every pixel."""
    width, begin = source.randint(3, 7), source.randint(0, 13)
    rows, standing = [], label == "dog"
    for row in range(SIDE):
        line = bytearray()
        for column in range(SIDE):
            colour = dark if (((column if standing else row) + begin) // width) % 2 else light
            line += bytes(max(0, min(255, part + source.randint(-30, 30))) for part in colour)
        rows.append(bytes(line))
    return png(rows)


def png(rows: list[bytes]) -> bytes:
    """Write rows of red, green and blue as PNG."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", SIDE, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def write(folder: Path, seed: int) -> None:
    """Write both archives."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)  # noqa: S311 - pictures, no secrets
    for name, (dark, light) in HALVES.items():
        with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as archive:
            for label in CLASSES:
                for number in range(PICTURES):
                    body = picture(label, dark, light, source)
                    entry = tarfile.TarInfo(f"{label}/{label}.{number}.png")
                    entry.size = len(body)
                    archive.addfile(entry, io.BytesIO(body))


def main() -> None:
    """Write the look-alikes where the command line says."""
    parser = argparse.ArgumentParser(description="Make small look-alikes of the two halves of cats and dogs.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    write(chosen.outdir, chosen.seed)
    print(f"synthetic look-alike of cats and dogs: {len(HALVES)} times {len(CLASSES) * PICTURES} in {chosen.outdir}")


if __name__ == "__main__":
    main()
