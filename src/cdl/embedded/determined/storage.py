"""Checkpoint files where this master can reach them: a directory on this machine."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from cdl.embedded.determined.errors import ApiError, Code, invalid, missing
from cdl.embedded.determined.fields import Tree, text

BLOCK = 1 << 20


def reachable(storage: Tree) -> bool:
    """Say whether the files are on this machine."""
    return storage.get("type") == "directory"


def root(storage: Tree) -> Path:
    """Return the folder of all checkpoints of a storage that is on this machine."""
    return Path(text(storage, "container_path"))


def folder(storage: Tree, uuid: str) -> Path:
    """Return the folder of a checkpoint.

    Raises:
        ApiError: the storage is not a directory here, or the files are gone.
    """
    if not reachable(storage):
        raise ApiError(
            Code.UNIMPLEMENTED,
            f"checkpoint {uuid} lies in {storage.get('type')} storage; download it directly from there",
        )
    found = Path(text(storage, "container_path")) / uuid
    if not found.is_dir():
        raise missing(f"checkpoint {uuid}: no files at its storage")
    return found


def archive(path: Path, mode: Literal["w", "w:gz"]) -> Iterator[bytes]:
    """Yield a tar or tar.gz of a folder's content."""
    with TemporaryFile() as spool:
        with tarfile.open(fileobj=spool, mode=mode) as tar:
            tar.add(path, arcname=".")
        spool.seek(0)
        while block := spool.read(BLOCK):
            yield block


def remove(storage: Tree, uuid: str, globs: list[str]) -> dict[str, str]:
    """Delete matching files and return the sizes of what remains; no globs only looks.

    Raises:
        ApiError: the storage is not a directory here, or a glob leaves the checkpoint.
    """
    if not reachable(storage):
        raise ApiError(Code.UNIMPLEMENTED, f"checkpoint {uuid} lies in {storage.get('type')} storage; delete it there")
    path = Path(text(storage, "container_path")) / uuid
    if not path.is_dir():
        return {}
    for pattern in globs:
        if pattern.startswith("/") or ".." in pattern.split("/") or not pattern:
            raise invalid(f"glob {pattern!r} must be relative and stay inside the checkpoint")
    for pattern in globs:
        for found in list(path.glob(pattern)):
            _delete(found)
    left = {
        f"{found.relative_to(path)}{'/' if found.is_dir() else ''}": str(0 if found.is_dir() else found.stat().st_size)
        for found in sorted(path.rglob("*"))
    }
    if not any(not name.endswith("/") for name in left):
        shutil.rmtree(path, ignore_errors=True)
        return {}
    return left


def _delete(found: Path) -> None:
    if found.is_dir() and not found.is_symlink():
        shutil.rmtree(found, ignore_errors=True)
    else:
        found.unlink(missing_ok=True)
