"""The durable state beside the repositories: documents by kind in one SQLite file, synced before any answer."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS things (
    kind TEXT NOT NULL, id INTEGER NOT NULL, project INTEGER NOT NULL, lookup TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, id));
CREATE INDEX IF NOT EXISTS things_lookup ON things (kind, project, lookup);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refs (
    project INTEGER NOT NULL, name TEXT NOT NULL, sha TEXT NOT NULL, PRIMARY KEY (project, name));
CREATE TABLE IF NOT EXISTS pushing (project INTEGER PRIMARY KEY, user INTEGER NOT NULL);
"""
LOOKUP = {
    "user": "username",
    "project": "path_with_namespace",
    "member": "user_id",
    "protected_branch": "name",
    "status": "sha",
    "merge_request": "iid",
    "version": "merge_request_id",
    "note": "noteable_iid",
    "approval": "merge_request_id",
    "approval_rule": "name",
    "pipeline": "sha",
    "job": "pipeline_id",
    "variable": "key",
    "environment": "name",
    "deployment": "iid",
    "upload": "secret",
    "delivery": "state",
}
"""By which field the documents of a kind are found; the others are found by project and id."""


class Store:
    """One connection, one user at a time; a transaction opened inside another joins it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self.lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._depth = 0
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=1000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside durable together, or not at all."""
        with self.lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def add(self, kind: str, document: Tree) -> Tree:
        """Keep a new document and give it an id."""
        with self.transaction():
            found = {"id": self.count(kind), **document}
            self._db.execute("INSERT INTO things VALUES (?, ?, ?, ?, ?)", _row(kind, found))
            return found

    def put(self, kind: str, document: Tree) -> None:
        """Keep a document that changed."""
        with self.lock:
            self._db.execute("REPLACE INTO things VALUES (?, ?, ?, ?, ?)", _row(kind, document))

    def get(self, kind: str, number: int) -> Tree | None:
        """Give the document with an id."""
        return self._first("SELECT document FROM things WHERE kind = ? AND id = ?", (kind, number))

    def by(self, kind: str, project: int, lookup: object) -> Tree | None:
        """Give the first document of a project that is found by the field of its kind."""
        found = self.all(kind, project, lookup)
        return found[0] if found else None

    def all(self, kind: str, project: int | None = None, lookup: object = None) -> list[Tree]:
        """Give the documents of a kind, oldest first."""
        wanted = [("kind", kind), ("project", project), ("lookup", None if lookup is None else str(lookup))]
        given = [(name, value) for name, value in wanted if value is not None]
        where = " AND ".join(f"{name} = ?" for name, _ in given)
        # The names of the columns are written above.
        sql = f"SELECT document FROM things WHERE {where} ORDER BY id"  # noqa: S608 - nothing of it comes from outside
        with self.lock:
            return [json.loads(row[0]) for row in self._db.execute(sql, [value for _, value in given])]

    def remove(self, kind: str, number: int) -> None:
        """Forget a document."""
        with self.lock:
            self._db.execute("DELETE FROM things WHERE kind = ? AND id = ?", (kind, number))

    def count(self, name: str) -> int:
        """Give the next number of a counter, never the same twice."""
        with self.lock:
            row = self._db.execute(
                "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last",
                (name,),
            ).fetchone()
            return int(row[0])

    def refs(self, project: int) -> dict[str, str]:
        """Give the branches and tags that were told of, by their full name."""
        with self.lock:
            return dict(self._db.execute("SELECT name, sha FROM refs WHERE project = ?", (project,)).fetchall())

    def told(self, project: int, name: str, sha: str) -> None:
        """Remember where a ref points, an empty sha that it is gone."""
        with self.lock:
            self._db.execute("DELETE FROM refs WHERE project = ? AND name = ?", (project, name))
            if sha:
                self._db.execute("INSERT INTO refs VALUES (?, ?, ?)", (project, name, sha))

    def begin_push(self, project: int, user: int) -> None:
        """Remember who is about to push, in case nobody is here when it has happened."""
        with self.lock:
            self._db.execute("REPLACE INTO pushing VALUES (?, ?)", (project, user))

    def end_push(self, project: int) -> None:
        """Forget who pushed."""
        with self.lock:
            self._db.execute("DELETE FROM pushing WHERE project = ?", (project,))

    def pusher(self, project: int) -> int | None:
        """Say who pushed when the server went away."""
        with self.lock:
            row = self._db.execute("SELECT user FROM pushing WHERE project = ?", (project,)).fetchone()
        return int(row[0]) if row else None

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._db.close()

    def _first(self, sql: str, values: tuple[str | int, ...]) -> Tree | None:
        with self.lock:
            row = self._db.execute(sql, values).fetchone()
        return json.loads(row[0]) if row else None


def _row(kind: str, document: Tree) -> tuple[str, int, int, str, str]:
    lookup = str(document.get(LOOKUP.get(kind, "id"), ""))
    return kind, document["id"], document.get("project_id", 0), lookup, json.dumps(document)


def now() -> str:
    """Write the present as GitLab does."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
