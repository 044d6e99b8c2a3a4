"""The embedded engines, each a process of its own, for the drivers to talk to."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One embedded server on a folder of its own."""

    def __init__(self, module: str, data: Path, *options: str) -> None:
        self.module, self.data, self.options = module, data, options
        self.port = free_port()
        self.log = data.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", f"cdl.embedded.{self.module}", "--data", str(self.data)]
        command += ["--host", "127.0.0.1", "--port", str(self.port), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                },
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"{self.module} ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        pytest.fail(f"{self.module} did not listen: {self.log.read_text()[-2000:]}")

    def stop(self, sign: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)
            self.process.wait(60)


def eventually(look, holds, seconds: float = 60):
    """Give the first look for which `holds`; fail with the last one."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            pytest.fail(f"did not become true within {seconds} s: {seen}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Files that an embedded pachd may read by itself."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def pachd(tmp_path_factory, shared):
    server = Server(
        "pachd",
        tmp_path_factory.mktemp("pachd") / "state",
        "--allow-file-root",
        str(shared),
        "--map",
        f"/opt/cdl/pipelines={ROOT / 'pipelines'}",
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def data_address(request):
    """The pachd that the contract is about: the embedded one, or the one that `--pachd` names."""
    return request.config.getoption("--pachd") or request.getfixturevalue("pachd").address


@pytest.fixture(scope="session")
def master(tmp_path_factory):
    server = Server("determined", tmp_path_factory.mktemp("determined") / "state", "--slots", "2")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def seldon(tmp_path_factory):
    command = f"cdl/serving:test={sys.executable} -m cdl.serving"
    router = str(free_port())
    server = Server("seldon", tmp_path_factory.mktemp("seldon") / "state", "--router-port", router, "--image", command)
    server.start()
    yield server
    server.stop()
