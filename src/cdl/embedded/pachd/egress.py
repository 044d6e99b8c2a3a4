"""Egress: what a commit holds, copied to a folder of this machine, into a bucket, or into the tables of a database."""

import os
import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cdl.embedded.pachd import buckets, secrets
from cdl.embedded.pachd.blobs import Blobs
from cdl.embedded.pachd.buckets import Bucket
from cdl.embedded.pachd.engine import Options
from cdl.embedded.pachd.refusals import RefusedError, absent, invalid
from cdl.embedded.pachd.tables import Database
from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.wire import Msg

KEYS = "pachyderm-storage-secret"
"""The secret that a real pachd has its object store's keys from."""


@dataclass(frozen=True)
class Target:
    """Where an egress goes, by what name it is spoken of, and how it is done; secrets stay inside of it."""

    name: str
    write: Callable[[Blobs, Index], int | dict[str, int]] = field(repr=False)
    """Gives bytes, or rows by table."""


def target_of(options: Options, db: sqlite3.Connection, asked: Msg) -> Target | None:
    """Find where an egress goes; None when there is none, a refusal where it cannot go."""
    if asked.HasField("sql_database"):
        return _database(db, asked.sql_database)
    url = asked.object_storage.url if asked.HasField("object_storage") else ""
    if not url and "URL" in asked.DESCRIPTOR.fields_by_name:
        url = asked.URL
    if not url:
        return None
    if urlsplit(url).scheme == buckets.SCHEME:
        keys = secrets.values_of(db, KEYS)
        return _bucket(Bucket.of(str(url), keys))
    folder = _folder(options, str(url))
    return Target(str(url), lambda blobs, index: _copy(options, blobs, index, folder))


def _bucket(bucket: Bucket) -> Target:
    def write(blobs: Blobs, index: Index) -> int:
        reader = blobs.reader()
        files = ((e.path.lstrip("/"), e.size, blobs.pieces(e.parts, db=reader)) for e in index.files("/"))
        return bucket.write(files)

    return Target(bucket.name, write)


def _database(db: sqlite3.Connection, asked: Msg) -> Target:
    password = ""
    if asked.secret.name:
        password = secrets.value_of(db, asked.secret.name, asked.secret.key, "egress.sql_database.secret")
    database = Database.of(asked, password)

    def write(blobs: Blobs, index: Index) -> dict[str, int]:
        reader = blobs.reader()
        return database.write(
            (e.path.lstrip("/"), b"".join(blobs.pieces(e.parts, db=reader))) for e in index.files("/")
        )

    return Target(database.name, write)


def _folder(options: Options, url: str) -> Path:
    """Find the folder that a URL names, or refuse."""
    split = urlsplit(url)
    if split.scheme != "file" or split.netloc not in {"", "localhost"}:
        raise absent(f"egress to {url!r} is not offered by the embedded pachd; use a file:///… or s3://… URL")
    folder = Path(unquote(split.path)).resolve()
    if not _is_below(options, folder):
        raise invalid(f"egress to {url!r} is not allowed: it is not below a folder given with --allow-egress-root")
    return folder


def _is_below(options: Options, path: Path) -> bool:
    return any(path.is_relative_to(root) for root in options.egress_roots)


def _copy(options: Options, blobs: Blobs, index: Index, folder: Path) -> int:
    """Write every file of an index below a folder, each whole or not at all; tells how many bytes. In a thread."""
    size = 0
    for entry in index.files("/"):
        target = folder / entry.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _is_below(options, target.parent.resolve()):
            raise RefusedError(f"egress of {entry.path} is not allowed: a link leads out of --allow-egress-root")
        coming = target.with_name(f".{uuid.uuid4().hex}")
        try:
            blobs.write_to(coming, entry.parts)
            os.replace(coming, target)  # noqa: PTH105  replaces a file, and says so
        finally:
            coming.unlink(missing_ok=True)
        size += entry.size
    return size
