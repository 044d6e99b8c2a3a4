"""Trees of commits: a commit's changes over its base, replayed once and remembered."""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from cdl.embedded.pachd import trees
from cdl.embedded.pachd.blobs import Blobs
from cdl.embedded.pachd.store import Store
from cdl.embedded.pachd.trees import Change, Index, Tree

REMEMBERED = 24  # trees and indexes of finished commits kept in memory, and
ENTRIES = 400_000  # how many paths they may have together
LONG = 64  # a chain of this many commits gets a snapshot
MANY = 50_000  # and so does one of this many changes, where they are more than
TWICE = 2  # times what is left of them: to replay them costs then more than to read a snapshot back
CHANGES = "SELECT kind, path, tag, digest, size FROM changes WHERE commit_id = ? ORDER BY seq"

T = TypeVar("T", Tree, Index)


def changes(db: sqlite3.Connection, commit: int) -> list[Change]:
    """Read what a commit changes, in order."""
    return [Change(*row) for row in db.execute(CHANGES, (commit,))]


def base_of(db: sqlite3.Connection, commit: int) -> int | None:
    """Find the nearest ancestor that finished without error, or is not finished: errored ones are no base."""
    row = db.execute("SELECT parent FROM commits WHERE id = ?", (commit,)).fetchone()
    while row is not None and row[0] is not None:
        found = int(row[0])
        row = db.execute("SELECT parent, error FROM commits WHERE id = ?", (found,)).fetchone()
        if row is not None and not row[1]:
            return found
    return None


def add(db: sqlite3.Connection, commit: int, more: Iterable[Change]) -> None:
    """Write changes down after those that a commit already has."""
    row = db.execute("SELECT COALESCE(MAX(seq), -1) FROM changes WHERE commit_id = ?", (commit,)).fetchone()
    start = int(row[0]) + 1
    db.executemany(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((commit, seq, *change) for seq, change in enumerate(more, start)),
    )


def clear(db: sqlite3.Connection, commit: int) -> None:
    """Forget what a commit changes."""
    db.execute("DELETE FROM changes WHERE commit_id = ?", (commit,))


def fold(db: sqlite3.Connection, commit: int, child: int) -> None:
    """Put a commit's changes before its child's, so that the commit itself can go."""
    merged: Sequence[Change] = [*changes(db, commit), *changes(db, child)]
    clear(db, child)
    add(db, child, merged)


class Layers:
    """Reads trees; remembers those that can no longer change."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        self._trees: OrderedDict[int, Tree] = OrderedDict()
        self._indexes: OrderedDict[int, Index] = OrderedDict()

    def tree(self, commit: int) -> Tree:
        """Replay a commit's tree from the nearest one known."""
        db = self._store.db
        chain: list[int] = []
        at: int | None = commit
        tree: Tree = {}
        while at is not None:
            if at in self._trees:
                tree = self._trees[at]
                break
            row = db.execute("SELECT body FROM snapshots WHERE commit_id = ?", (at,)).fetchone()
            if row is not None:
                tree = trees.unpack(row[0])
                break
            chain.append(at)
            at = base_of(db, at)
        for link in reversed(chain):
            tree = trees.apply(tree, db.execute(CHANGES, (link,)))
        return self.remember(commit, tree)

    def remember(self, commit: int, tree: Tree) -> Tree:
        """Keep a tree that can no longer change; any other is only given back."""
        if self._finished(commit):
            _push(self._trees, commit, tree)
        return tree

    def _finished(self, commit: int) -> bool:
        row = self._store.db.execute("SELECT finished FROM commits WHERE id = ?", (commit,)).fetchone()
        return bool(row and row[0])

    def index(self, commit: int) -> Index:
        """Read a commit's tree in order."""
        if commit in self._indexes:
            self._indexes.move_to_end(commit)
            return self._indexes[commit]
        made = Index(self.tree(commit), self._blobs.hash_of)
        if self._finished(commit):
            _push(self._indexes, commit, made)
        return made

    def forget(self) -> None:
        """Drop what is remembered: commits were removed, and bases have moved."""
        self._trees.clear()
        self._indexes.clear()

    def wants_snapshot(self, commit: int, size: int) -> bool:
        """Tell whether the way back to the last snapshot has become long; `size` is how many paths the tree has."""
        db = self._store.db
        enough = max(MANY, TWICE * size)
        length = count = 0
        at: int | None = commit
        while at is not None and not db.execute("SELECT 1 FROM snapshots WHERE commit_id = ?", (at,)).fetchone():
            length += 1
            row = db.execute("SELECT MAX(seq) FROM changes WHERE commit_id = ?", (at,)).fetchone()
            count += int(row[0] or 0)
            if length > LONG or (count > enough and length > 1):
                return True
            at = base_of(db, at)
        return False


def _push(kept: OrderedDict[int, T], key: int, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > REMEMBERED or (len(kept) > 1 and sum(map(len, kept.values())) > ENTRIES):
        kept.popitem(last=False)
