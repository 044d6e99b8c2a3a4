"""Handlers for files."""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from cdl.embedded.pachd import commits, egress, globs, layers, paths, refs, trees, views, wire
from cdl.embedded.pachd.blobs import Blobs
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.intake import Intake, chunks, take
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError, absent, invalid, missing
from cdl.embedded.pachd.trees import Entry, Index
from cdl.embedded.pachd.wire import Msg

MESSAGE = 1024 * 1024  # bytes of content in one answer; clients take up to 20 MiB
PAGE_LIMIT = 100_000


class Files:
    """Answers about what commits hold."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._blobs: Blobs = engine.blobs

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pfs_v2.API/{name}": getattr(self, name)
            for name in (
                "ModifyFile",
                "ListFile",
                "WalkFile",
                "GlobFile",
                "InspectFile",
                "DiffFile",
                "GetFile",
                "GetFileTAR",
                "Egress",
            )
        }

    # -- writing ------------------------------------------------------------------------------------------------------

    async def ModifyFile(self, requests: AsyncIterator[Msg]) -> Msg:
        """Change the files of an open commit, or of a branch in a commit of its own; all or nothing."""
        intake = Intake(self._blobs, self._engine.options.file_roots)
        target: Msg = None
        try:
            async for request in requests:
                body = request.WhichOneof("body")
                if body == "set_commit" and target is None:
                    target = request.set_commit
                    self._writable(target)
                elif target is None or body in {None, "set_commit"}:
                    raise RefusedError("ModifyFile: the first message, and no other, must be set_commit")
                else:
                    await take(self._engine, intake, request)
            await intake.flush()
        finally:
            intake.discard()
        if target is not None:
            self._write(target, intake)
        return wire.Empty()

    def _writable(self, target: Msg) -> Commit | None:
        """Find the open commit that a stream writes to; None when the branch needs a commit of its own."""
        db = self._store.db
        owner = refs.repo_of_commit(db, target)
        if target.id and (refs.is_id(target.id) or not refs.is_name(target.id)):
            return commits.open_commit(db, refs.commit(db, target))
        name = target.id or target.branch.name
        if not name:
            raise invalid(f"ModifyFile: set_commit in repo {owner} names neither a commit nor a branch")
        branch = refs.find_branch(db, owner.id, name)
        if branch is None or branch.head is None:
            return None
        head = refs.commit_by_id(db, branch.head)
        return None if head.finishing else head

    def _write(self, target: Msg, intake: Intake) -> None:
        """Put a whole stream down in one transaction."""
        with self._store.write() as db:
            commit = self._writable(target)
            if commit is None:
                wave = Wave(db)
                branch = wave.branch(refs.repo_of_commit(db, target), target.id or target.branch.name)
                commit = commits.start(wave, branch, parent=None, description="")
                wave.spread()
                commits.finish(db, commit)
            self._blobs.keep(db, intake.small)
            layers.add(db, commit.id, intake.changes)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _index(self, handle: Msg) -> tuple[Commit, Index]:
        return await self._engine.readable(refs.commit(self._store.db, handle))

    def _missing(self, path: str, commit: Commit) -> RefusedError:
        return missing(f"file {path} not found in {refs.spoken(self._store.db, commit)}")

    def _stream(self, commit: Commit, entries: Iterable[Entry]) -> Iterator[Msg]:
        handle = views.commit(self._store.db, commit)
        return (views.file_info(handle, commit, entry) for entry in entries)

    async def ListFile(self, request: Msg) -> AsyncIterator[Msg]:
        """List what lies directly in a directory; nothing, and no error, when it is not there."""
        commit, index = await self._index(request.file.commit)
        found = index.children(paths.clean(request.file.path))
        for message in self._stream(commit, _page(found, request)):
            yield message

    async def WalkFile(self, request: Msg) -> AsyncIterator[Msg]:
        """List a file, or a directory and all below it."""
        commit, index = await self._index(request.file.commit)
        path = paths.clean(request.file.path)
        if index.find(path) is None and path != "/":
            raise self._missing(path, commit)
        for message in self._stream(commit, _page(index.walk(path), request)):
            yield message

    async def GlobFile(self, request: Msg) -> AsyncIterator[Msg]:
        """List the files and directories that a pattern matches."""
        if request.path_range.lower or request.path_range.upper:
            raise absent("pfs_v2.API/GlobFile: path_range is not offered by the embedded pachd")
        pattern = globs.check(request.pattern)
        commit, index = await self._index(request.commit)
        for message in self._stream(commit, index.glob(pattern)):
            yield message

    async def InspectFile(self, request: Msg) -> Msg:
        """Describe a file or directory."""
        commit, index = await self._index(request.file.commit)
        path = paths.clean(request.file.path)
        entry = index.find(path)
        if entry is None:
            raise self._missing(path, commit)
        return views.file_info(views.commit(self._store.db, commit), commit, entry)

    async def DiffFile(self, request: Msg) -> AsyncIterator[Msg]:
        """List what differs, in hash or presence, from another commit; from the parent when none is named."""
        commit, new = await self._index(request.new_file.commit)
        path = paths.clean(request.new_file.path)
        old_path, old, before = path, None, commit
        if request.HasField("old_file") and (request.old_file.commit.id or request.old_file.commit.branch.name):
            before, old = await self._index(request.old_file.commit)
            old_path = paths.clean(request.old_file.path or path)
        elif commit.parent is not None:
            before, old = await self._engine.readable(refs.commit_by_id(self._store.db, commit.parent))
        ours, theirs = views.commit(self._store.db, commit), views.commit(self._store.db, before)
        for one, two in trees.difference(new.walk(path), old.walk(old_path) if old is not None else ()):
            yield wire.pfs.DiffFileResponse(
                new_file=views.file_info(ours, commit, one) if one else None,
                old_file=views.file_info(theirs, before, two) if two else None,
            )

    async def Egress(self, request: Msg) -> Msg:
        """Copy what a commit holds to where the request says; what cannot be written is said at once."""
        target = egress.target_of(self._engine.options, self._store.db, request)
        if target is None:
            raise invalid("Egress: neither object_storage.url nor sql_database says where to")
        _, index = await self._index(request.commit)
        try:
            found = await asyncio.to_thread(target.write, self._blobs, index)
        except OSError as error:
            raise RefusedError(f"egress to {target.name} failed: {error}") from error
        if isinstance(found, dict):
            return wire.pfs.EgressResponse(sql_database={"rows_written": found})
        return wire.pfs.EgressResponse(object_storage={"bytes_written": found})

    async def _matches(self, request: Msg) -> tuple[Commit, Index, list[Entry]]:
        if request.URL:
            raise absent("egress to a URL is not offered by the embedded pachd")
        pattern = globs.check(request.file.path or "/")
        commit, index = await self._index(request.file.commit)
        found = list(index.glob(pattern))
        if not found and not (pattern == "/" and not index.order):
            raise self._missing(pattern, commit)
        return commit, index, found

    async def GetFile(self, request: Msg) -> AsyncIterator[Msg]:
        """Send one file's content."""
        commit, _, found = await self._matches(request)
        if len(found) != 1 or found[0].is_dir:
            what = f"{len(found)} files" if len(found) > 1 else "a directory"
            raise RefusedError(
                f"path {request.file.path} in {refs.spoken(self._store.db, commit)} is {what}: use GetFileTAR"
            )
        for piece in chunks(self._blobs.pieces(found[0].parts, request.offset), MESSAGE):
            yield wire.BytesValue(value=piece)

    async def GetFileTAR(self, request: Msg) -> AsyncIterator[Msg]:
        """Send files and directories as one tar."""
        commit, index, found = await self._matches(request)
        entries = {entry.path: entry for top in found for entry in index.walk(top.path.rstrip("/") or "/")}
        for piece in chunks(self._tar(entries.values(), commit.finishing), MESSAGE):
            yield wire.BytesValue(value=piece)

    def _tar(self, entries: Iterable[Entry], at: int) -> Iterator[bytes]:
        for entry in entries:
            if entry.path == "/":
                continue
            header = tarfile.TarInfo(entry.path)
            header.mode, header.mtime = 0, at // 10**9
            if entry.is_dir:
                header.type = tarfile.DIRTYPE
                yield header.tobuf(tarfile.PAX_FORMAT)
                continue
            header.size = entry.size
            yield header.tobuf(tarfile.PAX_FORMAT)
            yield from self._blobs.pieces(entry.parts)
            yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _page(entries: Iterable[Entry], request: Msg) -> Iterable[Entry]:
    """Cut a page out of a listing."""
    marker = request.pagination_marker.path if request.HasField("pagination_marker") else ""
    number = request.number or PAGE_LIMIT * 100
    if request.reverse:
        if not 0 < request.number <= PAGE_LIMIT:
            raise invalid(f"a reverse listing needs a number between 1 and {PAGE_LIMIT}, found {request.number}")
        back = sorted(entries, reverse=True)
        return back[:number] if not marker else [e for e in back if e.path < marker][:number]
    return islice((e for e in entries if not marker or e.path > marker), number)
