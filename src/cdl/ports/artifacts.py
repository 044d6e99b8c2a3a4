"""Files kept by their content: code archives and release documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ArtifactStore(Protocol):
    """A place that training and serving processes can read too."""

    @property
    def shelf(self) -> str:
        """What every URI of `keep` begins with: the rest is <sha256><suffix>."""

    def keep(self, content: bytes, suffix: str) -> str:
        """Store content and give its URI: <shelf><sha256><suffix>. A second call changes nothing."""

    def fetch(self, uri: str, sha256: str) -> Path:
        """Give a local file with the content of the URI, checked.

        Raises:
            Rejected: nothing is there, or its content has another digest.
        """

    def hashes(self, uri: str) -> Iterator[tuple[str, str]]:
        """Read afresh what lies at a URI, kept here or not: path and sha256 of a file, or of every file of a folder.

        A file is its own path. Nothing is given where nothing is.

        Raises:
            Unavailable: that place cannot be looked at from here.
        """
