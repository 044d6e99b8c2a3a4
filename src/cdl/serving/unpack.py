"""From a release's bytes to a folder the model can be loaded from.

Nothing is unpacked, let alone imported, before every byte of every member has been checked: what is checked
are private copies, so a file that changes afterwards is not the one that is loaded.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cdl.serving.faults import Refused
from cdl.serving.release import Archive, Checkpoint, Release, sha256

ARCHIVE_LIMIT = 256 << 20  # code, not weights
UNPACKED_LIMIT = 1 << 30
FILES_LIMIT = 20_000
BLOCK = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """Where the parts of a release lie, each in a folder of its own."""

    code: tuple[Path, ...]
    checkpoint: Path


def unpack(release: Release, workspace: Path) -> Unpacked:
    """Check every member of the release, then lay the parts out under workspace."""
    contents = [(archive, _verified(archive)) for archive in release.archives]
    checkpoint = workspace / "checkpoint"
    _copy_verified(release.checkpoint, checkpoint)
    folders = []
    for archive, content in contents:
        folder = workspace / archive.member.rpartition(".")[2]
        _extract(archive.member, content, folder)
        folders.append(folder)
    return Unpacked(tuple(folders), checkpoint)


def _verified(archive: Archive) -> bytes:
    try:
        with archive.path.open("rb") as file:
            content = file.read(ARCHIVE_LIMIT + 1)
    except OSError as error:
        raise Refused(f"release member {archive.member} cannot be read at {archive.path}: {error.strerror}") from error
    if len(content) > ARCHIVE_LIMIT:
        raise Refused(f"release member {archive.member} is larger than {ARCHIVE_LIMIT >> 20} MiB")
    found = sha256(content)
    if found != archive.digest:
        raise Refused(
            f"release member {archive.member} does not have its digest: expected {archive.digest}, found {found}"
        )
    return content


def _copy_verified(checkpoint: Checkpoint, target: Path) -> None:
    target.mkdir(parents=True)
    for name, expected in checkpoint.files.items():
        destination = target / name
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            found = _copy(checkpoint.root / name, destination)
        except OSError as error:
            raise Refused(
                f"release member checkpoint file {name!r} cannot be read or copied: {error.strerror}"
            ) from error
        if found != expected:
            raise Refused(
                f"release member checkpoint file {name!r} does not have its digest: expected {expected}, found {found}"
            )


def _copy(source: Path, destination: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file, destination.open("xb") as copy:
        while block := file.read(BLOCK):
            digest.update(block)
            copy.write(block)
    return "sha256:" + digest.hexdigest()


def _extract(member: str, content: bytes, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for name, entry in _plain_entries(member, archive):
                destination = target / name
                if entry.isdir():
                    destination.mkdir(parents=True, exist_ok=True)
                else:
                    destination.parent.mkdir(parents=True, exist_ok=True)
                    _write(archive, entry, destination)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"release member {member} is not a readable tar.gz: {error}") from error
    except OSError as error:
        raise Refused(f"release member {member} cannot be unpacked: {error.strerror or error}") from error


def _plain_entries(member: str, archive: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    size = 0
    for number, entry in enumerate(archive):
        name = PurePosixPath(entry.name)
        if name.is_absolute() or ".." in name.parts or "\0" in entry.name:
            raise Refused(f"release member {member} holds {entry.name!r}, a path outside the archive")
        if not (entry.isreg() or entry.isdir()):
            raise Refused(f"release member {member} holds {entry.name!r}, which is neither a file nor a folder")
        size += entry.size
        if size > UNPACKED_LIMIT or number >= FILES_LIMIT:
            raise Refused(
                f"release member {member} unpacks to more than {UNPACKED_LIMIT >> 20} MiB or {FILES_LIMIT} files"
            )
        yield name, entry


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, destination: Path) -> None:
    source = archive.extractfile(entry)
    if source is None:
        return
    with source, destination.open("wb") as copy:
        while block := source.read(BLOCK):
            copy.write(block)
