"""A collector of sources in memory: places are a dictionary, archives are real ones."""

from __future__ import annotations

import hashlib
import io
import itertools
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Source, Split
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.datapipeline import SourceSeen
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


def archive(files: dict[str, str]) -> bytes:
    """Pack files as a tar archive; same files, same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


class MemorySources:
    """A SourceCollector. A uri whose host is not in `places` answers that nothing is there."""

    def __init__(self, folder: Path, weather: Weather | None = None) -> None:
        """Start with nothing published and nothing at hand."""
        self.weather = weather or Weather()
        self.places: dict[str, bytes] = {}
        """What is published, by uri."""
        self.silent: set[str] = set()
        """Places that do not answer."""
        self.fetched: list[str] = []
        """The uris that were read, in order."""
        self._kept: dict[tuple[str, str | None], bytes] = {}
        self._due: dict[tuple[str, str | None], datetime] = {}
        """The newest due time that each was fetched for."""
        self._folder = folder
        self._numbers = itertools.count(1)

    def look(self, sources: tuple[Source, ...]) -> tuple[SourceSeen, ...]:
        """Say which sources are at hand; fetches nothing."""
        with self.weather.call("look at sources"):
            return tuple(
                SourceSeen(s.name, _digest(self._kept.get((s.uri, s.sha256))), self._due.get((s.uri, s.sha256)))
                for s in sources
            )

    def collect(self, source: Source, due: datetime | None = None) -> None:
        """Fetch a source, its mirrors after it, and check it.

        Raises:
            Rejected: no place has it with the right checksum.
            Unavailable: nobody answered at any of its places.
        """
        with self.weather.call(f"collect {source.name}"):
            place = (source.uri, source.sha256)
            if place in self._kept and (due is None or (place in self._due and self._due[place] >= due)):
                return
            faults: list[str] = []
            for uri in (source.uri, *source.mirrors):
                content, fault = self._fetch(source, uri)
                if content is not None:
                    self._kept[place] = content
                    if due is not None:
                        self._due[place] = due
                    return
                if fault:
                    faults.append(fault)
            if not faults:
                message = f"source {source.name}: nobody answers at {source.uri}"
                raise Unavailable(message)
            raise Rejected(faults[0], Reason.SOURCE_UNUSABLE)

    def lay_out(self, sources: tuple[Source, ...], split: Split | None, side: Side) -> Path:
        """Give a folder with exactly the files of a side.

        Raises:
            Rejected: an archive cannot be taken apart.
        """
        with self.weather.call(f"lay out {side}"):
            made = self._folder / f"{side}-{next(self._numbers)}"
            made.mkdir(parents=True)
            for source in sources:
                for name, content in self._files(source):
                    if (source.side or _side(content, split)) is side:
                        path = made / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(content)
            return made

    def _fetch(self, source: Source, uri: str) -> tuple[bytes | None, str]:
        if uri in self.silent:
            return None, ""
        self.fetched.append(uri)
        content = self.places.get(uri)
        if content is None:
            return None, f"source {source.name}: nothing is at {uri}"
        if source.sha256 not in {None, _digest(content)}:
            found = _digest(content)
            return None, f"source {source.name}: {uri} has sha256 {found}, allowed: {source.sha256}"
        return content, ""

    def _files(self, source: Source) -> Iterator[tuple[str, bytes]]:
        content = self._kept.get((source.uri, source.sha256))
        if content is None:
            message = f"source {source.name}: is not at hand; collect it first"
            raise Unavailable(message)
        if source.unpack == "none":
            yield PurePosixPath(source.uri).name, content
            return
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                for entry in tar:
                    taken = tar.extractfile(entry)
                    kept = PurePosixPath(entry.name).parts[source.strip :]
                    if taken is not None and kept:
                        yield str(PurePosixPath(*kept)), taken.read()
        except tarfile.TarError as error:
            message = f"source {source.name}: found no whole tar archive ({error})"
            raise Rejected(message, Reason.SOURCE_UNUSABLE) from error


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _side(content: bytes, split: Split | None) -> Side:
    """Equal bytes, equal side: the digest of the bytes and the seed is all that counts."""
    seed, share = (split.seed, split.test) if split else (0, 0.0)
    point = int.from_bytes(hashlib.sha256(f"{seed}:".encode() + content).digest()[:8], "big") / 2**64
    return Side.TEST if point < share else Side.TRAIN
