"""Handlers that walk over history: who changed a path, and what depends on what."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator

from cdl.embedded.pachd import layers, paths, pickers, refs, views, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.wire import Msg

ABOVE, BELOW = ("downstream", "upstream"), ("upstream", "downstream")


class Walks:
    """Answers about histories and provenance."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store
        self._layers = engine.layers

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pfs_v2.API/{name}": getattr(self, name)
            for name in (
                "FindCommits",
                "WalkCommitProvenance",
                "WalkCommitSubvenance",
                "WalkBranchProvenance",
                "WalkBranchSubvenance",
            )
        }

    async def FindCommits(self, request: Msg) -> AsyncIterator[Msg]:
        """Send the commits that changed a path, newest first; the last answer says how far the search came."""
        db = self._store.db
        path = paths.clean(request.file_path)
        last = refs.commit(db, request.start)
        found = searched = 0
        for row in refs.lineage(db, last):
            last = row
            if not row.finished:
                raise RefusedError(f"commit {refs.spoken(db, row)} has not been finished", "UNAVAILABLE")
            if self._changes(row, path):
                yield wire.pfs.FindCommitsResponse(found_commit=views.commit(db, row), commits_searched=searched)
                found += 1
            searched += 1
            if request.limit and found >= request.limit:
                break
        yield wire.pfs.FindCommitsResponse(last_searched_commit=views.commit(db, last), commits_searched=searched)

    def _changes(self, row: Commit, path: str) -> bool:
        """Tell whether a commit writes or deletes a path, be it with what was there before."""
        db = self._store.db
        named = db.execute("SELECT 1 FROM changes WHERE commit_id = ? AND path = ?", (row.id, path)).fetchone()
        if named:
            return True
        if not db.execute("SELECT 1 FROM changes WHERE commit_id = ? LIMIT 1", (row.id,)).fetchone():
            return False
        base = layers.base_of(db, row.id)
        before = self._layers.index(base).find(path) if base is not None else None
        return self._layers.index(row.id).find(path) != before

    # -- provenance ---------------------------------------------------------------------------------------------------

    async def WalkCommitProvenance(self, request: Msg) -> AsyncIterator[Msg]:
        """Send what commits come from, the nearest first."""
        for key in self._commits(request, ABOVE):
            yield views.commit_info(self._store.db, refs.commit_by_id(self._store.db, key))

    async def WalkCommitSubvenance(self, request: Msg) -> AsyncIterator[Msg]:
        """Send what came of commits, the nearest first."""
        for key in self._commits(request, BELOW):
            yield views.commit_info(self._store.db, refs.commit_by_id(self._store.db, key))

    async def WalkBranchProvenance(self, request: Msg) -> AsyncIterator[Msg]:
        """Send the branches that branches depend on, the nearest first."""
        for key in self._branches(request, ABOVE):
            yield views.branch_info(self._store.db, refs.branch_by_id(self._store.db, key))

    async def WalkBranchSubvenance(self, request: Msg) -> AsyncIterator[Msg]:
        """Send the branches that depend on branches, the nearest first."""
        for key in self._branches(request, BELOW):
            yield views.branch_info(self._store.db, refs.branch_by_id(self._store.db, key))

    def _commits(self, request: Msg, way: tuple[str, str]) -> Iterator[int]:
        starts = [pickers.commit(self._store.db, picker).id for picker in request.start]
        return self._walk("commit_provenance", starts, way, request.max_commits, request.max_depth)

    def _branches(self, request: Msg, way: tuple[str, str]) -> Iterator[int]:
        starts = [pickers.branch(self._store.db, picker).id for picker in request.start]
        return self._walk("branch_provenance", starts, way, request.max_branches, request.max_depth)

    def _walk(self, table: str, starts: list[int], way: tuple[str, str], most: int, depth: int) -> Iterator[int]:
        """Give the keys that each start reaches over at most so many edges; both limits are off at 0."""
        here, there = way

        def next_to(key: int) -> list[int]:
            rows = self._store.db.execute(f"SELECT {there} FROM {table} WHERE {here} = ? ORDER BY {there}", (key,))  # noqa: S608  names of ours
            return [int(row[0]) for row in rows]

        for start in starts:
            yield from itertools.islice(_reached(start, next_to, depth), most or None)


def _reached(start: int, next_to: Callable[[int], list[int]], depth: int) -> Iterator[int]:
    """Give what can be reached, level by level, each once and never the start itself."""
    seen, level, steps = {start}, [start], 0
    while level and (not depth or steps < depth):
        below = [found for key in level for found in next_to(key)]
        level = [key for key in dict.fromkeys(below) if key not in seen]
        seen.update(level)
        steps += 1
        yield from level
