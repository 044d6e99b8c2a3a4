"""Content by its blake3: small pieces in the database, large ones in a fan-out folder beside it."""

import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import Store

INLINE = 256 * 1024  # content of this size and more gets a file of its own
FEW = 16 * 1024  # bytes of a first read: nearly every file ends in it
PIECE = 1024 * 1024  # how much of a large file is held in memory at once


class Part(NamedTuple):
    """A piece of content: where it is follows from its size."""

    digest: bytes
    size: int


def digest_of(content: bytes) -> bytes:
    """Name content."""
    return blake3(content).digest()


EMPTY = Part(digest_of(b""), 0)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: BinaryIO, piece: bytes | bytearray | memoryview) -> None:
    """Write all of it: a file without a buffer may take a part."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


class Spool:
    """One piece of content on its way in: in memory while it is small, in a file once it is not."""

    def __init__(self, incoming: Path) -> None:
        self._incoming = incoming
        self._body = bytearray()
        self._hash = blake3()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self.size = 0

    def feed(self, piece: bytes | memoryview) -> None:
        """Take the next bytes; they may be written over afterwards."""
        self.size += len(piece)
        self._hash.update(piece)
        if self._file is None and self.size < INLINE:
            self._body += piece
            return
        if self._file is None:
            self._path = self._incoming / uuid.uuid4().hex
            self._file = self._path.open("wb", buffering=0)
            _write(self._file, self._body)
            self._body.clear()
        _write(self._file, piece)

    def close(self) -> "Held":
        """Tell what came in; a large file is on disk when this returns, and has no name yet."""
        part = Part(self._hash.digest(), self.size)
        if self._file is None:
            return Held(part, bytes(self._body), None)
        os.fsync(self._file.fileno())
        self._file.close()
        return Held(part, b"", self._path)

    def discard(self) -> None:
        """Forget what came in."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)


class Held(NamedTuple):
    """Content that came in and is not yet kept: small in `body`, large at `path`."""

    part: Part
    body: bytes
    path: Path | None


