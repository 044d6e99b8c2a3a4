"""Write a home folder into one archive: databases as of one moment, files as they are."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .contents import CONTENTS, FORMAT, files, is_database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

PIECE = 1 << 20


@dataclass(slots=True)
class Summary:
    """What a backup holds."""

    files: dict[str, str] = field(default_factory=dict)
    """sha256 of every file, by its place below the home folder."""
    size: int = 0
    """Bytes of all of them, before they are packed."""


def write(
    home: Path,
    target: Path,
    at: datetime,
    more: Mapping[str, Path],
    progress: Callable[[int, int], None] = lambda _files, _bytes: None,
) -> Summary:
    """Pack what is worth keeping of a home folder, and folders from elsewhere under the names that `more` gives them.

    The archive appears whole or not at all, readable by its owner alone: it holds keys and passwords.

    Raises:
        OSError: something cannot be read or written.
    """
    summary = Summary()
    descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=target.parent)
    partial = Path(name)
    try:
        with (
            os.fdopen(descriptor, "wb") as out,
            tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive,
            tempfile.TemporaryDirectory(prefix="cdl-backup-") as scratch,
        ):
            _fill(archive, home, more, Path(scratch) / "database", summary, progress)
            contents = {"format": FORMAT, "home": str(home), "at": at.isoformat(), "files": summary.files}
            _add(archive, CONTENTS, json.dumps(contents, indent=1, sort_keys=True).encode())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return summary


def _fill(
    archive: tarfile.TarFile,
    home: Path,
    more: Mapping[str, Path],
    copy: Path,
    summary: Summary,
    progress: Callable[[int, int], None],
) -> None:
    for path in files(home):
        name = path.relative_to(home).as_posix()
        if is_database(path):
            _snapshot(path, copy)
            _keep(archive, name, copy, path.stat().st_mode, summary)
        else:
            with contextlib.suppress(FileNotFoundError):  # went away meanwhile: it belonged to work that is over
                _keep(archive, name, path, path.stat().st_mode, summary)
        progress(len(summary.files), summary.size)
    for prefix, folder in more.items():
        for path in sorted(folder.rglob("*")):
            name = f"{prefix}/{path.relative_to(folder).as_posix()}"
            if path.is_dir():
                archive.add(path, name, recursive=False)
            elif path.is_file():
                _keep(archive, name, path, path.stat().st_mode, summary)
        progress(len(summary.files), summary.size)


def _snapshot(database: Path, target: Path) -> None:
    """Copy a database as of one moment, while others write to it."""
    target.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def _keep(archive: tarfile.TarFile, name: str, path: Path, mode: int, summary: Summary) -> None:
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(file.fileno()).st_size, mode & 0o777
        hashed = _Hashed(file, member.size)
        archive.addfile(member, hashed)
    summary.files[name] = hashed.digest
    summary.size += member.size


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


class _Hashed:
    """Hashes what is read through it; a file that grows meanwhile is read as far as it went at first."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()

    def read(self, size: int = PIECE) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        self._hash.update(piece)
        return piece

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
