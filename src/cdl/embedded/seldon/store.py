"""Objects and their history in SQLite: what was acknowledged is there after kill -9."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from cdl.embedded.seldon.fields import Object, key_of, meta
from cdl.embedded.seldon.objects import Event
from cdl.embedded.seldon.refusals import disk_full, gone

SCHEMA = """
CREATE TABLE IF NOT EXISTS version(only INTEGER PRIMARY KEY CHECK (only = 0), value INTEGER NOT NULL);
INSERT OR IGNORE INTO version VALUES (0, 1);
CREATE TABLE IF NOT EXISTS objects(
    namespace TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (namespace, name));
CREATE TABLE IF NOT EXISTS events(
    version INTEGER PRIMARY KEY, type TEXT NOT NULL, namespace TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS applied(
    namespace TEXT NOT NULL, name TEXT NOT NULL, applier TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (namespace, name, applier));
CREATE TABLE IF NOT EXISTS served(
    namespace TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (namespace, name));
"""
HISTORY = 2000  # events kept for watches that resume; older ones answer 410 and the watcher lists again


class Store:
    """The objects. Every change gets the next resource version and is told to everyone who listens."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(SCHEMA)
        self.listeners: set[Callable[[Event], None]] = set()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @property
    def version(self) -> int:
        """The newest resource version."""
        row = self._database.execute("SELECT value FROM version").fetchone()
        return int(row[0])

    def get(self, namespace: str, name: str) -> Object | None:
        """Give an object, or nothing."""
        row = self._database.execute(
            "SELECT document FROM objects WHERE namespace = ? AND name = ?", (namespace, name)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def everything(self, namespace: str = "") -> list[Object]:
        """List the objects of a namespace, or all."""
        rows = self._database.execute(
            "SELECT document FROM objects WHERE ?1 = '' OR namespace = ?1 ORDER BY namespace, name", (namespace,)
        )
        return [json.loads(row[0]) for row in rows]

    def put(self, document: Object, kind: str) -> Object:
        """Store an object; kind is ADDED or MODIFIED."""
        namespace, name = key_of(document)
        with self._writing() as write:
            stored = self._recorded(write, kind, document)
            write.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (namespace, name, json.dumps(stored)))
        self._tell(Event(kind, stored))
        return stored

    def report(self, document: Object, status: Object) -> None:
        """Store the status of an object."""
        self.put({**document, "status": status}, "MODIFIED")

    def remove(self, document: Object) -> Object:
        """Forget an object and everything kept about it."""
        key = key_of(document)
        with self._writing() as write:
            stored = self._recorded(write, "DELETED", document)
            for table in ("objects", "applied", "served"):
                write.execute(f"DELETE FROM {table} WHERE namespace = ? AND name = ?", key)  # noqa: S608 - our names
        self._tell(Event("DELETED", stored))
        return stored

    def since(self, version: int, namespace: str = "") -> list[Event]:
        """Give the changes after a version; raises Refusal 410 when they are no longer kept."""
        oldest = self._database.execute("SELECT min(version) FROM events").fetchone()[0]
        floor = self.version if oldest is None else int(oldest) - 1
        if version < floor or version > self.version:
            raise gone(f"too old resource version: {version} ({floor})")
        rows = self._database.execute(
            "SELECT type, document FROM events WHERE version > ?1 AND (?2 = '' OR namespace = ?2) ORDER BY version",
            (version, namespace),
        )
        return [Event(kind, json.loads(document)) for kind, document in rows]

    # -- what is kept beside an object --------------------------------------------------------------------------------

    def applied(self, namespace: str, name: str) -> dict[str, Object]:
        """Give what each applier last applied."""
        rows = self._database.execute(
            "SELECT applier, document FROM applied WHERE namespace = ? AND name = ?", (namespace, name)
        )
        return {applier: json.loads(document) for applier, document in rows}

    def remember_applied(self, namespace: str, name: str, applied: dict[str, Object]) -> None:
        """Keep what each applier owns now."""
        with self._writing() as write:
            write.execute("DELETE FROM applied WHERE namespace = ? AND name = ?", (namespace, name))
            write.executemany(
                "INSERT INTO applied VALUES (?, ?, ?, ?)",
                [(namespace, name, applier, json.dumps(document)) for applier, document in applied.items()],
            )

    def served(self, namespace: str, name: str) -> Object | None:
        """Give the object as it was when it was last fully ready."""
        row = self._database.execute(
            "SELECT document FROM served WHERE namespace = ? AND name = ?", (namespace, name)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def remember_served(self, document: Object) -> None:
        """Keep the object as the one that is served, so that a restart can serve it again."""
        with self._writing() as write:
            write.execute("INSERT OR REPLACE INTO served VALUES (?, ?, ?)", (*key_of(document), json.dumps(document)))

    def all_served(self) -> list[Object]:
        """List what was served, so that a restart can serve it before anybody says what there is."""
        return [json.loads(row[0]) for row in self._database.execute("SELECT document FROM served")]

    def forget_served(self, namespace: str, name: str) -> None:
        """Forget what was served: the object is gone."""
        with self._writing() as write:
            write.execute("DELETE FROM served WHERE namespace = ? AND name = ?", (namespace, name))

    # -- writing ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._undo()
            raise disk_full(str(error)) from error
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # a failed BEGIN or COMMIT has undone itself
            self._database.execute("ROLLBACK")

    def _recorded(self, write: sqlite3.Connection, kind: str, document: Object) -> Object:
        version = self.version + 1
        write.execute("UPDATE version SET value = ?", (version,))
        stored = {**document, "metadata": {**meta(document), "resourceVersion": str(version)}}
        write.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (version, kind, key_of(stored)[0], json.dumps(stored)))
        write.execute("DELETE FROM events WHERE version <= ?", (version - HISTORY,))
        return stored

    def _tell(self, event: Event) -> None:
        for listener in list(self.listeners):
            listener(event)
