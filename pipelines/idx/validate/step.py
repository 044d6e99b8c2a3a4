"""Hold idx files (the format of MNIST and Fashion-MNIST) against their own headers; pass sound ones on unchanged.

Each `.gz` must unpack to the end, start with the right magic number and hold exactly what its header announces;
labels lie in 0..9 and every folder has as many labels as images.
"""

import gzip
import struct
import sys
import zlib
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

IMAGES, LABELS = 0x00000803, 0x00000801
HIGHEST_LABEL = 9


def unpack(name: str, raw: bytes) -> bytes:
    """Return what the gzip file holds, or say how it is broken."""
    if not raw:
        raise pfs.StepError(f"{name}: truncated gzip: the file is empty")
    try:
        return gzip.decompress(raw)
    except EOFError as error:
        raise pfs.StepError(f"{name}: truncated gzip: the file ends before its data does ({len(raw)} bytes)") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise pfs.StepError(f"{name}: broken gzip: {error}") from error


def _counted(name: str, body: bytes, dimensions: int) -> tuple[int, ...]:
    header = 4 + 4 * dimensions
    if len(body) < header:
        raise pfs.StepError(f"{name}: idx header cut off: {len(body)} bytes, at least {header} expected")
    sizes: tuple[int, ...] = struct.unpack(f">{dimensions}I", body[4:header])
    expected = header
    cells = 1
    for size in sizes:
        cells *= size
    expected += cells
    if len(body) != expected:
        raise pfs.StepError(
            f"{name}: idx size is {len(body)} bytes, its header announces {expected} ({' x '.join(map(str, sizes))})"
        )
    return sizes


def inspect(name: str, body: bytes) -> tuple[str, int]:
    """Tell whether the file holds images or labels, and how many."""
    magic = int.from_bytes(body[:4], "big")
    if magic == IMAGES:
        return "images", _counted(name, body, 3)[0]
    if magic != LABELS:
        raise pfs.StepError(
            f"{name}: idx magic is 0x{magic:08x}, allowed are 0x{IMAGES:08x} (images) and 0x{LABELS:08x} (labels)"
        )
    count = _counted(name, body, 1)[0]
    highest = max(body[8:], default=0)
    if highest > HIGHEST_LABEL:
        raise pfs.StepError(
            f"{name}: label {highest} at row {body.index(highest, 8) - 8}, allowed are 0 to {HIGHEST_LABEL}"
        )
    return "labels", count


def work(report: pfs.Report) -> None:
    """Verify one datum's idx files."""
    folders: dict[str, dict[str, int]] = defaultdict(lambda: {"images": 0, "labels": 0})
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if not name.endswith(".gz"):
            report.reject(name, "not-idx", f"{name} is no .gz file")
            continue
        kind, count = inspect(name, unpack(name, raw))
        folders[name.rpartition("/")[0]][kind] += count
        pfs.deliver(name, raw)
        report.accept(rows=count if kind == "labels" else 0)
    for folder, counts in folders.items():
        # A datum that is one file alone has nothing to be compared with.
        if all(counts.values()) and counts["images"] != counts["labels"]:
            raise pfs.StepError(
                f"/{folder}: {counts['images']} images but {counts['labels']} labels; every image needs one label"
            )


if __name__ == "__main__":
    pfs.run("validate", work)
