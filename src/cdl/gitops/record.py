"""What `cdl gitops` says of itself: one small file, replaced whole. A report: only sentences hang on it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from cdl.api.meta import Frozen
from cdl.reconcile.gitops import State

REMEMBERED = 10


class Told(Frozen):
    """How a commit ended."""

    revision: str
    state: State
    message: str
    at: str


class Record(Frozen):
    """One repository, branch and path: how it stands."""

    project: str
    repository: str
    branch: str
    path: str
    state: State = State.WAITING
    message: str = ""
    head: str = ""
    last_attempted: str = ""
    last_applied: str = ""
    inventory: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    """What the last look wrote or deleted."""
    drift: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    history: tuple[Told, ...] = ()
    """The last commits, the newest first."""

    def told(self, state: State, message: str, at: str, **more: object) -> Record:
        """Give the record after a look; the history grows only with what is new."""
        made = self.model_copy(update={"state": state, "message": message, "changes": (), **more})
        newest = self.history[0] if self.history else None
        if not made.changes and newest is not None and (newest.revision, newest.state) == (made.head, state):
            return made
        message = "; ".join((message, *made.changes))
        line = Told(revision=made.head, state=state, message=message, at=at)
        return made.model_copy(update={"history": (line, *self.history)[:REMEMBERED]})


class Book:
    """Keeps the record in a file."""

    def __init__(self, path: Path, blank: Record) -> None:
        """Keep it there; `blank` is what is known before the first look."""
        self._path = path
        self._blank = blank

    def read(self) -> Record:
        """Give what was written last; a file that cannot be read, or is about something else, is as good as none."""
        try:
            found = Record.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return self._blank
        same = all(getattr(found, n) == getattr(self._blank, n) for n in ("project", "repository", "branch", "path"))
        return found if same else self._blank

    def write(self, record: Record) -> None:
        """Replace the file, unless it says this already."""
        if self._path.exists() and self.read() == record:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = record.model_dump_json(by_alias=True, indent=2)
        with tempfile.NamedTemporaryFile("w", dir=self._path.parent, prefix=".status-", delete=False) as file:
            file.write(f"{content}\n")
        os.replace(file.name, self._path)  # noqa: PTH105 - the name is text, and one call says it
