"""Pack a folder of code so that equal files give equal bytes, whoever packs them, wherever and whenever."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT_OUT = frozenset(
    {
        "__pycache__",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".vscode",
        ".idea",
        ".DS_Store",
    }
)
LIMIT = 95 << 20
"""What Determined's master takes at most; bigger folders hold data or weights, which do not belong to code."""
IGNORE_FILE = ".detignore"


def pack(folder: Path) -> bytes:
    """Give a tar.gz of the folder's files: sorted, without times, owners and links.

    `.detignore` is honoured with shell patterns, `!` to take something back, and a trailing `/` for folders.

    Raises:
        Rejected: with reason InvalidSpec when the folder is missing, empty, too large or holds a link.
    """
    if not folder.is_dir():
        raise Rejected(f"code folder {folder}: there is no such folder", Reason.INVALID_SPEC)
    packed = io.BytesIO()
    total = count = 0
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(_files(folder)):
            content = path.read_bytes()
            total, count = total + len(content), count + 1
            if total > LIMIT:
                sentence = f"code folder {folder}: more than {LIMIT >> 20} MiB; leave data out with {IGNORE_FILE}"
                raise Rejected(sentence, Reason.INVALID_SPEC)
            archive.addfile(_member(name, content, executable=os.access(path, os.X_OK)), io.BytesIO(content))
    if not count:
        raise Rejected(f"code folder {folder}: holds no files", Reason.INVALID_SPEC)
    return packed.getvalue()


def _member(name: str, content: bytes, *, executable: bool) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o755 if executable else 0o644
    return member


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    patterns = _patterns(folder)
    for here, folders, files in os.walk(folder):
        place = Path(here)
        below = place.relative_to(folder)
        folders[:] = [f for f in folders if not _left_out(below / f, patterns, folder=True)]
        for name in files:
            if _left_out(below / name, patterns, folder=False):
                continue
            path = place / name
            if path.is_symlink() or not path.is_file():
                raise Rejected(f"code folder {folder}: {below / name} is no regular file", Reason.INVALID_SPEC)
            yield (below / name).as_posix(), path
        linked = next((f for f in folders if (place / f).is_symlink()), None)
        if linked is not None:
            raise Rejected(f"code folder {folder}: {below / linked} is a link to a folder", Reason.INVALID_SPEC)


def _patterns(folder: Path) -> tuple[str, ...]:
    path = folder / IGNORE_FILE
    if not path.is_file():
        return ()
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _left_out(path: Path | PurePosixPath, patterns: tuple[str, ...], *, folder: bool) -> bool:
    """The last pattern that fits decides; what is inside a folder that is left out is never looked at."""
    if path.name in LEFT_OUT or path.name.endswith(".pyc"):
        return True
    out = False
    for line in patterns:
        pattern = line.removeprefix("!")
        if pattern.endswith("/") and not folder:
            continue
        pattern = pattern.rstrip("/")
        whole = "/" in pattern
        subject = path.as_posix() if whole else path.name
        if fnmatchcase(subject, pattern.removeprefix("/")):
            out = not line.startswith("!")
    return out
