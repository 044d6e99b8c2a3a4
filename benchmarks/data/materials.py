"""The files that everybody is given: many small ones in a few folders, and one large one."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

FOLDERS = 5
SPREAD = 0.25
"""How far a size is from the mean at most, as a share of it."""
PIECE = 1 << 20


def small(folder: Path, count: int, size: int, seed: int = 7) -> Path:
    """Write so many files of about so many bytes; the same seed writes the same bytes."""
    draw = random.Random(seed)  # noqa: S311 - files to measure with, no secrets
    for number in range(count):
        place = folder / f"label{number % FOLDERS}" / f"{number:06}.txt"
        if number < FOLDERS:
            place.parent.mkdir(parents=True, exist_ok=True)
        length = round(size * (1 + SPREAD * (2 * draw.random() - 1)))
        place.write_bytes(draw.randbytes(length // 2 + 1).hex().encode()[:length])
    return folder


def changed(folder: Path, share: float, seed: int = 8) -> int:
    """Write other bytes into a share of the files; gives how many."""
    draw = random.Random(seed)  # noqa: S311 - as above
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    chosen = draw.sample(files, max(1, round(len(files) * share)))
    for place in chosen:
        place.write_bytes(draw.randbytes(place.stat().st_size // 2 + 1).hex().encode()[: place.stat().st_size])
    return len(chosen)


def large(folder: Path, mebibytes: int) -> Path:
    """Write one file that nothing can make smaller."""
    folder.mkdir(parents=True)
    with (folder / "large.bin").open("wb") as out:
        for _ in range(mebibytes):
            out.write(os.urandom(PIECE))
    return folder


def gone(*folders: Path) -> None:
    """Remove what a measurement has written."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
