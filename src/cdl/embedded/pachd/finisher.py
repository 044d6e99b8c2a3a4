"""The step between `finishing` and `finished`: validate, join what was appended, tell the job."""

import asyncio
import sqlite3
import sys

from cdl.embedded.pachd import commits, layers, refs, trees, triggers
from cdl.embedded.pachd.blobs import Blobs, Part
from cdl.embedded.pachd.layers import Layers
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.store import Store, now
from cdl.embedded.pachd.trees import Change, Tree

JOB_FINISHING = 8


class Finisher:
    """Finishes commits in the order in which they were made, so that a parent is always done first."""

    def __init__(self, store: Store, blobs: Blobs, tree_reader: Layers) -> None:
        self._store = store
        self._blobs = blobs
        self._layers = tree_reader

    async def run(self) -> None:
        """Finish whatever is finishing, also what a crash left so; forever."""
        while True:
            turn = self._store.pulse.turn
            try:
                await self._round()
            except (sqlite3.OperationalError, OSError) as error:  # a full disk: the commit waits, it is not lost
                print(f"pachd: commits cannot be finished: {error}", file=sys.stderr)
                await asyncio.sleep(2)
                continue
            await self._store.pulse.after(turn)

    async def _round(self) -> None:
        waiting = refs.commits(self._store.db, "WHERE finishing > 0 AND finished = 0 ORDER BY id")
        for commit in waiting:
            if not self._is_ready(commit):
                continue
            tree = self._layers.tree(commit.id)
            appended = _appended(tree) if not commit.error else []
            if appended:
                self._finish(commit, None, await asyncio.to_thread(self._join, appended))
            else:  # nobody has come between: the tree is what it was
                self._finish(commit, tree, [])
                await asyncio.sleep(0)  # whoever asks meanwhile need not wait for the last of many

    def _is_ready(self, commit: Commit) -> bool:
        """Tell whether the parent, on which the tree stands, is finished."""
        parent = refs.find_commit(self._store.db, commit.parent) if commit.parent is not None else None
        return parent is None or parent.finished > 0

    def _join(self, appended: list[tuple[str, str, trees.Parts]]) -> list[tuple[Change, bytes]]:
        """Make one piece of what was appended, so that equal content has one name. In a thread."""
        out: list[tuple[Change, bytes]] = []
        for path, tag, parts in appended:
            spool = self._blobs.spool()
            for piece in self._blobs.pieces(parts, db=self._store.reader()):
                spool.feed(piece)
            held = spool.close()
            part: Part = self._blobs.settle(held)
            out.append((Change("set", path, tag, part.digest, part.size), held.body))
        return out

    def _finish(self, stale: Commit, read: Tree | None, joined: list[tuple[Change, bytes]]) -> None:
        with self._store.write() as db:
            commit = refs.find_commit(db, stale.id)
            if commit is None or commit.finished:
                return
            if joined:
                self._blobs.keep(db, ((c.digest, body) for c, body in joined if body or not c.size))
                layers.add(db, commit.id, (change for change, _ in joined))
            tree = self._layers.tree(commit.id) if read is None else read
            error = commit.error or trees.fault(tree)
            db.execute(
                "UPDATE commits SET finished = ?, error = ?, size = ? WHERE id = ?",
                (now(), error, trees.size_of(tree), commit.id),
            )
            db.execute(
                "UPDATE jobs SET state = ?, reason = ?, finished = ? WHERE output = ? AND state = ?",
                (commits.FAILURE if error else commits.SUCCESS, error, now(), commit.id, JOB_FINISHING),
            )
            if not error:
                triggers.fire(db, refs.commit_by_id(db, commit.id))
            if not error and self._layers.wants_snapshot(commit.id, len(tree)):
                db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?)", (commit.id, trees.pack(tree)))
        self._layers.remember(stale.id, tree)


def _appended(tree: Tree) -> list[tuple[str, str, trees.Parts]]:
    return [(path, tag, parts) for path, tags in tree.items() for tag, parts in tags.items() if len(parts) > 1]
