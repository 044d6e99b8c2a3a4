"""Ours: the driver of DataPipelines and the embedded pachd, a process of its own, as `cdl run` has them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.training import Dataset
from cdl.training.data import fetch_version

from .materials import gone

ROOT = Path(__file__).parents[2]
HIGHEST = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
PATIENCE = 60


class Pachd:
    """The embedded server on a folder of its own."""

    def __init__(self, place: Path, roots: Path) -> None:
        """Start it; files below `roots` it may read by itself."""
        self.place = place
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "cdl.embedded.pachd", "--data", str(place), "--port", str(self.port)]
        with place.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--allow-file-root", str(roots)], stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"the embedded pachd did not start; see {place.with_suffix('.log')}")

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def highest(self) -> float:
        """Its memory at its highest since it started, in MiB."""
        found = HIGHEST.search(Path(f"/proc/{self._process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def stop(self) -> None:
        """End it, and throw away what it kept."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        gone(self.place)


@dataclass(slots=True)
class Ingest:
    """A commit of the input repository: what the operator does after a source was laid out."""

    pachd: Pachd
    place: Path
    by_itself: bool
    """The server reads the files; otherwise they are sent to it, as to one on another machine."""
    key: Key
    name: str = ""
    _engine: PachydermEngine = field(init=False)
    _commits: int = 0

    def __post_init__(self) -> None:
        """Connect."""
        root = self.place if self.by_itself else None
        programs = ROOT / "pipelines"
        self._engine = PachydermEngine(self.pachd.address, steps_image="none", programs=programs, file_root=root)
        self.name = "cdl ingest" if self.by_itself else "cdl ingest, sent"

    def commit(self, folder: Path) -> float:
        """Make the head hold exactly the folder."""
        self._commits += 1
        begun = time.perf_counter()
        self._engine.ingest(self.key, Side.TRAIN, f"k{self._commits}", folder)
        return time.perf_counter() - begun

    def read_back(self) -> float:
        """Fetch it as a trial does: as one stream into an empty cache, listed and checked."""
        side = next(s for s in self._engine.look(self.key, DataPipelineSpec()).sides if s.side is Side.TRAIN)
        cache = self.place / "trial cache"
        gone(cache)
        version = Dataset("127.0.0.1", self.pachd.port, self.key.namespace, side.repo, side.head or "")
        begun = time.perf_counter()
        with _silence():
            fetch_version(version, cache)
        return time.perf_counter() - begun


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield
