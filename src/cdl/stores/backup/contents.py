"""What of a home folder is worth keeping, and what the table of contents looks like."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = "cdl-backup/1"
CONTENTS = "backup.json"
"""The table of contents: the last member, with every other one's digest."""
DATABASES_FIRST = ("resources.db", "determined", "pachd", "seldon")
"""In this order what is named is never copied before what names it: files are only ever added behind a name."""
LEFT_OUT = frozenset({"cache", "processes", "logs", "ports.json", "kubeconfig"})
"""Made again by whoever needs it, or true of these processes alone."""
SCRATCH = frozenset({"pachd/scratch", "pachd/incoming", "determined/runs", "determined/home", "postgres"})
"""Of work that is going on; PostgreSQL is copied by its own program."""
SQLITE = b"SQLite format 3\x00"
BESIDE_SQLITE = ("-wal", "-shm", "-journal")


def files(home: Path) -> Iterator[Path]:
    """Give what is kept, databases before everything else."""
    found = [path for path in sorted(home.rglob("*")) if _is_kept(path, home)]
    databases = [path for path in found if is_database(path)]
    databases.sort(key=lambda path: _rank(path, home))
    yield from databases
    named = set(databases)
    yield from (path for path in found if path not in named)


def is_database(path: Path) -> bool:
    """Tell an SQLite database by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def _rank(path: Path, home: Path) -> int:
    top = path.relative_to(home).parts[0]
    return DATABASES_FIRST.index(top) if top in DATABASES_FIRST else len(DATABASES_FIRST)


def _is_kept(path: Path, home: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.name.endswith(BESIDE_SQLITE):
        return False
    inside = PurePosixPath(path.relative_to(home).as_posix())
    if inside.parts[0] in LEFT_OUT or any(str(place) in SCRATCH for place in (inside, *inside.parents)):
        return False
    return not (path.name == "lock" or path.name.startswith((".lock", ".partial-")) or path.suffix == ".lock")
