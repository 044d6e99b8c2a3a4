"""Whose turn it is: one process at a time works below a folder, and none while somebody wants it to rest."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdl.ports.errors import Rejected

RESTS = "suspended by the file `suspend` beside the status; nothing is applied until it is gone"


def rests(place: Path) -> bool:
    """Say whether somebody who looks after a follower wants it to rest."""
    return (place / "suspend").exists()


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Let one process at a time work below a folder; the lock goes when the process does.

    Raises:
        Rejected: another one does.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / "lock").open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Rejected(f"{place}: another cdl gitops looks after this repository, branch and path") from error
        try:
            yield
        finally:
            # Said aloud: a program that another thread is just starting has a copy of the file, and so of the lock.
            fcntl.flock(held, fcntl.LOCK_UN)
