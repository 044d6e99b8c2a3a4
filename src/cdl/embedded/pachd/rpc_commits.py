"""Handlers for commits and commit sets."""

import itertools
from collections.abc import AsyncIterator, Iterable

from cdl.embedded.pachd import commits, layers, refs, views, wire
from cdl.embedded.pachd.acts import in_repo
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError, missing
from cdl.embedded.pachd.transactions import Desk
from cdl.embedded.pachd.wire import Msg


def _named(handle: Msg) -> bool:
    """Tell whether a handle says anything: an unset one still arrives with a nameless repo."""
    return bool(handle.id or handle.branch.name)


class Commits:
    """Answers about commits."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._desk = desk
        self._engine = engine
        self._store = engine.store

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pfs_v2.API/{name}": getattr(self, name)
            for name in (
                "StartCommit",
                "FinishCommit",
                "ClearCommit",
                "InspectCommit",
                "ListCommit",
                "SubscribeCommit",
                "InspectCommitSet",
                "ListCommitSet",
                "SquashCommit",
                "DropCommit",
                "SquashCommitSet",
                "DropCommitSet",
            )
        }

    async def StartCommit(self, request: Msg) -> Msg:
        """Open a commit; everything downstream appears with it."""
        return self._desk.do("start_commit", request)

    async def FinishCommit(self, request: Msg) -> Msg:
        """Close a commit."""
        return self._desk.do("finish_commit", request)

    async def ClearCommit(self, request: Msg) -> Msg:
        """Empty an open commit."""
        with self._store.write() as db:
            layers.clear(db, commits.open_commit(db, refs.commit(db, request.commit)).id)
        return wire.Empty()

    async def InspectCommit(self, request: Msg) -> Msg:
        """Describe a commit, when asked only once it has come to a state."""
        found = refs.commit(self._store.db, request.commit)
        if request.wait:
            found = await self._engine.until(found, request.wait)
        return views.commit_info(self._store.db, found)

    async def ListCommit(self, request: Msg) -> AsyncIterator[Msg]:
        """List commits, newest first."""
        sent = 0
        for row in self._listed(request):
            if request.origin_kind and not request.all and row.origin != request.origin_kind:
                continue
            if request.HasField("started_time"):
                limit = request.started_time.ToNanoseconds()
                if row.started <= limit if request.reverse else row.started >= limit:
                    continue
            yield views.commit_info(self._store.db, row)
            sent += 1
            if request.number and sent >= request.number:
                return

    def _listed(self, request: Msg) -> Iterable[Commit]:
        """Choose the commits that a listing walks over."""
        db = self._store.db
        start, end = getattr(request, "from"), request.to
        bounded = _named(start) or _named(end)
        if bounded and request.reverse:
            raise RefusedError("ListCommit: reverse cannot be used together with from or to")
        if _named(start) and not _named(end):
            raise RefusedError("ListCommit: from needs to")
        if bounded:
            top = refs.commit(db, in_repo(end, request.repo))
            bottom = refs.commit(db, in_repo(start, request.repo)).id if _named(start) else None
            return itertools.takewhile(lambda row: row.id != bottom, refs.lineage(db, top))
        order = "ORDER BY id" if request.reverse else "ORDER BY id DESC"
        if request.repo.name:
            return refs.commits(db, f"WHERE repo = ? {order}", (refs.repo(db, request.repo).id,))
        return refs.commits(db, order)

    async def SubscribeCommit(self, request: Msg) -> AsyncIterator[Msg]:
        """Replay every commit of a repo, oldest first, then each new one, once it has come to a state."""
        owner = refs.repo(self._store.db, request.repo)
        start = getattr(request, "from")
        hidden = refs.commit(self._store.db, in_repo(start, request.repo)).id if _named(start) else 0
        last = 0
        while True:
            turn = self._store.pulse.turn
            for row in refs.commits(self._store.db, "WHERE repo = ? AND id > ? ORDER BY id", (owner.id, last)):
                last = row.id
                unwanted = request.origin_kind and not request.all and row.origin != request.origin_kind
                if row.id == hidden or unwanted or (request.branch and row.branch != request.branch):
                    continue
                try:
                    found = await self._engine.until(row, request.state or commits.STARTED)
                except RefusedError:
                    continue  # removed before it came that far
                yield views.commit_info(self._store.db, found)
            await self._store.pulse.after(turn)

    async def InspectCommitSet(self, request: Msg) -> AsyncIterator[Msg]:
        """Describe a set's commits and those they depend on; with wait, each once it is finished."""
        set_id = request.commit_set.id
        found = refs.provenance_of_set(self._store.db, set_id)
        if not found:
            raise missing(f"no commits found for commitset {set_id}")
        for row in found:
            ready = await self._engine.until(row, commits.FINISHED) if request.wait else row
            yield views.commit_info(self._store.db, ready)

    async def ListCommitSet(self, request: Msg) -> AsyncIterator[Msg]:
        """List commit sets, newest first."""
        db = self._store.db
        project = request.project.name
        rows = db.execute(
            "SELECT c.set_id FROM commits c JOIN repos r ON r.id = c.repo WHERE ? IN ('', r.project)"
            " GROUP BY c.set_id ORDER BY max(c.id) DESC",
            (project,),
        ).fetchall()
        for (set_id,) in rows:
            own = refs.commits(db, "WHERE set_id = ? ORDER BY id", (set_id,))
            yield wire.pfs.CommitSetInfo(commit_set={"id": set_id}, commits=[views.commit_info(db, row) for row in own])

    async def SquashCommit(self, request: Msg) -> Msg:
        """Remove a commit; its content stays with its children."""
        with self._store.write() as db:
            commits.squash(
                db,
                commits.with_subvenance(
                    db, refs.commit(db, request.commit), recursive=request.recursive, verb="squash"
                ),
            )
        self._engine.layers.forget()
        return wire.pfs.SquashCommitResponse()

    async def DropCommit(self, request: Msg) -> Msg:
        """Remove a commit and its content."""
        with self._store.write() as db:
            commits.drop(
                db,
                commits.with_subvenance(db, refs.commit(db, request.commit), recursive=request.recursive, verb="drop"),
            )
        self._engine.layers.forget()
        return wire.pfs.DropCommitResponse()

    async def SquashCommitSet(self, request: Msg) -> Msg:
        """Squash every commit of a set."""
        return self._desk.do("squash_commit_set", request)

    async def DropCommitSet(self, request: Msg) -> Msg:
        """Drop every commit of a set."""
        with self._store.write() as db:
            commits.drop(db, commits.set_of(db, request.commit_set.id, "drop"))
        self._engine.layers.forget()
        return wire.Empty()
