"""Where results of transforms lie: each whole or not at all, compared with what was kept, the oldest given up first."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cdl.training import cache, values
from cdl.training.failures import TrainingError

MEBI = 1 << 20
NOTE = "entry.json"
PARTIAL = ".partial-"


_USED: dict[Path, int] = {}
"""Descriptors, open for as long as this process lives: others see by them that a folder is being read."""


class DamagedError(Exception):
    """What lies there is not what was kept."""


@dataclass(frozen=True)
class Found:
    """A result that was kept, and the seconds that computing it took."""

    value: object
    seconds: float


class Shelf:
    """A folder of results; several processes may use it at once."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Take the folder, and how many bytes may lie there."""
        self._folder = folder
        self._limit = limit
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"results of transforms cannot be kept below {folder}: {error.strerror}") from error

    def alone(self, key: str) -> AbstractContextManager[None]:
        """Keep other processes away from one result."""
        return cache.alone(self._folder / f"{key}.lock")

    def use(self, key: str) -> None:
        """Keep a result from being given up for as long as this process lives; its lock is held."""
        place = self._folder / f"{key}.used"
        if place not in _USED:
            _USED[place] = os.open(place, os.O_WRONLY | os.O_CREAT, 0o666)
            fcntl.flock(_USED[place], fcntl.LOCK_SH)

    def load(self, key: str) -> Found | None:
        """Read a result; None: it is not there.

        Raises:
            DamagedError: a file of it is not what was kept.
        """
        place = self._folder / key
        if not place.is_dir():
            return None
        try:
            note = json.loads((place / NOTE).read_text(encoding="utf-8"))
            entry: Mapping[str, object] = note["entry"]
            if note["sha256"] != _digest(entry):
                raise DamagedError(f"{NOTE} was changed")
            _compare(place, entry["files"])
            if entry["paths"]:
                self.use(key)
            found = Found(values.read(place, entry["value"]), float(str(entry["seconds"])))
            os.utime(place / NOTE)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"it cannot be read: {error}") from error
        return found

    def drop(self, key: str) -> None:
        """Remove what is damaged; its lock is held."""
        shutil.rmtree(self._folder / key)

    def keep(self, key: str, name: str, value: object, about: Mapping[str, object]) -> tuple[int, object]:
        """Keep a result; gives its bytes, and the value with paths into what was kept; its lock is held.

        Raises:
            TrainingError: it cannot be written safely, or is more than may lie there.
            OSError: the disk does not take it.
        """
        partial, place = self._folder / f"{PARTIAL}{key}", self._folder / key
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            writer = values.Writer(partial, name)
            written = writer.write(value)
            files = {path: (size, cache.sha256(partial / path)) for path, size in cache.sizes(partial).items()}
            entry = {**about, "value": written, "files": files, "paths": writer.has_paths}
            (partial / NOTE).write_text(json.dumps({"sha256": _digest(entry), "entry": entry}), encoding="utf-8")
            size = sum(size for size, _ in files.values())
            if size <= self._limit:
                partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        if size > self._limit:
            return size, value
        if not writer.has_paths:
            return size, value
        self.use(key)
        return size, values.read(place, written)

    def make_room(self, newest: str) -> int:
        """Give up results until the rest is within the limit, the longest unused first, none in use; counts them."""
        there = sorted(self._entries(), key=lambda entry: entry[1])
        total, count = sum(size for _, _, size in there), 0
        for name, _, size in there:
            if total <= self._limit and not name.startswith(PARTIAL):
                continue
            if name != newest and self._give_up(name):
                total, count = total - size, count + 1
        return count

    def _entries(self) -> Iterator[tuple[str, float, int]]:
        """Name every result with the time of its last use and its bytes; others may remove it meanwhile."""
        for place in self._folder.iterdir():
            try:
                if place.is_dir():
                    used = 0.0 if place.name.startswith(PARTIAL) else (place / NOTE).stat().st_mtime
                    yield place.name, used, sum(cache.sizes(place).values())
            except FileNotFoundError:
                continue

    def _give_up(self, name: str) -> bool:
        """Remove a result, or what a process that died left of one, if nobody is at work on it or reads it."""
        key = name.removeprefix(PARTIAL)
        with (self._folder / f"{key}.lock").open("w") as made, (self._folder / f"{key}.used").open("w") as used:
            try:
                fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            shutil.rmtree(self._folder / name, ignore_errors=True)
            return True


def _compare(place: Path, kept: object) -> None:
    """See that a folder holds exactly what was kept, byte by byte."""
    there = cache.sizes(place)
    there.pop(NOTE, None)
    if not isinstance(kept, Mapping):
        raise DamagedError("its files are not named")
    for path in sorted(there.keys() | kept.keys()):
        if path not in there or path not in kept:
            raise DamagedError(f"{path} {'was put there' if path in there else 'is gone'}")
        if [there[path], cache.sha256(place / path)] != list(kept[path]):
            raise DamagedError(f"{path} was changed")


def _digest(entry: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
