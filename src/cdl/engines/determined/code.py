"""Turn a code archive into what the master takes; nothing in it can reach outside its folder.

The SDK's own packer wants a folder on disk and talks to standard output while it reads it.
"""

from __future__ import annotations

import base64
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from determined.common.api import bindings

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 95 << 20
"""What the master takes at most."""
FILE, FOLDER = ord(tarfile.REGTYPE), ord(tarfile.DIRTYPE)


def model_definition(archive: Path, name: str) -> list[bindings.v1File]:
    """Read the archive's files, folders before what lies in them.

    Raises:
        Rejected: with reason InvalidSpec; one sentence names the archive and what is wrong with it.
    """
    found: dict[str, bindings.v1File] = {}
    total = 0
    try:
        with tarfile.open(archive) as members:
            for member in members:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
                    raise _wrong(name, f"holds {member.name!r}; allowed: files and folders inside of it")
                total += member.size
                if total > LIMIT:
                    raise _wrong(name, f"unpacks to more than {LIMIT >> 20} MiB, which no master takes")
                for folder in reversed(path.parents[:-1]):
                    found.setdefault(str(folder), _entry(str(folder), FOLDER, 0o755, b""))
                content = members.extractfile(member) if member.isreg() else None
                if content is not None:
                    found[str(path)] = _entry(str(path), FILE, member.mode & 0o777, content.read())
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        said = str(error).splitlines()
        raise _wrong(name, f"cannot be unpacked ({said[0] if said else type(error).__name__})") from error
    return list(found.values())


def _entry(path: str, kind: int, mode: int, content: bytes) -> bindings.v1File:
    packed = base64.b64encode(content).decode()
    return bindings.v1File(path=path, type=kind, content=packed, mtime="0", mode=mode, uid=0, gid=0)


def _wrong(name: str, what: str) -> Rejected:
    return Rejected(f"code archive {name}: {what}", Reason.INVALID_SPEC)
