"""What lies in the cache of datasets, and whether it is still what was fetched."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cdl.training.failures import TrainingError

CHECK = "CDL_CACHE_CHECK"
SIZES, CONTENTS = "sizes", "contents"

Kept = Mapping[str, tuple[int, str]]
"""Path below the folder to its size and its sha256."""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other processes out of what a file stands for."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def record_of(folder: Path) -> Path:
    """Name the file beside a cached version that says what was fetched."""
    return folder.with_name(f"{folder.name}.json")


def record(folder: Path, target: Path, digests: Mapping[str, str]) -> None:
    """Note what lies in a folder that is whole, before it becomes the target; digests that are known are not taken."""
    kept = {path: (size, digests.get(path) or sha256(folder / path)) for path, size in sizes(folder).items()}
    fresh = target.with_name(f".{target.name}.json")
    fresh.write_text(json.dumps(kept, sort_keys=True), encoding="utf-8")
    fresh.replace(record_of(target))


def recorded(folder: Path) -> Mapping[str, str]:
    """Tell the sha256 of every file of a version that was fetched; empty where nothing was noted."""
    return {path: content for path, (_, content) in (_recorded(folder) or {}).items()}


def fault(folder: Path) -> str:
    """Say what became of a cached version since it was fetched; empty: nothing.

    Sizes are compared each time. With `CDL_CACHE_CHECK=contents` every file is read again.
    """
    how = os.environ.get(CHECK, SIZES)
    if how not in {SIZES, CONTENTS}:
        raise TrainingError(f"{CHECK} is {how!r}, allowed is {SIZES} or {CONTENTS}")
    kept = _recorded(folder)
    if kept is None:
        return ""  # fetched by an older cdl, which noted nothing
    there = sizes(folder)
    for path in sorted(kept.keys() | there.keys()):
        if path not in there:
            return f"{path} is gone"
        if path not in kept:
            return f"{path} was put there"
        size, content = kept[path]
        if there[path] != size or (how == CONTENTS and sha256(folder / path) != content):
            return f"{path} was changed"
    return ""


def sizes(folder: Path) -> dict[str, int]:
    """Give every file below a folder with its size."""
    top = len(f"{folder}/")
    return {place[top:]: size for place, size in _walk(str(folder))}


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry.path, entry.stat(follow_symlinks=False).st_size


def _recorded(folder: Path) -> Kept | None:
    try:
        found = json.loads(record_of(folder).read_text(encoding="utf-8"))
        return {path: (int(size), str(content)) for path, (size, content) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def sha256(place: Path) -> str:
    """Hash a file."""
    with place.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
