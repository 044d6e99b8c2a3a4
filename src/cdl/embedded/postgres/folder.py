"""The folder of a server: made once, whole or not at all, and used by one server at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import MAJOR, as_nobody_else, program

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER, WRITER, DATABASE = "cdl_owner", "cdl_writer", "cdl"
WAIT_SECONDS = 30
POLL_SECONDS = 0.05
INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin")
INITDB_MORE = ("--builtin-locale=C.UTF-8", "--wal-segsize=4", "--sync-method=syncfs")
DOOR = (
    "# Only over loopback, only with a password.\n"
    "host all all 127.0.0.1/32 scram-sha-256\n"
    f"host replication {OWNER} 127.0.0.1/32 scram-sha-256\n"  # for backups
)


class PostgresError(Exception):
    """The server cannot be had; the message is one sentence."""


class Folder:
    """What a server keeps: its cluster, and the passwords of its two roles, readable by the owner alone."""

    def __init__(self, data: Path) -> None:
        """Name the folder; nothing is made yet."""
        self._data = data
        self._whole = data / "server"
        self.cluster = self._whole / "cluster"

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Keep every other server out; give the lock, which the server inherits, so that it is free when all are gone.

        Raises:
            PostgresError: another server uses the folder and does not end.
        """
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._data / ".lock").open("w") as lock:
            deadline = time.monotonic() + WAIT_SECONDS
            while not _taken(lock.fileno()):
                if time.monotonic() > deadline:
                    message = f"{self._data} is in use by another server"
                    raise PostgresError(message)
                time.sleep(POLL_SECONDS)
            os.set_inheritable(lock.fileno(), True)
            yield lock.fileno()

    def prepare(self) -> None:
        """Make the cluster where there is none; sweep up what a killed server left. The folder must be held.

        Raises:
            PostgresError: it cannot be made, or another release of PostgreSQL made it.
        """
        unfinished = self._data / "new"
        shutil.rmtree(unfinished, ignore_errors=True)
        if not self._whole.exists():
            _make(unfinished)
            unfinished.rename(self._whole)
        made_by = (self.cluster / "PG_VERSION").read_text().strip()
        if made_by != MAJOR:
            message = (
                f"{self.cluster} was made by PostgreSQL {made_by}, this one is {MAJOR}; move its data with pg_dump"
            )
            raise PostgresError(message)
        # who holds the folder knows that no server lives in it; by now the process id in there may be anybody's
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    cluster = folder / "cluster"
    words = {role: secrets.token_urlsafe(24) for role in (OWNER, WRITER)}
    password = folder / "password"
    _write_secret(password, words[OWNER])
    how = (*INITDB, *INITDB_MORE, f"--username={OWNER}", f"--pwfile={password}")
    _run("initdb", f"--pgdata={cluster}", *how)
    password.unlink()
    (cluster / "pg_hba.conf").write_text(DOOR)
    # before anything listens: a database nobody else may enter, and who may write into it
    _run("postgres", "--single", "-D", str(cluster), "postgres", told=_first_words(words[WRITER]))
    for role, word in words.items():
        _write_secret(folder / f"{role}.pgpass", f"*:*:*:{role}:{word}\n")


def _first_words(password: str) -> str:
    return (
        f"CREATE ROLE {WRITER} LOGIN PASSWORD '{password}'\n"  # of our own making, without quotes in it
        f"CREATE DATABASE {DATABASE}\n"
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC\n"
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {WRITER}\n"
    )


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _run(name: str, *arguments: str, told: str = "") -> None:
    command = [*as_nobody_else(), program(name), *arguments]
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    # the server alone says of a statement that it failed, and exits with success
    failed = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR:" in line or "FATAL:" in line]
    if done.returncode or failed:
        if "No space left on device" in done.stdout + done.stderr:
            message = f"{name} could not go on: the disk is full"
            raise PostgresError(message)
        last = failed or done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        message = f"{name} ended with {done.returncode}: {last[0]}"
        raise PostgresError(message)
