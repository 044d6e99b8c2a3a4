"""What of a folder a commit holds already: by size, times and inode, as git's index knows it, and by content.

Nothing of it is on disk: whoever has forgotten sends everything, as one who never knew.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected

from .translate import REFUSED, forbidden_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STAMP = Struct("=qqqQ")
"""Size, time of the content, time of the inode (which nobody can set), and inode: as bytes, a third of the memory."""
Stamp = bytes
OTHER = re.compile(f"[^{re.escape(''.join(c for c in map(chr, range(128)) if not REFUSED.search(c)))}]")
"""The same characters as those that are refused, found at once."""
SETTLED = 50_000_000
"""Nanoseconds after which a change of a file has another time: several ticks of a slow clock."""
COARSE = 3_000_000_000
"""The same where the file system counts whole seconds, or two."""
MILLISECOND = 1_000_000
FILES = 200_000
"""How many files are remembered, of all repositories together."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder by their path in the repository, as they were when they were listed."""

    root: str
    files: dict[str, Stamp]
    at: int
    """When the listing began: what is written later has a later time."""

    def settled(self, path: str) -> bool:
        """Tell whether any later change of the file shows in its stamp: git's rule for what is racily clean."""
        content, inode = map(int, STAMP.unpack(self.files[path])[1:3])
        return max(content, inode) + (SETTLED if inode % MILLISECOND else COARSE) < self.at

    def size(self, path: str) -> int:
        """Give the size that a file had."""
        return int(STAMP.unpack(self.files[path])[0])


@dataclass(frozen=True, slots=True)
class Kept:
    """A commit of ours, and what the files were that it was made of."""

    commit: str
    key: str
    files: dict[str, Stamp | None]
    """None: the file may have changed since without a trace."""
    contents: dict[str, bytes]
    """Digests of those that we have read; Pachyderm may have read others by itself."""


class Difference(NamedTuple):
    """How a folder differs from a commit."""

    gone: list[str]
    changed: list[str]
    doubtful: list[str]
    """Those whose stamp is another, whatever became of their content."""
    sent: list[str]
    """New ones and changed ones."""


@dataclass(slots=True)
class Memory:
    """What was ingested last into each repository; bounded. Any thread."""

    _kept: OrderedDict[tuple[str, str], Kept] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recall(self, project: str, repo: str) -> Kept | None:
        """Give what is remembered of a repository."""
        with self._lock:
            return self._kept.get((project, repo))

    def keep(self, project: str, repo: str, kept: Kept) -> None:
        """Remember a commit in the place of the one before; the oldest ones make room."""
        with self._lock:
            self._kept.pop((project, repo), None)
            self._kept[project, repo] = kept
            while sum(len(k.files) for k in self._kept.values()) > FILES:
                self._kept.popitem(last=False)


def listing_of(folder: Path) -> Listing:
    """List the files of a folder.

    Raises:
        Rejected: with reason SourceUnusable when a path holds a character that Pachyderm does not take.
    """
    at = time.time_ns()
    found = Listing(str(folder), {}, at)
    _stamped(str(folder), "", found.files)
    if OTHER.search("".join(found.files)):  # one search for all of them; which one it is matters only now
        wrong = next(sentence for path in sorted(found.files) if (sentence := forbidden_path(path)))
        sentence = f"file {wrong}; allowed in Pachyderm: printable ASCII without * ? [ ] {{ }} ! ( ) @ + ^"
        raise Rejected(sentence, Reason.SOURCE_UNUSABLE)
    return found


def _stamped(root: str, below: str, found: dict[str, Stamp]) -> None:
    """Find the files below a folder; by names alone, a Path costs as much as its file."""
    folder = os.open(root + below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(folder) as entries:  # of a handle: what lies in it is found without the way to it
            for entry in entries:
                path = f"{below}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    _stamped(root, path, found)
                elif entry.is_file():
                    seen = entry.stat()
                    found[path] = STAMP.pack(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    finally:
        os.close(folder)


def compare(now: Listing, kept: Kept) -> Difference:
    """Compare a folder with what a commit was made of; a file is read only when its stamp leaves a doubt."""
    known = kept.files
    gone = [path for path in known if path not in now.files]
    doubtful = sorted(path for path, stamp in now.files.items() if known.get(path) != stamp)
    changed = [path for path in doubtful if path in known and not _same(now.root + path, kept.contents.get(path))]
    differs = set(changed)
    sent = [path for path in doubtful if path in differs or path not in known]
    return Difference(gone, changed, doubtful, sent)


def _same(file: str, digest: bytes | None) -> bool:
    return digest is not None and _digest(pieces(file)) == digest


def _digest(content: Iterable[bytes]) -> bytes:
    made = fingerprint()
    for piece in content:
        made.update(piece)
    return made.digest()


def fingerprint() -> blake2b:
    """Begin the digest of a file's content."""
    return blake2b(digest_size=32)


def after(now: Listing, sent: Iterable[str]) -> dict[str, Stamp | None]:
    """Say what a commit of these files has to be remembered by; every other file was settled before."""
    files: dict[str, Stamp | None] = dict(now.files)
    files.update((path, None) for path in sent if not now.settled(path))
    return files


def pieces(file: str) -> Iterator[bytes]:
    """Read a file in pieces, an empty one as one; by the system's own calls: most are smaller than a file object."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield os.read(handle, PIECE)
        while piece := os.read(handle, PIECE):
            yield piece
    finally:
        os.close(handle)
