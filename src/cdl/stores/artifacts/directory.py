"""An artifact store that is a folder: on a laptop everybody who needs it can read it."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cdl.api.conditions import Reason
from cdl.ports.errors import NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")


class DirectoryArtifacts:
    """Files called by the sha256 of their content; a name, once there, never gets other bytes."""

    def __init__(self, root: Path) -> None:
        """Keep the files below root, which is made when the first one comes."""
        self._root = root

    @property
    def shelf(self) -> str:
        """What every URI of `keep` begins with: the rest is <sha256><suffix>."""
        return f"{self._root.absolute().as_uri()}/"

    def keep(self, content: bytes, suffix: str) -> str:
        """Store content and give its URI: <shelf><sha256><suffix>. A second call changes nothing."""
        if not SUFFIX_CHARACTERS.issuperset(suffix):
            raise Rejected(f"artifact suffix: found {suffix!r}, allowed: lower-case letters, digits, '.' and '-'")
        place = self._root.absolute() / f"{hashlib.sha256(content).hexdigest()}{suffix}"
        try:
            if not _holds(place, content):
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, content)
        except OSError as error:
            raise _sorry(f"cannot keep artifact {place}", error) from error
        return place.as_uri()

    def fetch(self, uri: str, sha256: str) -> Path:
        """Give a local file with the content of the URI, checked.

        Raises:
            Rejected: nothing is there, or its content has another digest.
        """
        place = _place(uri)
        try:
            with place.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise Rejected(f"artifact {uri}: there is no such file") from error
        except OSError as error:
            raise _sorry(f"cannot read artifact {uri}", error) from error
        expected = sha256.removeprefix("sha256:")
        if found != expected:
            raise Rejected(f"artifact {uri} has sha256 {found[:12]}…, expected {expected[:12]}…")
        return place

    def hashes(self, uri: str) -> Iterator[tuple[str, str]]:
        """Read afresh what lies at a URI, kept here or not: path and sha256 of a file, or of every file of a folder.

        A file is its own path. Nothing is given where nothing is.

        Raises:
            Unavailable: that place cannot be looked at from here.
        """
        try:
            place = _place(uri)
        except Rejected as error:
            raise Unavailable(str(error)) from error
        if not place.parent.is_dir():
            raise Unavailable(f"{uri}: {place.parent} is not on this machine; is its storage mounted?")
        inside = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        for path in inside:
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Unavailable(f"cannot read {path}: {error.strerror or error}") from error
            yield (path.name if path == place else path.relative_to(place).as_posix()), found


def _place(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path:
        raise Rejected(f"artifact {uri}: found another kind of URI, allowed: file:///absolute/path")
    return Path(unquote(parts.path))


def _holds(place: Path, content: bytes) -> bool:
    """Tell whether the file is there and whole; one that a bad disk changed is written again."""
    try:
        return place.stat().st_size == len(content) and place.read_bytes() == content
    except FileNotFoundError:
        return False


def _write(place: Path, content: bytes) -> None:
    """Make the file appear whole or not at all, also when the machine stops in between."""
    descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=place.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)  # trials and servers may run as somebody else
        partial.replace(place)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sorry(doing: str, error: OSError) -> PortError:
    sentence = f"{doing}: {error.strerror or error}"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return NotPermitted(sentence)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE}:
        return Unavailable(sentence)
    return Rejected(sentence, Reason.ENGINE_REFUSED)
