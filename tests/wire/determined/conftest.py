"""One embedded master for most tests; the real SDK as its client."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from determined.experimental.client import Determined, Experiment

TRIALS = Path(__file__).with_name("trials")
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(said: Callable[[], object], patience: float = PATIENCE) -> object:
    """Return the first truthy answer."""
    deadline = time.monotonic() + patience
    while not (answer := said()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


@dataclass
class Server:
    """A master process that may be killed and started again on the same folder and port."""

    data: Path
    port: int
    slots: int = 2
    process: subprocess.Popen[str] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        name = "cdl.embedded.determined"
        words = ["--data", str(self.data), "--port", str(self.port), "--slots", str(self.slots)]
        return [sys.executable, "-m", name, *words]

    def start(self) -> "Server":
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"determined ready {self.url}\n"
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)
        return self.process.returncode

    def client(self) -> Determined:
        return Determined(self.url, user="determined", password="")

    def trial_processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DET_MASTER") == self.url:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


@pytest.fixture(scope="session", autouse=True)
def _sdk_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DET_DEBUG_CONFIG_PATH", str(tmp_path_factory.mktemp("sdk")))
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("master"), free_port()).start()
    yield started
    assert started.stop() == 0
    assert started.trial_processes() == []


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "master", free_port()).start()
    yield started
    if started.process is not None and started.process.poll() is None:
        started.stop()
    assert started.trial_processes() == []


@pytest.fixture(scope="session")
def client(server: Server) -> Determined:
    return server.client()


def config(hparams: dict | None = None, searcher: dict | None = None, **rest: object) -> dict:
    return {
        "name": "core",
        "entrypoint": "python3 train.py",
        "max_restarts": 0,
        "hyperparameters": hparams or {},
        "searcher": {"name": "single", "metric": "loss", **(searcher or {})},
        "reproducibility": {"experiment_seed": 1},
        **rest,
    }


@pytest.fixture
def run() -> Callable[..., Experiment]:
    """Create a Core API experiment."""

    def create(client: Determined, *args: object, program: str = "core", **kwargs: object) -> Experiment:
        return client.create_experiment(config(*args, **kwargs), TRIALS / program)

    return create


def state(experiment: Experiment) -> str:
    experiment.reload()
    return experiment.state.name


def ends(experiment: Experiment) -> str:
    """Wait for the end; a paused experiment is not one."""
    until(lambda: state(experiment) in ("COMPLETED", "CANCELED", "ERROR"))
    return experiment.state.name


os.environ.pop("DET_MASTER", None)
