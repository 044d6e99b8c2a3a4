"""The server's side of the nursery: run a program, hear its lines, kill it when nobody waits any more."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cdl.embedded.pachd import nursery
from cdl.embedded.pachd.refusals import RefusedError

_LONGEST_LINE = 64 * 1024
_GRACE = 5.0  # seconds in which the output of a program that has ended must be read


class Program(NamedTuple):
    """What to run."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    stdin: Path
    pfs: str  # the folder that is its /pfs; empty when there is none
    mark: str  # "NAME=value" in the environment by which what it leaves behind is known


class Children:
    """Runs user programs below the nursery; starts the nursery again if somebody kills it."""

    def __init__(self, world: Path | None) -> None:
        self._world = world  # an empty folder that becomes the programs' root; None: they live in the machine's own
        self._mounts: asyncio.Future[bool] | None = None
        self._process: Process | None = None
        self._sock: socket.socket | None = None
        self._runs: dict[int, asyncio.Future[int]] = {}
        self._groups: dict[int, int] = {}  # run -> process group
        self._last = 0

    async def _ready(self) -> socket.socket:
        if self._sock is not None:
            return self._sock
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * nursery.LARGEST)
        self._sock = ours
        self._mounts = asyncio.get_running_loop().create_future()
        if self._world is not None:
            self._world.mkdir(exist_ok=True)
        asyncio.get_running_loop().add_reader(ours, self._hear)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                nursery.__file__,
                str(theirs.fileno()),
                str(self._world or ""),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
            )
        except OSError:  # nobody may wait for a nursery that was never born
            asyncio.get_running_loop().remove_reader(ours)
            ours.close()
            self._sock = None
            self._mounts.set_result(False)
            raise
        finally:
            theirs.close()
        return ours

    def _hear(self) -> None:
        """Take what the nursery says; its silence means that it is gone and every program with it."""
        if self._sock is None:
            return
        try:
            body = self._sock.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            body = b""
        if body:
            said = json.loads(body)
            if "mounts" in said:
                if self._mounts is not None and not self._mounts.done():
                    self._mounts.set_result(bool(said["mounts"]))
                return
            waiting = self._runs.get(said["run"])
            if "pid" in said:
                self._groups[said["run"]] = said["pid"]
            elif waiting is not None and not waiting.done():
                waiting.set_result(int(said["status"]))
            return
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        self._sock = None
        if self._mounts is not None and not self._mounts.done():
            self._mounts.set_result(False)
        for run, waiting in self._runs.items():
            if not waiting.done():
                waiting.set_result(-signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError, KeyError):
                    os.killpg(self._groups[run], signal.SIGKILL)

    async def mounts(self) -> bool:
        """Tell whether a program can have a /pfs of its own."""
        await self._ready()
        return self._mounts is not None and await asyncio.shield(self._mounts)

    async def run(self, program: Program, say: Callable[[str], None]) -> int:
        """Run a program to its end, handing over its lines; when cancelled it is dead before this returns."""
        sock = await self._ready()
        self._last += 1
        run = self._last
        order = json.dumps(
            {
                "run": run,
                "argv": program.argv,
                "env": program.env,
                "cwd": str(program.cwd),
                "stdin": str(program.stdin),
                "pfs": program.pfs,
                "mark": program.mark,
            }
        ).encode()
        if len(order) >= nursery.LARGEST:
            raise RefusedError(
                f"the program's arguments and environment are {len(order)} bytes; "
                f"less than {nursery.LARGEST} are allowed"
            )
        read, write = os.pipe()
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._runs[run] = ended
        try:
            socket.send_fds(sock, [order], [write])
        except OSError:  # the nursery has just died; as if it had taken the program with it
            del self._runs[run]
            os.close(read)
            return -signal.SIGKILL
        finally:
            os.close(write)
        lines = asyncio.create_task(_read_lines(read, say))
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                sock.send(json.dumps({"kill": run}).encode())
            await ended
            raise
        finally:
            del self._runs[run]
            self._groups.pop(run, None)
            await asyncio.wait([lines], timeout=_GRACE)
            lines.cancel()

    async def close(self) -> None:
        """Let the nursery kill what is left and wait for it."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
            self._sock = None
        if self._process is not None:
            await self._process.wait()


async def _read_lines(handle: int, say: Callable[[str], None]) -> None:
    """Hand over a pipe's lines until every writer has closed it."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: protocol, os.fdopen(handle, "rb", buffering=0)
    )
    try:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as last:
                if last.partial:
                    say(last.partial.decode(errors="replace"))
                return
            except asyncio.LimitOverrunError as long:
                line = await reader.readexactly(max(long.consumed, 1))
            say(line.decode(errors="replace").rstrip("\r\n"))
    finally:
        transport.close()
