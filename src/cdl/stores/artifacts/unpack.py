"""Unpack an archive of code so that nothing in it reaches outside its folder, whoever packed it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 30
"""Bytes of all files."""
MOST = 20_000
"""Files and folders."""


def inside(name: str) -> bool:
    """Say whether a name stays below a folder, and is spelled as everybody spells it."""
    path = PurePosixPath(name)
    plain = name not in {"", "."} and not path.is_absolute() and ".." not in path.parts
    return plain and str(path) == name and name.isprintable() and "\\" not in name


def unpack(content: bytes, folder: Path, named: str) -> dict[str, str]:
    """Write the files of a tar.gz below a folder; gives the path and sha256 of each.

    Raises:
        Rejected: with reason InvalidSpec: it holds something else than files and folders inside of it, too much, or
            is no tar.gz.
    """
    found: dict[str, str] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for number, member in enumerate(archive):
                name = member.name.removeprefix("./").rstrip("/")
                if member.isdir() and name in {"", "."}:
                    continue
                if not inside(name) or not (member.isreg() or member.isdir()):
                    raise _wrong(named, f"holds {member.name!r}; allowed: files and folders inside of it")
                total += member.size
                if total > LARGEST or number >= MOST:
                    raise _wrong(named, f"unpacks to more than {LARGEST >> 20} MiB or {MOST} files")
                place = folder / name
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                source = archive.extractfile(member)
                data = source.read() if source is not None else b""
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                place.chmod(0o755 if member.mode & 0o100 else 0o644)
                found[name] = hashlib.sha256(data).hexdigest()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        said = str(error).splitlines()
        raise _wrong(named, f"is no tar.gz that can be read ({said[0] if said else type(error).__name__})") from error
    return found


def _wrong(named: str, what: str) -> Rejected:
    return Rejected(f"{named}: {what}", Reason.INVALID_SPEC)
