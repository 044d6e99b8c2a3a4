"""The SQLite file: opened once, shared by threads, shared with other processes; its errors leave as ours."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cdl.ports.errors import NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 10
"""How long a writer waits for another process to finish its transaction."""
APPLICATION = 0x63646C31
"""Stands in the file's header, so that another program's database is never taken for ours."""
FORMAT = 1
SCHEMA = (
    """CREATE TABLE resource (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        version INTEGER NOT NULL,
        document TEXT NOT NULL,
        status TEXT NOT NULL,
        applied TEXT NOT NULL,
        PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX resource_version ON resource (version)",
    """CREATE TABLE gone (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID""",
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)


class File:
    """One connection behind one lock: every use is short, and a thread more would only wait inside SQLite."""

    def __init__(self, path: Path) -> None:
        """Open the file and make it ours when it is new.

        Raises:
            Rejected: the file is something else, damaged, or of a newer cdl.
            NotPermitted: it may not be read or written.
            Unavailable: another process holds it, or the disk is full.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{path.parent}: cannot be made a folder for the resources: {error.strerror}"
            raise NotPermitted(message) from error
        with self._door():
            self._connection = sqlite3.connect(
                path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._door():
                self._prepare()
        except PortError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Give the file back; what was written stays written."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one state of the file."""
        with self._lock, self._door():
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write everything of the block or nothing."""
        with self._lock, self._door():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _prepare(self) -> None:
        self._check_owner()
        self._into_wal()
        self._connection.execute("PRAGMA synchronous = FULL")
        if self._pragma("application_id") == APPLICATION:
            return
        with self.writing() as connection:  # another process may have been faster
            if self._pragma("application_id") != APPLICATION:
                for statement in SCHEMA:
                    connection.execute(statement)

    def _check_owner(self) -> None:
        # In this order: another process may make the file ours, all at once, between two of these lines.
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        written, owner = self._pragma("user_version"), self._pragma("application_id")
        if owner == APPLICATION and written > FORMAT:
            message = f"{self.path}: written by a newer cdl (format {written}, this one reads up to {FORMAT})"
            raise Rejected(message)
        if owner != APPLICATION and (owner or tables):
            message = f"{self.path}: is a database of another program; move it away or set another CDL_HOME"
            raise Rejected(message)

    def _into_wal(self) -> None:
        """Switch to write-ahead logging; SQLite does not wait here while another process does the same."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _door(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._ours(error) from error

    def _ours(self, error: sqlite3.DatabaseError) -> Exception:
        name = getattr(error, "sqlite_errorname", "") or ""
        kind = "_".join(name.split("_")[:2])
        match kind:
            case "SQLITE_BUSY" | "SQLITE_LOCKED":
                return Unavailable(f"{self.path}: another process has been writing for {PATIENCE_SECONDS} s")
            case "SQLITE_FULL":
                return Unavailable(f"{self.path}: the disk is full; nothing was changed")
            case "SQLITE_IOERR":
                return Unavailable(f"{self.path}: the disk does not answer: {error}")
            case "SQLITE_CANTOPEN" | "SQLITE_READONLY" | "SQLITE_PERM" | "SQLITE_AUTH":
                return NotPermitted(f"{self.path}: cannot be opened for writing: {error}")
            case "SQLITE_NOTADB" | "SQLITE_CORRUPT" | "SQLITE_ERROR" | "SQLITE_SCHEMA":
                return Rejected(f"{self.path}: is not a store of cdl or is damaged ({error}); move it away")
        return error
