"""Releases as tables of a database in memory, for one question that only reads."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sqlite3
import time
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release

TABLES = {
    "releases": (
        "name TEXT, namespace TEXT, model TEXT, version INTEGER, digest TEXT, made TEXT, experiment TEXT, "
        "revision TEXT, data TEXT, run TEXT, trial INTEGER, searcher_metric REAL, "
        "checkpoint TEXT, approval TEXT, decided_by TEXT, decided_at TEXT, served_by TEXT"
    ),
    "metrics": "release TEXT, name TEXT, value REAL",
    "hyperparameters": "release TEXT, name TEXT, value",
    "members": "release TEXT, member TEXT, digest TEXT, document TEXT",
    "files": "release TEXT, path TEXT, digest TEXT",
}
"""What may be asked for; `release` is the name of a row of releases."""
READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
FORBIDDEN = frozenset({"load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"})
SECONDS = 10.0
STEPS = 100_000
"""Instructions of the database between two looks at the clock."""
ROWS = 100_000
LABEL = "cdl.dev/experiment"

Rows = tuple[tuple[str, ...], list[tuple[object, ...]]]


def query(releases: Iterable[Release], question: str, seconds: float = SECONDS) -> Rows:
    """Answer one SELECT: the names of its columns, and its rows.

    Raises:
        Rejected: it is not one SELECT, it cannot be understood, it takes too long or gives too much.
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        _fill(database, releases)
        return _answer(database, question, seconds)


def _answer(database: sqlite3.Connection, question: str, seconds: float) -> Rows:
    end = time.monotonic() + seconds
    database.set_authorizer(_only_reads)
    database.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
    try:
        asked = database.execute(question)
        if asked.description is None:
            raise Rejected(f"the question: found {_short(question)}, allowed: one SELECT")
        found = asked.fetchmany(ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise Rejected(_sentence(question, error, seconds)) from error
    if len(found) > ROWS:
        raise Rejected(f"the answer has more than {ROWS} rows; a LIMIT makes it shorter")
    return _told_apart(str(column[0]) for column in asked.description), [tuple(map(_cell, row)) for row in found]


def _told_apart(names: Iterable[str]) -> tuple[str, ...]:
    """Number columns of one name, so that none of them is lost."""
    given: list[str] = []
    for name in names:
        again = given.count(name)
        given.append(name if not again else next(n for k in itertools.count(2) if (n := f"{name}_{k}") not in given))
    return tuple(given)


def _cell(value: object) -> object:
    """What JSON has no word for is a text."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _only_reads(action: int, _: str | None, name: str | None, *__: str | None) -> int:
    function = action == sqlite3.SQLITE_FUNCTION and (name or "").lower() in FORBIDDEN
    return sqlite3.SQLITE_OK if action in READS and not function else sqlite3.SQLITE_DENY


def _sentence(question: str, error: Exception, seconds: float) -> str:
    said = str(error)
    if "interrupted" in said:
        return f"the question takes longer than {seconds:g} s; a narrower one may not"
    if "authoriz" in said or "one statement" in said or "prohibited" in said:
        return f"the question: found {_short(question)}, allowed: one SELECT that only reads"
    return f"the question: {said}; there are {', '.join(map(_described, TABLES))}"


def _described(table: str) -> str:
    return f"{table}({', '.join(column.split()[0] for column in TABLES[table].split(', '))})"


def _short(question: str) -> str:
    said = " ".join(question.split())
    return repr(said if len(said) <= 60 else f"{said[:59]}…")


def _fill(database: sqlite3.Connection, releases: Iterable[Release]) -> None:
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
    database.execute("BEGIN")
    for release in releases:
        for table, rows in _rows(release).items():
            _insert(database, table, rows)
    database.execute("COMMIT")


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Sequence[object]]) -> None:
    for row in rows:
        marks = ", ".join("?" * len(row))
        database.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 - the names are our own


def _rows(release: Release) -> dict[str, Iterable[Sequence[object]]]:
    name, members = release.metadata.name, release.spec.members
    return {
        "releases": [_release(release)],
        "metrics": _figures(name, _part(members, "evaluation", "metrics")),
        "hyperparameters": ((name, key, _plain(v)) for key, v in _part(members, "experiment", "hparams").items()),
        "members": ((name, m, digest(value), json.dumps(value)) for m, value in members.items()),
        "files": ((name, path, sha256) for path, sha256 in _part(members, "checkpoint", "files").items()),
    }


def _release(release: Release) -> tuple[object, ...]:
    meta, spec, approval = release.metadata, release.spec, release.status.approval
    trained = _part(spec.members, "experiment")
    return (
        meta.name,
        meta.namespace,
        spec.model,
        spec.version,
        spec.digest,
        meta.creation_timestamp.isoformat() if meta.creation_timestamp else None,
        meta.labels.get(LABEL),
        _plain(_part(spec.members, "git").get("commit")),
        _plain(_part(spec.members, "data").get("version")),
        _plain(trained.get("run")),
        _plain(trained.get("trial")),
        _plain(trained.get("metric")),
        _plain(_part(spec.members, "checkpoint").get("uuid")),
        approval.state.value,
        approval.by or None,
        approval.at.isoformat() if approval.at else None,
        ", ".join(release.status.served_by) or None,
    )


def _figures(name: str, metrics: dict[str, JsonValue]) -> Iterator[tuple[object, ...]]:
    yield from ((name, metric, value) for metric, value in metrics.items() if isinstance(value, int | float))


def _part(members: dict[str, JsonValue], *path: str) -> dict[str, JsonValue]:
    found: JsonValue = members
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _plain(value: JsonValue) -> object:
    """A value as a column takes it; what has parts is JSON."""
    return json.dumps(value) if isinstance(value, dict | list) else value
