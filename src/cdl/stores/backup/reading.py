"""Put a home folder back from one archive: all of it, checked, or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cdl.ports.errors import Rejected

from .contents import CONTENTS, FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 20
LARGEST_CONTENTS = 1 << 28
"""Bytes of a table of contents; one of a million files is smaller."""


def restore(
    source: Path, home: Path, progress: Callable[[int, int], None] = lambda _files, _bytes: None
) -> dict[str, Any]:
    """Unpack a backup to the home folder it was taken from, which must be empty or not there; give its contents.

    Raises:
        Rejected: it is no backup, it is damaged, it was taken of another folder, or the folder is not empty.
        OSError: something cannot be read or written.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Rejected(f"{home}: found something there, allowed: an empty folder, or none yet")
    home.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".restoring-", dir=home.parent))
    try:
        contents = _checked(source, home, _unpacked(source, fresh, progress), fresh)
        if home.exists():
            home.rmdir()
        fresh.rename(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return contents


def _unpacked(source: Path, folder: Path, progress: Callable[[int, int], None]) -> dict[str, str]:
    """Write the members below the folder; give the digest of each."""
    found: dict[str, str] = {}
    size = 0
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
                    raise Rejected(f"{source}: holds {member.name!r}; a backup holds files and folders inside of it")
                archive.extract(member, folder, filter="tar")  # not `data`: that loses the modes of folders
                if member.isreg():
                    found[member.name] = _sha256(folder / member.name)
                    size += member.size
                progress(len(found), size)
            while archive.fileobj.read(PIECE):
                pass  # the checksum of the whole stands behind its last byte
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Rejected(f"{source}: is no backup, or is damaged ({str(error).splitlines()[0]})") from error
    return found


def _checked(source: Path, home: Path, found: dict[str, str], folder: Path) -> dict[str, Any]:
    table = folder / CONTENTS
    if found.pop(CONTENTS, None) is None or table.stat().st_size > LARGEST_CONTENTS:
        raise Rejected(f"{source}: holds no {CONTENTS}; it is no backup, or was cut off")
    try:
        contents: dict[str, Any] = json.loads(table.read_bytes())
        wanted, of = dict(contents["files"]), str(contents["home"])
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected(f"{source}: its {CONTENTS} cannot be read") from error
    if contents.get("format") != FORMAT:
        raise Rejected(f"{source}: has the format {contents.get('format')!r}, allowed: {FORMAT}")
    if of != str(home):
        # what was made in there names other files by their whole path
        raise Rejected(f"{source}: was taken of {of}, and belongs there: set CDL_HOME={of}")
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise Rejected(f"{source}: {wrong[0]} is not as it was when the backup was taken ({len(wrong)} such files)")
    table.unlink()
    return contents


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
