"""An artifact store in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cdl.ports.errors import Rejected, Unavailable
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MemoryArtifacts:
    """An ArtifactStore; a folder is needed only to hand files out."""

    def __init__(self, folder: Path, weather: Weather | None = None) -> None:
        """Start empty."""
        self.weather = weather or Weather()
        self.contents: dict[str, bytes] = {}
        self._folder = folder

    @property
    def shelf(self) -> str:
        """What every URI of `keep` begins with."""
        return "memory:///"

    def keep(self, content: bytes, suffix: str) -> str:
        """Store content and give its URI."""
        with self.weather.call("keep"):
            uri = f"{self.shelf}{hashlib.sha256(content).hexdigest()}{suffix}"
            self.contents.setdefault(uri, content)
        return uri

    def fetch(self, uri: str, sha256: str) -> Path:
        """Give a local file with the content, checked.

        Raises:
            Rejected: nothing is there, or its content has another digest.
        """
        with self.weather.call("fetch"):
            content = self.contents.get(uri)
            if content is None:
                message = f"{uri}: nothing is there"
                raise Rejected(message)
            found = hashlib.sha256(content).hexdigest()
            if found != sha256:
                message = f"{uri}: found sha256 {found}, allowed: {sha256}"
                raise Rejected(message)
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / sha256
            path.write_bytes(content)
        return path

    def hashes(self, uri: str) -> Iterator[tuple[str, str]]:
        """Read afresh what lies at a URI: a file, or every file of a folder; a file is its own path.

        Raises:
            Unavailable: that place cannot be looked at from here.
        """
        with self.weather.call("hashes"):
            if not uri.startswith("memory://") and uri not in self.contents:
                message = f"{uri}: not in memory"
                raise Unavailable(message)
            found = {place: hashlib.sha256(content).hexdigest() for place, content in self.contents.items()}
        if uri in found:
            yield uri.rpartition("/")[2], found[uri]
        folder = f"{uri}/"
        yield from ((place.removeprefix(folder), sha) for place, sha in found.items() if place.startswith(folder))
