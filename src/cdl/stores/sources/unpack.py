"""Take an archive apart, member by member; nothing in it can reach outside its folder, and nothing in it is run."""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from .landing import PIECE, Landing, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cdl.ports.errors import Rejected


CUT_OFF = "no end mark"
CUT_OFF_TEXTS = frozenset({CUT_OFF, "unexpected end of data"})
LONGEST_HEADER = 1 << 20
"""Bytes of a header about a header: the library takes all of it into memory."""
LONGEST_TAIL = 64 << 20
"""Bytes behind an archive's end mark; tape blocks are padded."""
LOCKED = 1
"""The flag of an encrypted member of a zip archive."""
_END: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # public, but not in the stubs
_CUT: tuple[type[tarfile.HeaderError], ...] = (
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]  # the same
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]  # the same
)
_PLAIN = (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE)


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

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type not in _PLAIN and found.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


def unpack(how: str, source: str, archive: Path, name: str, strip: int, folder: Path, limits: Limits) -> None:
    """Write the archive's regular files below the folder, without their first `strip` path components.

    Raises:
        Rejected: with reason SourceUnusable; one sentence says which archive and what is wrong with it.
    """
    landing = Landing(source, archive, name, strip, folder, limits)
    if archive.stat().st_size == 0:
        raise landing.refused(f"is empty, and no {how} archive")
    with _damage(landing):
        HOW[how](landing, archive, name)
    landing.done()


@contextmanager
def _damage(landing: Landing) -> Iterator[None]:
    """Turn whatever the libraries say of broken files into one sentence."""
    try:
        yield
    except EOFError as error:
        raise landing.refused("is cut off: the file ends before its data does") from error
    except tarfile.TarError as error:
        raise _no_tar(landing, str(error)) from error
    except zipfile.BadZipFile as error:
        raise landing.refused(f"is no zip archive that can be read ({_first_line(error)})") from error
    except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise landing.refused(f"is damaged: {_first_line(error)}") from error
    except (NotImplementedError, RuntimeError, UnicodeError, ValueError, OverflowError) as error:
        raise landing.refused(f"cannot be taken apart: {_first_line(error)}") from error
    except OSError as error:
        if error.errno is not None:  # the disk; what bz2 says of its input has no number
            raise
        raise landing.refused(f"is damaged: {_first_line(error)}") from error


def _no_tar(landing: Landing, said: str) -> Rejected:
    if said in CUT_OFF_TEXTS:
        return landing.refused("is cut off: the archive ends before its last file does")
    return landing.refused(f"is no tar archive that can be read ({said.splitlines()[0]})")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _untar(landing: Landing, archive: Path, _name: str) -> None:
    with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r:*", tarinfo=_Strict) as members:
        for member in members:
            landing.member(member.name, declared=member.size)
            if member.isdir():
                continue
            if not member.isreg():
                raise landing.link(member.name)
            if member.issparse():
                raise landing.refused(f"holds {member.name!a}, which is a sparse file; allowed: whole ones")
            landing.write(member.name, members.extractfile(member))
        tail = 0
        while piece := members.fileobj.read(PIECE):  # the checksum of a compressed file stands behind its last byte
            tail += len(piece)
            if tail > LONGEST_TAIL:
                raise landing.refused(f"goes on for more than {LONGEST_TAIL} bytes after its end")


def _unzip(landing: Landing, archive: Path, _name: str) -> None:
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            # a name stops at its first zero byte for the library; who wrote one meant to deceive somebody
            landing.member(member.orig_filename, declared=member.file_size)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise landing.link(member.filename)
            if member.is_dir():
                continue
            if member.flag_bits & LOCKED:
                raise landing.refused(f"holds {member.filename!a}, which is locked with a password")
            with members.open(member) as content:
                landing.write(member.filename, content)


def _gunzip(landing: Landing, archive: Path, name: str) -> None:
    """One file, called as the archive without its ending: the name inside is whatever its writer liked."""
    inner = name.removesuffix(".gz") or name
    landing.member(inner)
    with gzip.open(archive) as content:
        landing.write(inner, content)


HOW: dict[str, Callable[[Landing, Path, str], None]] = {"tar": _untar, "zip": _unzip, "gz": _gunzip}
"""What `unpack` in a spec may say."""
