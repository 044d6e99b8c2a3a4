"""Where the files of an archive come to lie: checks each path, counts bytes, and writes below one folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .faults import unusable

if TYPE_CHECKING:
    from typing import Protocol

    from cdl.ports.errors import Rejected

    class Content(Protocol):
        """What a member's bytes are read from."""

        def read(self, size: int, /) -> bytes:
            """Give the next bytes; none at the end."""


PIECE = 1 << 20
LONGEST_PART = 255
"""Bytes of one component of a path that file systems take."""
SHOWN = 80
"""Characters of a hostile path that a sentence repeats."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may ask for before it counts as an attack or a mistake."""

    total: int = 64 << 30
    members: int = 5_000_000
    path: int = 1024
    ratio: int = 250
    """How many times its own size it may unpack to."""
    small: int = 256 << 20
    """Bytes that are nothing to fear, whatever they were packed into."""


class Landing:
    """The folder that one archive is taken apart into."""

    def __init__(self, source: str, archive: Path, name: str, strip: int, folder: Path, limits: Limits) -> None:
        """Take files of the archive called name, without their first `strip` path components."""
        self._source, self._name, self._strip = source, name, strip
        self._packed, self._folder, self._limits = archive.stat().st_size, folder, limits
        self._members = self._bytes = self._files = 0

    def refused(self, what: str) -> Rejected:
        """Give the refusal of the archive; `what` goes on after its name."""
        return unusable(self._source, f"{self._name} {what}")

    def member(self, path: str, *, declared: int = 0) -> None:
        """Judge a member by its path, and by how large it says it is, before anything of it is read.

        Raises:
            Rejected: it points outside, cannot be a path here, or is too much.
        """
        self._members += 1
        if self._members > self._limits.members:
            raise self.refused(f"holds more than {self._limits.members} members")
        wrong = _fault(path, self._limits.path)
        if wrong:
            raise self.refused(f"holds {_shown(path)}, which {wrong}")
        self._weigh(self._bytes + declared)

    def link(self, path: str) -> Rejected:
        """Refuse a member that is neither a file nor a folder."""
        return self.refused(f"holds {_shown(path)}, which is a link or a device; allowed: regular files")

    def write(self, path: str, content: Content | None) -> None:
        """Write a member that was judged; nothing when all of its path is dropped.

        Raises:
            Rejected: another one lies there, or there is more in it than it said.
        """
        if content is None:
            raise self.refused(f"holds {_shown(path)}, which cannot be read")
        inner = [part for part in PurePosixPath(path).parts if part != "."][self._strip :]
        if not inner:
            return
        target = self._folder.joinpath(*inner)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                while piece := content.read(PIECE):
                    self._bytes += len(piece)
                    self._weigh(self._bytes)
                    out.write(piece)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise self.refused(f"holds {target.name!r} where another file lies already") from error
        self._files += 1

    def done(self) -> None:
        """Say that all was read.

        Raises:
            Rejected: there was no file in it.
        """
        if not self._files:
            raise self.refused("holds no files" + (f" after strip: {self._strip}" if self._strip else ""))

    def _weigh(self, unpacked: int) -> None:
        limits = self._limits
        if unpacked > limits.total:
            raise self.refused(f"unpacks to more than {limits.total} bytes")
        if unpacked > limits.small and unpacked > limits.ratio * self._packed:
            raise self.refused(f"unpacks to more than {limits.ratio} times its size")


def _fault(path: str, longest: int) -> str:
    """Say what is wrong with a member's path; empty: nothing is."""
    parts = PurePosixPath(path).parts
    if not path.strip("/ "):
        return "is no name"
    if path.startswith("/") or ".." in parts:
        return "points outside of it"
    if "\\" in path:
        return "has a backslash, which is a folder's mark elsewhere; allowed: /"
    if not path.isprintable():
        return "has characters that cannot be printed"
    if len(path.encode()) > longest:
        return f"is longer than a path of {longest} bytes"
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"has a part of more than {LONGEST_PART} bytes"
    return ""


def _shown(path: str) -> str:
    text = ascii(path)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…'"
