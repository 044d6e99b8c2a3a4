"""Make the tables and bring them up to date: numbered SQL, each applied once, by one process at a time."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from cdl.ports.errors import Rejected

from .door import connect, role, translated

if TYPE_CHECKING:
    from .door import Connection

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('cdl.migration', 0))"
FIRST = """
CREATE SCHEMA IF NOT EXISTS cdl;
CREATE TABLE IF NOT EXISTS cdl.migration (
    name text PRIMARY KEY, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now()
)
"""


def prepare(owner: str, writer: str) -> tuple[str, ...]:
    """Bring the tables up to date as their owner, and let the role of the writer's address add to them.

    Gives the names of what was applied now; a second time there is nothing.

    Raises:
        Unavailable: nobody answers.
        NotPermitted: the owner's address may not make tables.
        Rejected: a migration that was applied is another one now, or there is no such role.
    """
    who = role(writer)
    with connect(owner) as connection, translated(), connection.transaction():
        connection.execute(LOCK)
        done = _apply(connection)
        _grant(connection, who)
    return done


def _apply(connection: Connection) -> tuple[str, ...]:
    connection.execute(FIRST)
    known: dict[str, str] = dict(connection.execute("SELECT name, sha256 FROM cdl.migration").fetchall())
    done = []
    for name, text in _scripts():
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if name not in known:
            connection.execute(text)
            connection.execute("INSERT INTO cdl.migration (name, sha256) VALUES (%s, %s)", (name, sha256))
            done.append(name)
        elif known[name] != sha256:
            message = f"migration {name} was applied with another content ({known[name]}); this cdl has {sha256}"
            raise Rejected(message)
    return tuple(done)


def _scripts() -> list[tuple[str, str]]:
    folder = files(__package__) / "migrations"
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(file.name, file.read_text(encoding="utf-8")) for file in sorted(found, key=lambda file: file.name)]


def _grant(connection: Connection, writer: str) -> None:
    """Let the writer read everything, add to the ledger, add labels and end them, and no more."""
    who = sql.Identifier(writer)
    try:
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA cdl TO {}").format(who))
        connection.execute(sql.SQL("GRANT SELECT ON cdl.ledger, cdl.release, cdl.migration TO {}").format(who))
        connection.execute(sql.SQL("GRANT INSERT (key, entry) ON cdl.ledger TO {}").format(who))
        labels = "cdl.label_set, cdl.label, cdl.labels, cdl.train_labels, cdl.test_labels"
        connection.execute(sql.SQL(f"GRANT SELECT ON {labels} TO {{}}").format(who))
        connection.execute(sql.SQL("GRANT INSERT ON cdl.label_set, cdl.label TO {}").format(who))
        connection.execute(sql.SQL("GRANT UPDATE (until) ON cdl.label TO {}").format(who))
    except psycopg.errors.UndefinedObject as error:
        message = f"CDL_DATABASE: found the user {writer!r}, which is no role of the database; make it first"
        raise Rejected(message) from error
