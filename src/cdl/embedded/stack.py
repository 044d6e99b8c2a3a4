"""Start and stop servers that outlive the command that started them, and never lose sight of one.

Each has a record beside its log: process id and the time the kernel says it started, because process ids are
used again. A record whose process is gone, or is somebody else's, counts as not running.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

START_SECONDS = 120
STOP_SECONDS = 20
KILL_SECONDS = 5
POLL_SECONDS = 0.05
ASKED_FOR = 0
"""Stands for the process id while a server is being started."""
TAIL_BYTES = 4000


class StackError(Exception):
    """A server did not come up, or would not go; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Service:
    """A server to run: its command, and how one sees that it is ready."""

    name: str
    command: tuple[str, ...]
    ready: str | Callable[[], bool]
    """How the line begins that it prints then, or a question that is asked until the answer is yes."""
    environment: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """More of the environment that nothing is written down of."""
    withheld: tuple[str, ...] = ()
    """What of our own environment it is not given."""
    patience: float = 0
    """Seconds after which it is given up; none: as long as any."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    name: str
    pid: int
    started: int
    """Clock ticks since boot, as the kernel counts them."""
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def is_as(self, service: Service) -> bool:
        """Tell whether it was started as a service is to be started."""
        return self.command == service.command and self.environment == service.environment


class Stack:
    """The servers of one home folder."""

    def __init__(self, home: Path) -> None:
        """Records and logs lie below home."""
        self._records = home / "processes"
        self._logs = home / "logs"
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the home folder, so that two commands never start the same server twice."""
        with (self._records / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def log(self, name: str) -> Path:
        """Where a server's output goes."""
        return self._logs / f"{name}.log"

    def running(self) -> dict[str, Running]:
        """Every server of ours that is alive."""
        found = {}
        for record in sorted(self._records.glob("*.json")):
            server = _read(record)
            if server is not None and server.pid == ASKED_FOR:
                server = _found(server)
            if server is not None and _alive(server.pid, server.started):
                found[server.name] = server
        return found

    def start(self, services: Sequence[Service]) -> tuple[str, ...]:
        """Make sure every service runs and is ready; give the names of those that had to be started.

        A service that runs with another command or environment than wished is started anew. One that runs and can be
        asked is waited for: whoever started it may have died before it was ready.

        Raises:
            StackError: one ended or stayed silent; the message has its last words.
        """
        there = self.running()
        started = []
        waiting: list[tuple[Service, Running, int]] = []
        for service in services:
            now = there.get(service.name)
            if now is not None and now.is_as(service):
                if not isinstance(service.ready, str):
                    waiting.append((service, now, self._end_of_log(service.name)))
                continue
            if now is not None:
                self._end([now])
            waiting.append((service, *self._spawn(service)))
            started.append(service.name)
        for service, server, offset in waiting:
            self._await(service, server, offset)
        return tuple(started)

    def stop(self, last: Sequence[str] = ()) -> tuple[str, ...]:
        """End every server of ours, the last started first; give their names.

        Those named last are ended after all others are gone, one after the other: what others need to say goodbye.

        Raises:
            StackError: one would not go, not even when killed.
        """
        servers = sorted(self.running().values(), key=lambda s: s.started, reverse=True)
        first = [s for s in servers if s.name not in last]
        then = [s for name in last for s in servers if s.name == name]
        self._end(first)
        for server in then:
            self._end([server])
        for record in self._records.glob("*.json"):
            record.unlink()
        return tuple(s.name for s in (*first, *then))

    def _end_of_log(self, name: str) -> int:
        log = self.log(name)
        return log.stat().st_size if log.exists() else 0

    def _spawn(self, service: Service) -> tuple[Running, int]:
        """Start a process in a session of its own; tell who it is and where its words begin in the log."""
        log = self.log(service.name)
        offset = self._end_of_log(service.name)
        # whoever dies right after the start has at least left word of what was started
        self._write(Running(service.name, ASKED_FOR, 0, service.command, service.environment))
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            service.command[0],
            service.command,
            _environment(service),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        server = Running(service.name, pid, _started(pid) or 0, service.command, service.environment)
        self._write(server)
        return server, offset

    def _write(self, server: Running) -> None:
        record = self._records / f"{server.name}.json"
        written = record.with_suffix(".new")
        written.write_text(json.dumps(asdict(server)))
        written.replace(record)

    def _await(self, service: Service, server: Running, offset: int) -> None:
        patience = service.patience or START_SECONDS
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._is_ready(service, offset):
                return
            how = _ended(server)
            if how:
                last = _last_words(self._since(service.name, offset)) or self._silence()
                message = f"{service.name} {how}: {last}"
                raise StackError(message)
            time.sleep(POLL_SECONDS)
        message = f"{service.name} was not ready after {patience} s; its log is {self.log(service.name)}"
        raise StackError(message)

    def _is_ready(self, service: Service, offset: int) -> bool:
        if not isinstance(service.ready, str):
            return service.ready()
        *whole, _ = self._since(service.name, offset).split("\n")
        return any(line.startswith(service.ready) for line in whole)

    def _silence(self) -> str:
        """Who has no room to write cannot say why it ended."""
        return f"it said nothing; the disk of {self._logs} has {shutil.disk_usage(self._logs).free} bytes free"

    def _since(self, name: str, offset: int) -> str:
        with self.log(name).open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _end(self, servers: Sequence[Running]) -> None:
        for how, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            left = [s for s in servers if _alive(s.pid, s.started)]
            for server in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.pid, how)
            deadline = time.monotonic() + patience
            while any(_alive(s.pid, s.started) for s in left) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        stuck = [s.name for s in servers if _alive(s.pid, s.started)]
        if stuck:
            message = f"{', '.join(stuck)} would not end"
            raise StackError(message)


