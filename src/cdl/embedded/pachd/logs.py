"""What user code printed and what the engine did: one file of JSON lines per job."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cdl.embedded.pachd.store import now


@dataclass(frozen=True)
class Line:
    """One line of a job's log."""

    ts: int
    message: str
    user: bool = False
    master: bool = False
    datum: str = ""
    path: str = ""


class Logs:
    """Writes and reads the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "logs"
        self._folder.mkdir(exist_ok=True)
        self._open: dict[Path, BinaryIO] = {}

    def _path(self, pipeline: int, job: str) -> Path:
        return self._folder / str(pipeline) / f"{job}.jsonl"

    def add(self, pipeline: int, job: str, line: Line) -> None:
        """Append a line; a reader sees it at once. A line that the disk has no room for is lost, no job is."""
        body = {key: value for key, value in vars(line).items() if value}
        try:
            self._file(self._path(pipeline, job)).write(json.dumps(body).encode() + b"\n")
        except OSError as error:
            print(f"pachd: a line of job {job}'s log was lost: {error.strerror}", file=sys.stderr)

    def _file(self, path: Path) -> BinaryIO:
        """Open a job's file once; a line that a crash interrupted is ended first."""
        file = self._open.get(path)
        if file is None:
            path.parent.mkdir(exist_ok=True)
            torn = path.exists() and path.stat().st_size > 0 and not _ends_whole(path)
            file = self._open[path] = path.open("ab", buffering=0)
            if torn:
                file.write(b"\n")
        return file

    def say(self, pipeline: int, job: str, message: str, *, master: bool = False, datum: str = "") -> None:
        """Append a line of the engine's own."""
        self.add(pipeline, job, Line(now(), message, master=master, datum=datum))

    def done(self, pipeline: int, job: str) -> None:
        """Close a job's file."""
        file = self._open.pop(self._path(pipeline, job), None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Close every file."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def read(self, pipeline: int, job: str, offset: int = 0) -> Iterator[tuple[int, Line]]:
        """Give the whole lines from an offset on, each with the offset behind it."""
        try:
            file = self._path(pipeline, job).open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                offset += len(raw)
                try:
                    yield offset, Line(**json.loads(raw))
                except (json.JSONDecodeError, TypeError):
                    continue


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
