"""Processes of an allocation, found by the mark in their environment.

torchrun puts its workers into sessions of their own, so a process group is not enough.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from cdl.embedded.determined.container import COMMAND, MARK

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
KILL_WAIT = 10.0
PAUSE = 0.02


def start(env: dict[str, str], work: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the container script, its output going to a file that outlives this master."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            COMMAND,
            cwd=work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def marked(folder: Path) -> list[psutil.Process]:
    """Return the live processes of an allocation, oldest first."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(*GONE, psutil.AccessDenied, OSError):
            if process.environ().get(MARK) == str(folder):
                found.append((process.create_time(), process.pid, process))
    return [process for _, _, process in sorted(found, key=lambda each: each[:2])]


def alive(pid: int, folder: Path) -> bool:
    """Say whether pid still is a process of this allocation."""
    with contextlib.suppress(*GONE, psutil.AccessDenied, OSError):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return bool(process.environ().get(MARK) == str(folder))
    return False


def kill(folder: Path) -> bool:
    """Kill until no process of the allocation is left; say whether that succeeded.

    A process may fork while it is being looked for, hence the rounds.
    """
    deadline = time.monotonic() + KILL_WAIT
    while processes := marked(folder):
        for process in processes:
            with contextlib.suppress(*GONE):
                process.send_signal(signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def exit_code(folder: Path) -> int | None:
    """Return what the script wrote at its end, None when it never got there."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "exit").read_text())
    return None


def launched_at(folder: Path) -> float | None:
    """Return when the user's entrypoint was started, None when it was not."""
    with contextlib.suppress(OSError, ValueError):
        return float((folder / "launched").read_text())
    return None