def ports(home: Path, names: Sequence[str], wished: Mapping[str, int] | None = None) -> dict[str, int]:
    """Give each name a port on loopback, the same as last time where that is still free or ours.

    Raises:
        StackError: a port somebody wished for is taken by another program.
    """
    record = home / "ports.json"
    known = {**_ports_read(record), **(wished or {})}
    ours = Stack(home).running()
    chosen: dict[str, int] = {}
    for name in names:
        port = known.get(name, 0)
        mine = any(f"{name}-".startswith(f"{one}-") for one in ours) and _ports_read(record).get(name) == port
        if port and not mine and not _free(port):
            if wished and name in wished:
                message = f"port {port} ({name}) is in use by another program; choose another one"
                raise StackError(message)
            port = 0
        chosen[name] = port or _any_free({*chosen.values(), *known.values()})
    home.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({**_ports_read(record), **chosen}))
    return chosen


def _ports_read(record: Path) -> dict[str, int]:
    try:
        return {str(k): int(v) for k, v in json.loads(record.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_free(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def _environment(service: Service) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in service.withheld}
    return {**ours, **dict(service.environment), **dict(service.secrets)}


def _read(record: Path) -> Running | None:
    try:
        held = json.loads(record.read_text())
        told = tuple((str(name), str(value)) for name, value in held.get("environment", ()))
        return Running(held["name"], held["pid"], held["started"], tuple(held["command"]), told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a torn record says nothing; the data folder's own lock still keeps a second server out


def _found(server: Running) -> Running | None:
    """Find the process of a server whose starter died before it could note its id.

    No other was given the same words; of its own children, who inherit them, it is the eldest.
    """
    wanted = b"\0".join(os.fsencode(word) for word in server.command) + b"\0"
    told = {os.fsencode(f"{name}={value}") for name, value in server.environment}
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cmdline").read_bytes() == wanted and told <= {*(place / "environ").read_bytes().split(b"\0")}:
                pid = int(place.name)
                found.append(replace(server, pid=pid, started=_started(pid) or 0))
    return min(found, key=lambda one: (one.started, one.pid), default=None)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may hold blanks; empty: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _ended(server: Running) -> str:
    """Say how a server ended, nothing while it runs; only its parent learns the exit status."""
    with contextlib.suppress(ChildProcessError):
        ended, status = os.waitpid(server.pid, os.WNOHANG)
        return f"ended with {os.waitstatus_to_exitcode(status)}" if ended else ""
    return "" if _alive(server.pid, server.started) else "ended"


def _alive(pid: int, started: int) -> bool:
    """A zombie nobody waits for is dead."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z" and int(fields[19]) == started


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text[-TAIL_BYTES:].splitlines() if line.strip()]
    return lines[-1] if lines else ""
