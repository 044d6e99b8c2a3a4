"""The operator as a process that can be killed at any moment and comes back by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
COMMAND = [sys.executable, "-m", "tests.chaos.run_operator"]


class Operator:
    """A supervisor and its child; it is the child that works and that is killed."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        """Nothing is started yet."""
        self.log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._child: psutil.Process | None = None
        self._ports: set[int] = set()

    def start(self) -> None:
        """Start supervisor and child."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                COMMAND,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """The supervisor."""
        return self._process.pid if self._process is not None else 0

    def child(self) -> psutil.Process | None:
        """The process that works; None between two lives."""
        if self._child is not None and _alive(self._child):
            return self._child
        self._ports.clear()
        self._child = None
        try:
            children = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return None
        self._child = next((c for c in children if _alive(c)), None)
        return self._child

    def owns(self, port: int) -> bool:
        """Whether a connection from a port of loopback is the child's."""
        child = self.child()
        if child is None:
            return False
        if port not in self._ports:
            try:
                self._ports = {c.laddr.port for c in child.net_connections("tcp") if c.laddr}
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                return False
        return port in self._ports

    def kill(self) -> None:
        """Kill -9 the child, and return when it is dead."""
        child = self.child()
        if child is None:
            return
        try:
            os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + PATIENCE
        while _alive(child) and time.monotonic() < deadline:
            time.sleep(0.001)

    def stop(self) -> None:
        """End both in good order, or else by force."""
        if self._process is None:
            return
        child = self.child()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if child is not None and _alive(child):
            child.kill()

    def last_words(self, count: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-count:] if self.log.exists() else ""


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
