"""The durable state: one SQLite file in one folder, written by one process."""

import contextlib
import errno
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from cdl.embedded.pachd.pulse import Pulse

SCHEMA = Path(__file__).with_name("schema.sql")
FORMAT = "1"


class FolderError(Exception):
    """The data folder cannot be used; the message is one sentence for the person who started the server."""


def now() -> int:
    """Tell the time in nanoseconds, as the wire's timestamps want it."""
    return time.time_ns()


def new_id() -> str:
    """Make a global id: a version 4 UUID without dashes."""
    return uuid.uuid4().hex


def is_full(error: BaseException) -> bool:
    """Tell whether an error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def lock_folder(folder: Path) -> int:
    """Make the folder ours alone; the lock dies with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderError(f"the folder {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise FolderError(f"another pachd is already using {folder}; stop it, or give --data another folder") from error
    return handle


class Store:
    """The database. Writes happen on the event loop's thread, whole and one at a time; threads may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = lock_folder(folder)
        self.file = folder / "pachd.sqlite"
        self.pulse = Pulse()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            self.db = self._open()
        except sqlite3.DatabaseError as error:
            raise FolderError(f"the database {self.file} cannot be opened: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self.file.touch(mode=0o600)  # it holds secrets
        self.file.chmod(0o600)
        db = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
        db.executescript(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768; PRAGMA journal_size_limit = 67108864;"
        )
        db.executescript(SCHEMA.read_text(encoding="utf-8"))
        db.execute("INSERT OR IGNORE INTO facts VALUES ('format', ?), ('cluster', ?)", (FORMAT, new_id()))
        db.execute("INSERT OR IGNORE INTO projects VALUES ('default', '', ?)", (now(),))
        found = db.execute("SELECT value FROM facts WHERE key = 'format'").fetchone()[0]
        if found != FORMAT:
            raise FolderError(f"the folder {self.folder} was written in format {found}; this server reads {FORMAT}")
        return db

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction; everybody who waits is woken when it is on disk."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:  # also a cancelled task must leave nothing half written
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self.pulse.beat()

    def reader(self) -> sqlite3.Connection:
        """Open (once a thread) a connection that only reads."""
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            self._local.db = found
            self._readers.append(found)
        return found

    def fact(self, key: str) -> str:
        """Read one of the store's own facts; empty when it was never written."""
        row = self.db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def close(self) -> None:
        """Close everything and give the folder back."""
        for reader in self._readers:
            reader.close()
        self.db.close()
        os.close(self._lock)
