"""Copy a server's folder, while it serves or while it does not: what a backup holds of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from .folder import OWNER, PostgresError
from .programs import program

if TYPE_CHECKING:
    from pathlib import Path

LEFT_BEHIND = shutil.ignore_patterns("postmaster.pid", "postmaster.opts")


def copy(data: Path, port: int | None, target: Path) -> None:
    """Copy the folder `data` to `target`, as of one moment; with a port the server there is asked for it.

    Raises:
        PostgresError: it was refused.
    """
    if port is None:
        shutil.copytree(data / "server", target / "server", ignore=LEFT_BEHIND)
        return
    whole = target / "server"
    whole.mkdir(parents=True, mode=0o700)
    for secret in (data / "server").glob("*.pgpass"):
        shutil.copy2(secret, whole)
    where = ("--host=127.0.0.1", f"--port={port}", f"--username={OWNER}", "--no-password")
    how = (f"--pgdata={whole / 'cluster'}", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
    environment = os.environ | {"PGPASSFILE": str(whole / f"{OWNER}.pgpass")}
    command = [program("pg_basebackup"), *where, *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        message = f"pg_basebackup ended with {done.returncode}: {last}"
        raise PostgresError(message)
