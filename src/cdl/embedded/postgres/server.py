"""Run the server until somebody ends it; when this process is killed, the server goes with it."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

from .folder import Folder, PostgresError
from .programs import as_nobody_else, program, with_its_parent

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

START_SECONDS = 100
POLL_SECONDS = 0.02
STATUS_LINE = 7
"""Where postmaster.pid says how far the server is."""
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "16MB",
    "max_connections": "50",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm may be tiny in a container
    "max_wal_size": "256MB",
    "min_wal_size": "16MB",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_statement": "none",  # what is written is nobody's business but the table's
}


def serve(folder: Folder, port: int) -> int:
    """Serve until a signal comes; give the exit status.

    Raises:
        PostgresError: the server did not come up.
    """
    with folder.held() as lock:
        folder.prepare()
        options = [f"-c{name}={value}" for name, value in {**OPTIONS, "port": str(port)}.items()]
        command = [program("postgres"), "-D", str(folder.cluster), *options]
        asked = Asked()
        # INT asks for a fast end: clients are cut off, nothing is lost
        server = subprocess.Popen([*as_nobody_else(), *with_its_parent("INT"), *command], pass_fds=(lock,))
        asked.pass_on(server)
        _await(server, folder.cluster / "postmaster.pid", asked)
        if not asked.to_end and server.poll() is None:
            print("postgres ready", flush=True)
        status = server.wait()
        if asked.to_end:
            return 0
        message = f"ended with {status}"
        raise PostgresError(message)


class Asked:
    """Whether somebody wants the server to end; passes it on."""

    def __init__(self) -> None:
        """Listen for it from now on."""
        self.to_end = False
        self._server: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def pass_on(self, server: subprocess.Popen[bytes]) -> None:
        """Tell the server, now if it was asked before."""
        self._server = server
        if self.to_end:
            server.send_signal(signal.SIGINT)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self.to_end = True
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)


def _await(server: subprocess.Popen[bytes], record: Path, asked: Asked) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and not asked.to_end and time.monotonic() < deadline:
        if _status(record) == "ready":
            return
        time.sleep(POLL_SECONDS)
    if server.poll() is None and not asked.to_end:
        server.send_signal(signal.SIGINT)
        message = f"was not ready after {START_SECONDS} s"
        raise PostgresError(message)


def _status(record: Path) -> str:
    try:
        lines = record.read_text().splitlines()
    except OSError:
        return ""
    return lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""