class Blobs:
    """The content store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.folder = store.folder / "large"
        self.incoming = store.folder / "incoming"
        self.folder.mkdir(exist_ok=True)
        self.incoming.mkdir(exist_ok=True)
        for left in self.incoming.iterdir():  # what a crash interrupted was never acknowledged
            left.unlink()

    def large(self, digest: bytes) -> Path:
        """Tell where a large file lies."""
        name = digest.hex()
        return self.folder / name[:2] / name[2:4] / name

    def settle(self, held: Held) -> Part:
        """Give a large file its name; small content is left to `keep`. Safe in any thread."""
        if held.path is not None:
            final = self.large(held.part.digest)
            if final.exists():
                held.path.unlink()
            else:
                final.parent.mkdir(parents=True, exist_ok=True)
                held.path.chmod(0o444)
                held.path.rename(final)
                sync_folder(final.parent)
                sync_folder(final.parent.parent)
                sync_folder(self.folder)
        return held.part

    def keep(self, db: sqlite3.Connection, small: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep small content inside the caller's transaction."""
        db.executemany("INSERT OR IGNORE INTO blobs (digest, body) VALUES (?, ?)", small)

    def keep_now(self, small: list[tuple[bytes, bytes]]) -> None:
        """Keep small content in a transaction of its own: nobody sees it until a change names it."""
        with self._store.write() as db:
            self.keep(db, small)

    def pieces(self, parts: Iterable[Part], offset: int = 0, db: sqlite3.Connection | None = None) -> Iterator[bytes]:
        """Read content from `offset`, piece by piece."""
        reader = db or self._store.db
        for part in parts:
            if offset >= part.size:
                offset -= part.size
                continue
            if part.size < INLINE:
                yield self._small(reader, part)[offset:]
            else:
                with self._open(part) as file:
                    file.seek(offset)
                    while piece := file.read(PIECE):
                        yield piece
            offset = 0

    def _small(self, db: sqlite3.Connection, part: Part) -> bytes:
        row = db.execute("SELECT body FROM blobs WHERE digest = ?", (part.digest,)).fetchone()
        if row is None:
            raise RefusedError(f"content {part.digest.hex()} ({part.size} bytes) is missing from the store")
        return bytes(row[0])

    def _open(self, part: Part) -> BinaryIO:
        path = self.large(part.digest)
        try:
            if path.stat().st_size == part.size:
                return path.open("rb")
            found = f"has {path.stat().st_size} bytes"
        except OSError as error:
            found = str(error.strerror)
        raise RefusedError(f"content {part.digest.hex()} ({part.size} bytes) cannot be read from the store: {found}")

    def reader(self) -> sqlite3.Connection:
        """Open the database for reading in the thread that asks."""
        return self._store.reader()

    def read(self, parts: Iterable[Part]) -> bytes:
        """Read content whole; for small things."""
        return b"".join(self.pieces(parts))

    def hash_of(self, parts: tuple[Part, ...]) -> bytes:
        """Name the content that several parts make together."""
        if len(parts) == 1:
            return parts[0].digest
        found = blake3()
        for piece in self.pieces(parts):
            found.update(piece)
        return found.digest()

    def write_to(self, path: Path, parts: Iterable[Part]) -> None:
        """Copy content to a file for user code; never a link, so that nobody can change the store. Any thread."""
        with path.open("wb", buffering=0) as file:
            for piece in self.pieces(parts, db=self._store.reader()):
                file.write(piece)

    def spool(self) -> Spool:
        """Start taking one piece of content."""
        return Spool(self.incoming)

    def take_small(self, path: str) -> Held | None:
        """Take a file from disk if it is small, as nearly every file is: one read, and nothing of a spool. Any thread.

        By the system's own calls, for Python's file objects cost more than the bytes.
        """
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            body = b""
            while len(body) < INLINE and (piece := os.read(file, FEW if len(body) < FEW else INLINE)):
                body += piece
        finally:
            os.close(file)
        return Held(Part(digest_of(body), len(body)), body, None) if len(body) < INLINE else None

    def take_file(self, path: Path, *, move: bool = False) -> Held:
        """Take a file from disk; `move` where it is on the same file system and nobody else's. Any thread."""
        if (small := self.take_small(str(path))) is not None:
            return small
        if move:
            with path.open("rb") as file:
                found = blake3()
                while piece := file.read(PIECE):
                    found.update(piece)
                os.fsync(file.fileno())
            final = self.incoming / uuid.uuid4().hex
            path.rename(final)
            return Held(Part(found.digest(), final.stat().st_size), b"", final)
        spool = self.spool()
        buffer = memoryview(bytearray(PIECE))  # one for all pieces: fresh memory for each costs more than its bytes
        try:
            with path.open("rb", buffering=0) as file:
                while size := file.readinto(buffer):
                    spool.feed(buffer[:size])
            return spool.close()
        except OSError:
            spool.discard()
            raise

    def sweep(self) -> None:
        """Remove content that no change names. Only at start-up, when nothing is on its way in."""
        with self._store.write() as db:
            db.execute(
                "DELETE FROM blobs WHERE digest NOT IN"
                " (SELECT digest FROM changes UNION ALL SELECT digest FROM file_set_changes)"
            )
            db.execute("DELETE FROM facts WHERE key = 'garbage'")
        named = {
            bytes(row[0])
            for row in self._store.db.execute(
                "SELECT digest FROM changes WHERE size >= ? UNION SELECT digest FROM file_set_changes WHERE size >= ?",
                (INLINE, INLINE),
            )
        }
        for path in self.folder.glob("*/*/*"):
            if bytes.fromhex(path.name) not in named:
                path.unlink()


def directory_digest(children: list[tuple[str, bytes]]) -> bytes:
    """Name a directory by its children, names included: a rename is a change."""
    found = hashlib.blake2b(digest_size=32)
    for name, digest in children:
        found.update(name.encode() + b"\0" + digest)
    return found.digest()
