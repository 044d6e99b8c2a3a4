"""Secrets: named bytes that user code gets as environment or as files, kept in the database and shown to nobody."""

import base64
import binascii
import json
import re
import sqlite3
from typing import Any, NamedTuple

from cdl.embedded.pachd.refusals import RefusedError, exists, invalid, missing
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}")


class Secret(NamedTuple):
    """A secret without what it holds."""

    name: str
    type: str
    created: int


def create(db: sqlite3.Connection, file: bytes) -> None:
    """Keep a secret that is given as Kubernetes writes it."""
    name, kind, values = _read(file)
    if db.execute("SELECT 1 FROM secrets WHERE name = ?", (name,)).fetchone():
        raise exists(f"secret {name} already exists")
    db.execute("INSERT INTO secrets VALUES (?, ?, ?)", (name, kind, now()))
    db.executemany("INSERT INTO secret_values VALUES (?, ?, ?)", [(name, key, body) for key, body in values.items()])


def _read(file: bytes) -> tuple[str, str, dict[str, bytes]]:
    try:
        given: Any = json.loads(file)
        name = given["metadata"]["name"]
        coded: dict[str, str] = given.get("data") or {}
        plain: dict[str, str] = given.get("stringData") or {}
        values = {key: base64.b64decode(text, validate=True) for key, text in coded.items()}
        values |= {key: text.encode() for key, text in plain.items()}
    except binascii.Error as error:
        raise invalid(f"the secret cannot be read: its data is not base64: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise invalid("the secret is not the JSON of a Kubernetes Secret with metadata.name and data") from error
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(f"secret name {name!r} is not allowed: use lower-case letters, digits, '-' and '.'")
    for key in values:
        if not _KEY.fullmatch(key):
            raise invalid(f"secret {name}: the key {key!r} is not allowed: use letters, digits, '-', '_' and '.'")
    return name, str(given.get("type") or "Opaque"), values


def find(db: sqlite3.Connection, name: str) -> Secret:
    """Find a secret or refuse."""
    row = db.execute("SELECT name, type, created FROM secrets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise missing(f"secret {name} not found")
    return Secret(*row)


def every(db: sqlite3.Connection) -> list[Secret]:
    """List the secrets by name."""
    return [Secret(*row) for row in db.execute("SELECT name, type, created FROM secrets ORDER BY name")]


def delete(db: sqlite3.Connection, name: str) -> None:
    """Remove a secret, or refuse when it is not there."""
    db.execute("DELETE FROM secrets WHERE name = ?", (find(db, name).name,))


def _values(db: sqlite3.Connection, name: str) -> dict[str, bytes]:
    rows = db.execute("SELECT key, body FROM secret_values WHERE name = ?", (find(db, name).name,))
    return {str(key): bytes(body) for key, body in rows}


def values_of(db: sqlite3.Connection, name: str) -> dict[str, bytes]:
    """Read what a secret holds, for the engine itself; nothing where there is none."""
    rows = db.execute("SELECT key, body FROM secret_values WHERE name = ?", (name,))
    return {str(key): bytes(body) for key, body in rows}


def value_of(db: sqlite3.Connection, name: str, key: str, where: str) -> str:
    """Read one value of a secret, or refuse and say where it was named."""
    values = values_of(db, find(db, name).name)
    if key not in values:
        raise missing(f"{where}: secret {name} has no key {key!r}")
    return values[key].decode(errors="replace").strip()


class Given(NamedTuple):
    """What a pipeline's secrets become: environment, and files by the folder in which user code expects them."""

    env: dict[str, str]
    files: dict[str, dict[str, bytes]]


def given_to(db: sqlite3.Connection, pipeline: str, transform: Msg) -> Given:
    """Read the secrets that a transform names; refuse when one, or a key of one, is not there."""
    found = Given({}, {})
    for wanted in transform.secrets:
        try:
            values = _values(db, wanted.name)
        except RefusedError as error:
            raise missing(f"pipeline {pipeline}: transform.secrets: {error.text}") from error
        if wanted.env_var:
            if wanted.key not in values:
                raise missing(f"pipeline {pipeline}: transform.secrets: secret {wanted.name} has no key {wanted.key!r}")
            found.env[wanted.env_var] = values[wanted.key].decode(errors="surrogateescape")
        if wanted.mount_path:
            chosen = {wanted.key: values[wanted.key]} if wanted.key in values else values
            found.files.setdefault("/" + wanted.mount_path.strip("/"), {}).update(chosen)
    return found
