"""Take an archive apart, member by member; nothing in it can reach outside its folder."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from .faults import unusable

if TYPE_CHECKING:
    from typing import IO

    from cdl.ports.errors import Rejected


CUT_OFF = "no end mark"
_END: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # public, but not in the stubs
_CUT: tuple[type[tarfile.HeaderError], ...] = (
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]  # the same
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]  # the same
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may ask for before it counts as an attack or a mistake."""

    total: int = 64 << 30
    members: int = 5_000_000
    path: int = 1024


class _Strict(tarfile.TarInfo):
    """Tells a damaged archive from one that ends: the library takes a broken header after the first for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except _END:
            raise
        except _CUT as error:
            raise tarfile.ReadError(CUT_OFF) from error
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset}") from error


def unpack(source: str, archive: Path, name: str, strip: int, folder: Path, limits: Limits) -> None:
    """Write the archive's regular files below the folder, without their first `strip` path components.

    Raises:
        Rejected: with reason SourceUnusable; one sentence says which archive and what is wrong with it.
    """
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r:*", tarinfo=_Strict) as members:
            written = _extract(source, members, name, strip, folder, limits)
            while members.fileobj.read(1 << 20):
                pass  # the checksum of a compressed file stands behind its last byte
    except EOFError as error:
        raise unusable(source, f"{name} is cut off: the file ends before its data does") from error
    except tarfile.TarError as error:
        raise _broken(source, archive, name, error) from error
    except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise unusable(source, f"{name} is damaged: {error}") from error
    if not written:
        raise unusable(source, f"{name} holds no files" + (f" after strip: {strip}" if strip else ""))


def _broken(source: str, archive: Path, name: str, error: tarfile.TarError) -> Rejected:
    if archive.stat().st_size == 0:
        return unusable(source, f"{name} is empty, and no tar archive")
    if str(error) in {CUT_OFF, "unexpected end of data"}:
        return unusable(source, f"{name} is cut off: the archive ends before its last file does")
    return unusable(source, f"{name} is no tar archive that can be read ({str(error).splitlines()[0]})")


def _extract(source: str, members: tarfile.TarFile, name: str, strip: int, folder: Path, limits: Limits) -> int:
    total = written = 0
    for count, member in enumerate(members, 1):
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise unusable(source, f"{name} holds {member.name!r}, which points outside of it")
        if len(member.name) > limits.path or count > limits.members:
            raise unusable(source, f"{name} holds more than {limits.members} members or a path of {limits.path}")
        if member.isdir():
            continue
        if not member.isreg():
            raise unusable(source, f"{name} holds {member.name!r}, which is a link or a device; allowed: regular files")
        total += member.size
        if total > limits.total:
            raise unusable(source, f"{name} unpacks to more than {limits.total} bytes")
        inner = [part for part in path.parts if part != "."][strip:]
        if not inner:
            continue
        _write(source, name, members.extractfile(member), folder.joinpath(*inner))
        written += 1
    return written


def _write(source: str, name: str, content: IO[bytes] | None, target: Path) -> None:
    if content is None:
        raise unusable(source, f"{name} holds {target.name!r}, which cannot be read")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise unusable(source, f"{name} holds {target.name!r} where another file lies already") from error
