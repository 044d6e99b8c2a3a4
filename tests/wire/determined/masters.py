"""A master process, and what tests ask of it through the real SDK."""

import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

with warnings.catch_warnings():
    # The SDK uses its own deprecated classes while it is imported.
    warnings.simplefilter("ignore", FutureWarning)
    from determined.common.api.errors import APIException, NotFoundException
    from determined.experimental.client import Determined, Experiment, ExperimentState

__all__ = ["APIException", "Determined", "Experiment", "ExperimentState", "NotFoundException"]
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
    """A master process that may be killed and started again on the same folder and port; port 0 means any."""

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
        said = self.process.stdout.readline()
        self.port = self.port or int(said.rpartition(":")[2])
        assert said == f"determined ready {self.url}\n"
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


def state(experiment: Experiment) -> str:
    experiment.reload()
    return experiment.state.name


def ends(experiment: Experiment) -> str:
    """Wait for the end; a paused experiment is not one."""
    until(lambda: state(experiment) in ("COMPLETED", "CANCELED", "ERROR"))
    return experiment.state.name


def create(client: Determined, *args: object, program: str = "core", **kwargs: object) -> Experiment:
    return client.create_experiment(config(*args, **kwargs), TRIALS / program)


def logs(experiment: Experiment, trial: int = 0, tail: int | None = None) -> str:
    return "".join(experiment.list_trials()[trial].iter_logs(tail=tail))
