"""One model server: a process that is started, probed, started again when it ends, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cdl.embedded.seldon.endpoint import Endpoint
from cdl.embedded.seldon.plan import Wish
from cdl.embedded.seldon.probe import answers_ready

LOG = logging.getLogger("cdl.embedded.seldon")
LAUNCHER = str(Path(__file__).with_name("launch.py"))
MARK = "CDL_EMBEDDED_SELDON"
STARTING_POLL_SECONDS = 0.1
PROBE_SECONDS = 5.0
PROBES_FAILED = 3  # as Kubernetes counts before it takes a pod out of its Service
BACK_OFF_SECONDS = (0.1, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
STABLE_SECONDS = 60.0
GRACE_SECONDS = 10.0
DRAIN_SECONDS = 30.0
LOG_LIMIT = 16 << 20
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH", "TZ")
PASSED_PREFIXES = ("OMP_", "MKL_", "OPENBLAS_", "TF_", "CUDA_", "NVIDIA_", "TORCH_", "KERAS_", "NLTK_", "CDL_")


class Server:
    """Keeps the process of one wish alive. `endpoint` is set exactly while it is ready."""

    def __init__(self, wish: Wish, command: tuple[str, ...], log: Path, mark: str, changed: Callable[[], None]) -> None:
        self.wish = wish
        self.endpoint: Endpoint | None = None
        self.last_words = ""  # what it said when it ended before it was ready; empty once it is ready
        self._stopping = False
        self._command = command
        self._log = log
        self._mark = mark
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Future[asyncio.subprocess.Process] | None = None
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self, *, drain: bool = True) -> None:
        """Take it out of service, let its callers finish, end it with everything it started."""
        self._stopping = True
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            if drain and not await endpoint.drained(DRAIN_SECONDS):
                LOG.warning("%s still had callers when it was stopped", self._name)
            endpoint.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._end()

    @property
    def _name(self) -> str:
        return f"{self.wish.predictor}/{self.wish.container}[{self.wish.replica}]"

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                was_ready = await self._once()
            except OSError as error:  # no log, no process: a full disk, too many processes
                was_ready, self.last_words = False, f"it could not be started: {error.strerror or error}"
                self._changed()
            if was_ready and loop.time() - began > STABLE_SECONDS:
                failures = 0
            delay = BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]
            failures += 1
            LOG.info("%s ended; starting it again in %g s", self._name, delay)
            await asyncio.sleep(delay)

    async def _once(self) -> bool:
        """Run the process until it ends; says whether it was ever ready."""
        port = _free_port()
        offset = self._rotated()
        # A stop in this very moment must not lose the process that is being started.
        self._starting = asyncio.ensure_future(self._spawn(port))
        process = self._process = await asyncio.shield(self._starting)
        ended = asyncio.ensure_future(process.wait())
        was_ready = False
        try:
            was_ready = await self._watch(port, ended)
        finally:
            ended.cancel()
        self._sweep(process.pid)
        self._process = self._starting = None
        if not was_ready:
            self.last_words = _last_line(self._log, offset) or f"it ended with {process.returncode} and said nothing"
        self._changed()
        return was_ready

    async def _watch(self, port: int, ended: asyncio.Future[int]) -> bool:
        was_ready, failed = False, 0
        while not ended.done():
            healthy = not self.wish.probed or await answers_ready("127.0.0.1", port)
            failed = 0 if healthy else failed + 1
            if healthy and self.endpoint is None and not ended.done() and not self._stopping:
                was_ready, self.last_words = True, ""
                self.endpoint = Endpoint("127.0.0.1", port)
                self._changed()
            elif self.endpoint is not None and failed >= PROBES_FAILED:
                LOG.warning("%s no longer answers that it is ready", self._name)
                self._out_of_service()
                self._changed()
            await asyncio.wait([ended], timeout=PROBE_SECONDS if self.endpoint else STARTING_POLL_SECONDS)
        self._out_of_service()
        return was_ready

    def _out_of_service(self) -> None:
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            endpoint.close()

    async def _spawn(self, port: int) -> asyncio.subprocess.Process:
        environment = {**_inherited(os.environ), **dict(self.wish.environment), **_ports(port), MARK: self._mark}
        command = (*(self.wish.command or self._command), *self.wish.arguments)
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                LAUNCHER,
                str(os.getpid()),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    async def _end(self) -> None:
        if self._starting is None:
            return
        process = await self._starting
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE_SECONDS)
        self._sweep(process.pid)
        await process.wait()
        self._process = self._starting = None

    @staticmethod
    def _sweep(pid: int) -> None:
        """End what the process has left behind: it leads a group of its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _rotated(self) -> int:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        size = self._log.stat().st_size if self._log.exists() else 0
        if size <= LOG_LIMIT:
            return size
        self._log.replace(self._log.with_suffix(".log.1"))
        return 0


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith(PASSED_PREFIXES)}


def _ports(port: int) -> dict[str, str]:
    number = str(port)
    return {
        "CDL_HOST": "127.0.0.1",
        "PREDICTIVE_UNIT_SERVICE_PORT": number,
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": number,
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": number,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path, offset: int) -> str:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(offset, size - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")
