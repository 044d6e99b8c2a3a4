"""What a ModifyFile stream brings: pieces become content as they arrive, changes wait for the end of the stream."""

import asyncio
import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cdl.embedded.pachd import paths, refs, trees
from cdl.embedded.pachd.blobs import INLINE, PIECE, Blobs, Held, Spool
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.refusals import RefusedError, invalid
from cdl.embedded.pachd.trees import DEFAULT_TAG, Change, Index
from cdl.embedded.pachd.wire import Msg

BATCH = 8 * 1024 * 1024  # small content is written down at the latest when so much of it waits


class Intake:
    """Collects one stream."""

    def __init__(self, blobs: Blobs, roots: tuple[Path, ...]) -> None:
        self._blobs = blobs
        self._roots = roots
        self.changes: list[Change] = []
        self.small: list[tuple[bytes, bytes]] = []
        self._waiting = 0
        self._spool: Spool | None = None
        self._at = ("", "")

    async def add(self, path: str, tag: str, piece: bytes) -> None:
        """Take a piece of a file; pieces that follow each other make one content."""
        at = (paths.clean_file(path), tag or DEFAULT_TAG)
        if self._spool is None or at != self._at:
            await self.flush()
            self._spool, self._at = self._blobs.spool(), at
        if len(piece) > PIECE:
            await asyncio.to_thread(self._spool.feed, piece)
        else:
            self._spool.feed(piece)

    async def flush(self) -> None:
        """End the content that is being collected."""
        if self._spool is None:
            return
        spool, self._spool = self._spool, None
        held = spool.close() if spool.size < INLINE else await asyncio.to_thread(self._land, spool)
        self._hold(self._at[0], self._at[1], held)

    def _land(self, spool: Spool) -> Held:
        """Put a large file on disk under its name. In a thread."""
        held = spool.close()
        self._blobs.settle(held)
        return held

    def _hold(self, path: str, tag: str, held: Held) -> None:
        part = held.part
        self.changes.append(trees.put(path, part, tag))
        if held.path is None:
            self.small.append((part.digest, held.body))
            self._waiting += len(held.body)
            if self._waiting >= BATCH:
                self._blobs.keep_now(self.small)
                self.small, self._waiting = [], 0

    async def delete(self, path: str, tag: str) -> None:
        """Take a deletion."""
        await self.flush()
        self.changes.append(Change("del", paths.clean_tree(path), tag or DEFAULT_TAG))

    async def copy(self, source: Index, wanted: str, to: str, tag: str, *, append: bool) -> None:
        """Take a copy of a file or a subtree: the content is there already, only its names are new."""
        await self.flush()
        tag = tag or DEFAULT_TAG
        wanted, to = paths.clean(wanted), paths.clean(to)
        found = source.find(wanted)
        if found is None:
            raise RefusedError(f"file {wanted} to be copied was not found", "NOT_FOUND")
        if not append:
            self.changes += [Change("del", to, tag)] if to != "/" else []
            self.changes += [Change("del", to.rstrip("/") + "/", tag)] if found.is_dir else []
        for entry in source.files(wanted):
            below = entry.path[len(found.path.rstrip("/")) :] if found.is_dir else ""
            path = paths.clean_file(to.rstrip("/") + below)
            self.changes += [trees.put(path, part, tag) for part in entry.parts]

    async def fetch(self, path: str, tag: str, url: str, *, recursive: bool) -> None:
        """Take a file, or all files of a folder, from this machine's disk."""
        await self.flush()
        source = self._allowed(url)
        if source.is_dir() and not recursive:
            raise invalid(f"{url} is a folder: ask for recursive")
        if not source.exists():
            raise RefusedError(f"{url} was not found", "NOT_FOUND")
        whole = source.is_dir()
        found = (
            self._listing(str(source), paths.clean(path)) if whole else iter([(str(source), paths.clean_file(path))])
        )
        while batch := await asyncio.to_thread(self._take, found):
            for target, held in batch:
                self._hold(target, tag or DEFAULT_TAG, held)

    def _allowed(self, url: str) -> Path:
        """Check that a URL names a file below a folder that the command line allows."""
        split = urlsplit(url)
        if split.scheme != "file" or split.netloc not in {"", "localhost"}:
            raise invalid(f"{url!r} cannot be fetched: the embedded pachd takes file:///… URLs only")
        source = Path(unquote(split.path)).resolve()
        if not any(source.is_relative_to(root) for root in self._roots):
            raise invalid(f"{url!r} cannot be fetched: it is not below a folder given with --allow-file-root")
        return source

    def _listing(self, source: str, to: str) -> Iterator[tuple[str, str]]:
        """Walk a folder in order, by names alone; a link must not lead out of what is allowed."""
        prefix = to.rstrip("/")
        with os.scandir(source) as entries:
            names = sorted(entries, key=attrgetter("name"))
        folders = []
        for entry in names:
            if entry.is_symlink() and not any(Path(entry.path).resolve().is_relative_to(root) for root in self._roots):
                raise invalid(f"{entry.path} is a link that leads out of the folders given with --allow-file-root")
            if not entry.is_dir():
                paths.check(target := f"{prefix}/{entry.name}")
                yield entry.path, target
            elif not entry.is_symlink():
                folders.append(entry)
        for entry in folders:
            yield from self._listing(entry.path, f"{prefix}/{entry.name}")

    def _take(self, found: Iterator[tuple[str, str]]) -> list[tuple[str, Held]]:
        """Read the next files from disk. In a thread."""
        out: list[tuple[str, Held]] = []
        size = 0
        for file, target in found:
            held = self._blobs.take_small(file)
            if held is None:
                held = self._blobs.take_file(Path(file))
                self._blobs.settle(held)
            out.append((target, held))
            size += len(held.body)
            if size >= BATCH or len(out) >= 5000:
                break
        return out

    def discard(self) -> None:
        """Forget what was being collected."""
        if self._spool is not None:
            self._spool.discard()


async def take(engine: Engine, intake: Intake, request: Msg) -> None:
    """Take one message of a stream of changes."""
    body = request.WhichOneof("body")
    if body == "add_file":
        add = request.add_file
        if add.WhichOneof("source") == "url":
            await intake.fetch(add.path, add.datum, add.url.URL, recursive=add.url.recursive)
        else:
            await intake.add(add.path, add.datum, add.raw.value)
    elif body == "delete_file":
        await intake.delete(request.delete_file.path, request.delete_file.datum)
    else:
        copy = request.copy_file
        _, source = await engine.readable(refs.commit(engine.store.db, copy.src.commit))
        await intake.copy(source, copy.src.path, copy.dst, copy.datum, append=copy.append)


def chunks(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Gather small pieces into messages of about `size` bytes, and never more than twice that."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(waiting)
            waiting, length = [], 0
    if length:
        yield b"".join(waiting)
