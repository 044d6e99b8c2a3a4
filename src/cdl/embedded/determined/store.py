"""The durable state: one SQLite file, written ahead and synced before any answer."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdl.embedded.determined.fields import Tree

Value = str | int | float | bytes | None

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL,
    admin INTEGER NOT NULL, active INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS model_defs (digest TEXT PRIMARY KEY, tgz BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, config TEXT NOT NULL,
    original TEXT NOT NULL, search TEXT NOT NULL, model_def TEXT NOT NULL,
    user_id INTEGER NOT NULL, start_time REAL NOT NULL, end_time REAL,
    archived INTEGER NOT NULL DEFAULT 0, notes TEXT NOT NULL DEFAULT '', parent_id INTEGER,
    progress REAL NOT NULL DEFAULT 0, tidied INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY AUTOINCREMENT, experiment_id INTEGER NOT NULL, request_id TEXT NOT NULL,
    task_id TEXT NOT NULL UNIQUE, seed INTEGER NOT NULL, hparams TEXT NOT NULL,
    state TEXT NOT NULL, restarts INTEGER NOT NULL DEFAULT 0, run_id INTEGER NOT NULL DEFAULT 0,
    start_time REAL NOT NULL, end_time REAL, queued_at REAL NOT NULL,
    runner_state TEXT NOT NULL DEFAULT '', progress REAL NOT NULL DEFAULT 0,
    invalid_hp INTEGER NOT NULL DEFAULT 0, metadata TEXT NOT NULL DEFAULT '{}',
    warm_start TEXT);
CREATE INDEX IF NOT EXISTS trials_experiment ON trials (experiment_id);
CREATE TABLE IF NOT EXISTS allocations (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL, trial_id INTEGER NOT NULL, run_id INTEGER NOT NULL,
    state TEXT NOT NULL, token TEXT UNIQUE NOT NULL, slot_ids TEXT NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0, acked INTEGER NOT NULL DEFAULT 0,
    nudged INTEGER NOT NULL DEFAULT 0, preempted_at REAL, killed INTEGER NOT NULL DEFAULT 0,
    pid INTEGER, start_time REAL NOT NULL, launched_at REAL, end_time REAL, exit_code INTEGER,
    exit_reason TEXT);
CREATE INDEX IF NOT EXISTS allocations_trial ON allocations (trial_id);
CREATE INDEX IF NOT EXISTS allocations_live ON allocations (state) WHERE state != 'TERMINATED';
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, trial_id INTEGER NOT NULL, run_id INTEGER NOT NULL,
    kind TEXT NOT NULL, steps INTEGER NOT NULL, metrics TEXT NOT NULL, batches TEXT,
    end_time REAL NOT NULL, archived INTEGER NOT NULL DEFAULT 0,
    UNIQUE (trial_id, run_id, kind, steps));
CREATE TABLE IF NOT EXISTS checkpoints (
    uuid TEXT PRIMARY KEY, trial_id INTEGER, task_id TEXT NOT NULL, allocation_id TEXT,
    state TEXT NOT NULL, resources TEXT NOT NULL, metadata TEXT NOT NULL, steps INTEGER NOT NULL,
    report_time REAL NOT NULL, storage_id INTEGER);
CREATE INDEX IF NOT EXISTS checkpoints_trial ON checkpoints (trial_id);
CREATE TABLE IF NOT EXISTS storages (id INTEGER PRIMARY KEY, config TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, description TEXT NOT NULL,
    metadata TEXT NOT NULL, labels TEXT NOT NULL, notes TEXT NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0, user_id INTEGER NOT NULL, created REAL NOT NULL,
    updated REAL NOT NULL, last_version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS model_versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, version INTEGER NOT NULL,
    checkpoint TEXT NOT NULL, name TEXT NOT NULL, comment TEXT NOT NULL, notes TEXT NOT NULL,
    metadata TEXT NOT NULL, labels TEXT NOT NULL, user_id INTEGER NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, UNIQUE (model_id, version));
CREATE TABLE IF NOT EXISTS workspaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, user_id INTEGER NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0, immutable INTEGER NOT NULL DEFAULT 0,
    storage TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, workspace_id INTEGER NOT NULL, name TEXT NOT NULL,
    key TEXT UNIQUE NOT NULL, description TEXT NOT NULL DEFAULT '', user_id INTEGER NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0, immutable INTEGER NOT NULL DEFAULT 0,
    notes TEXT NOT NULL DEFAULT '[]', UNIQUE (workspace_id, name));
CREATE TABLE IF NOT EXISTS templates (
    name TEXT PRIMARY KEY, config TEXT NOT NULL, workspace_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, url TEXT NOT NULL, kind TEXT NOT NULL,
    mode TEXT NOT NULL, workspace_id INTEGER NOT NULL, triggers TEXT NOT NULL,
    UNIQUE (name, workspace_id));
CREATE TABLE IF NOT EXISTS webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id INTEGER NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trial_sources (
    trial_id INTEGER NOT NULL, checkpoint TEXT NOT NULL, model_id INTEGER, version INTEGER,
    kind TEXT NOT NULL, UNIQUE (trial_id, checkpoint, model_id, version, kind));
INSERT OR IGNORE INTO workspaces (id, name, user_id, immutable) VALUES (1, 'Uncategorized', 1, 1);
INSERT OR IGNORE INTO projects (id, workspace_id, name, key, user_id, immutable)
    VALUES (1, 1, 'Uncategorized', 'UNCAT', 1, 1);
"""


# What tables of earlier versions lack.
ADDED = (
    ("users", "display_name", "TEXT NOT NULL DEFAULT ''"),
    ("users", "remote", "INTEGER NOT NULL DEFAULT 0"),
    ("experiments", "project_id", "INTEGER NOT NULL DEFAULT 1"),
    ("models", "workspace_id", "INTEGER NOT NULL DEFAULT 1"),
)


class Store:
    """One connection; a transaction may be opened inside another and joins it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._depth = 0
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=1000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)
        for table, column, kind in ADDED:
            if column not in {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside durable together, or not at all."""
        if self._depth:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK") if self._db.in_transaction else None
            raise
        else:
            self._commit()
        finally:
            self._depth -= 1

    def rows(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Return every row."""
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """Return the first row."""
        found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return found

    def run(self, sql: str, *values: Value) -> int:
        """Run a statement and return how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def insert(self, table: str, **values: Value) -> int:
        """Insert a row and return its row id; table and columns come from code, never a client."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        cursor = self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names from code
            list(values.values()),
        )
        return cursor.lastrowid or 0

    def update(self, table: str, key: str | int, **values: Value) -> None:
        """Change columns of the row with this id (uuid for checkpoints)."""
        names = ", ".join(f"{name} = ?" for name in values)
        column = "uuid" if table == "checkpoints" else "id"
        self._db.execute(
            f"UPDATE {table} SET {names} WHERE {column} = ?",  # noqa: S608 - names from code
            [*values.values(), key],
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            # A full disk shows here; the statement leaves the transaction open.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def dump(value: object) -> str:
    """Write JSON for a column."""
    return json.dumps(value, separators=(",", ":"))


def load(text: str) -> Tree:
    """Read a JSON object from a column."""
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
