"""Read what two Releases name, and compare it; nothing of an archive is ever written anywhere."""

from __future__ import annotations

import json
import tarfile
import zlib
from typing import TYPE_CHECKING

from cdl.ports.errors import PortError
from cdl.reconcile.release import Silence
from cdl.reconcile.release.diff import PARTS, SIDES, ReleaseFacts

from .verify import kept_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.data import DataHistory

LARGEST = 256 << 20
"""Bytes of all files of an archive that is compared file by file."""
DOCUMENTS = {"config": ("experiment", "config"), "lock": ("environment", "lock"), "report": ("evaluation", "report")}


class _Reading:
    """Reads one Release, and notes what it could not."""

    def __init__(self, artifacts: ArtifactStore, data: DataHistory | Silence, release: Release, largest: int) -> None:
        self._largest = largest
        self.why: dict[str, str] = {}
        self._artifacts = artifacts
        self._data = data
        self._release = release
        kept = kept_list(artifacts, release)
        self._listed = None if isinstance(kept, Silence) else kept

    def at(self, *path: str) -> JsonValue:
        found: JsonValue = self._release.spec.members
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def code(self, part: str) -> Mapping[str, bytes] | None:
        place = self._place(part, "code", part)
        try:
            return dict(_files(place, self._largest)) if place is not None else None
        except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
            self.why[part] = f"the archive cannot be read: {error}"
            return None

    def document(self, name: str) -> JsonValue:
        place = self._place(name, *DOCUMENTS[name])
        try:
            found: JsonValue = json.loads(place.read_bytes()) if place is not None else None
        except (OSError, ValueError) as error:
            self.why[name] = f"the document cannot be read: {error}"
            return None
        return found

    def side(self, side: str) -> Mapping[str, str] | None:
        if self._listed is not None:
            return self._listed[side]
        repo, commit = self.at("data", side, "repo"), self.at("data", side, "commit")
        if isinstance(self._data, Silence):
            self.why[side] = f"the data engine was not asked: {self._data.why}"
            return None
        try:
            found = self._data.manifest(str(repo), str(commit), self._release.metadata.namespace)
        except PortError as error:
            self.why[side] = str(error)
            return None
        if found is None:
            self.why[side] = f"commit {commit} of {repo} is not there any more"
        return found

    def _place(self, name: str, *path: str) -> Path | None:
        uri, digest = self.at(*path, "uri"), self.at(*path, "digest")
        if not isinstance(uri, str) or not isinstance(digest, str):
            self.why[name] = "the release does not say where it is kept"
            return None
        try:
            return self._artifacts.fetch(uri, digest.removeprefix("sha256:"))
        except PortError as error:
            self.why[name] = str(error)
            return None


def gather(
    artifacts: ArtifactStore, data: DataHistory | Silence, release: Release, largest: int = LARGEST
) -> ReleaseFacts:
    """Read everything that a comparison may stand on; what cannot be read is left out, with the reason."""
    reading = _Reading(artifacts, data, release, largest)
    parts = [part for part in PARTS if reading.at("code", part) is not None]
    return ReleaseFacts(
        release,
        code={part: reading.code(part) for part in parts},
        data={side: reading.side(side) for side in SIDES},
        config=reading.document("config"),
        lock=reading.document("lock"),
        report=reading.document("report"),
        why=reading.why,
    )


def _files(place: Path, largest: int) -> Iterator[tuple[str, bytes]]:
    """Give the regular files of an archive; a file that is none stands for itself.

    Raises:
        ValueError: it holds more than anybody compares.
    """
    if not tarfile.is_tarfile(place):
        yield place.name, place.read_bytes()
        return
    total = 0
    with tarfile.open(place) as archive:
        for member in archive:
            total += member.size
            if total > largest:
                message = f"it holds more than {largest} bytes"
                raise ValueError(message)
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name, content.read()
