"""Handlers for file sets: changes that are kept for a while, until somebody adds them to a commit."""

import sqlite3
from collections.abc import AsyncIterator, Iterable

from cdl.embedded.pachd import commits, layers, refs, trees, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.intake import Intake, take
from cdl.embedded.pachd.refusals import RefusedError, missing
from cdl.embedded.pachd.store import new_id, now
from cdl.embedded.pachd.trees import Change
from cdl.embedded.pachd.wire import Msg

SECOND = 10**9
USUAL, LONGEST = 600, 1800  # seconds that a file set lives when nobody renews it, and at most between two renewals
DIFF = 1


class FileSets:
    """Answers about file sets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pfs_v2.API/{name}": getattr(self, name)
            for name in ("CreateFileSet", "GetFileSet", "AddFileSet", "RenewFileSet", "ComposeFileSet")
        }

    async def CreateFileSet(self, requests: AsyncIterator[Msg]) -> Msg:
        """Keep a stream of changes."""
        intake = Intake(self._engine.blobs, self._engine.options.file_roots)
        try:
            async for request in requests:
                if request.WhichOneof("body") in {None, "set_commit"}:
                    raise RefusedError("CreateFileSet: a file set belongs to no commit; set_commit is not allowed")
                await take(self._engine, intake, request)
            await intake.flush()
        finally:
            intake.discard()
        with self._store.write() as db:
            self._engine.blobs.keep(db, intake.small)
            key = self._keep(db, intake.changes, USUAL)
        return wire.pfs.CreateFileSetResponse(file_set_id=key)

    def _keep(self, db: sqlite3.Connection, changes: Iterable[Change], seconds: int) -> str:
        """Write a new file set down, and forget those whose time is over."""
        db.execute("DELETE FROM file_sets WHERE expires < ?", (now(),))
        key = new_id()
        db.execute("INSERT INTO file_sets VALUES (?, ?)", (key, now() + seconds * SECOND))
        rows = ((key, seq, *change) for seq, change in enumerate(changes))
        db.executemany("INSERT INTO file_set_changes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return key

    def _changes(self, key: str) -> list[Change]:
        row = self._store.db.execute("SELECT expires FROM file_sets WHERE id = ?", (key,)).fetchone()
        if row is None or row[0] < now():
            raise missing(f"file set {key} not found")
        rows = self._store.db.execute(
            "SELECT kind, path, tag, digest, size FROM file_set_changes WHERE file_set = ? ORDER BY seq", (key,)
        )
        return [Change(*row) for row in rows]

    async def GetFileSet(self, request: Msg) -> Msg:
        """Make a file set of what a commit holds, or of what it changes."""
        commit, _ = await self._engine.readable(refs.commit(self._store.db, request.commit))
        if request.type == DIFF:
            found = layers.changes(self._store.db, commit.id)
        else:
            tree = self._engine.layers.tree(commit.id)
            found = [
                trees.put(path, part, tag)
                for path, tags in tree.items()
                for tag, parts in tags.items()
                for part in parts
            ]
        with self._store.write() as db:
            key = self._keep(db, found, USUAL)
        return wire.pfs.CreateFileSetResponse(file_set_id=key)

    async def AddFileSet(self, request: Msg) -> Msg:
        """Add a file set's changes to an open commit."""
        found = self._changes(request.file_set_id)
        with self._store.write() as db:
            commit = commits.open_commit(db, refs.commit(db, request.commit))
            layers.add(db, commit.id, found)
        return wire.Empty()

    async def RenewFileSet(self, request: Msg) -> Msg:
        """Let a file set live longer."""
        self._changes(request.file_set_id)
        seconds = _lifetime(request.ttl_seconds)
        with self._store.write() as db:
            db.execute("UPDATE file_sets SET expires = ? WHERE id = ?", (now() + seconds * SECOND, request.file_set_id))
        return wire.Empty()

    async def ComposeFileSet(self, request: Msg) -> Msg:
        """Make one file set of several, one after the other."""
        found = [change for key in request.file_set_ids for change in self._changes(key)]
        with self._store.write() as db:
            key = self._keep(db, found, _lifetime(request.ttl_seconds) if request.ttl_seconds else USUAL)
        return wire.pfs.CreateFileSetResponse(file_set_id=key)


def _lifetime(seconds: int) -> int:
    if not 1 <= seconds <= LONGEST:
        raise RefusedError(f"ttl_seconds is {seconds}; 1 to {LONGEST} are allowed")
    return int(seconds)
