"""What a trial's processes see: their environment, folder, and the script they run.

The unmodified harness is made for a container; ``site/`` on PYTHONPATH repoints its fixed
paths to a folder of the allocation.
"""

import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from cdl.embedded.determined.config import variables
from cdl.embedded.determined.records import Allocation, Experiment, Trial

SITE = Path(__file__).with_name("site")
# Marks every process of an allocation. The allocation's id would not do: it follows from the seed,
# so two masters on one machine may use the same ones.
MARK = "CDL_ALLOCATION_DIR"
PORTS = ("C10D_PORT", "DTRAIN_SSH_PORT")
PEER_PORTS = 16  # the harness adds a rank to each of its two base ports
# The exit code goes to a file: after a restart the master is no longer the parent.
SCRIPT = """
python3 "$0"
code=$?
echo "$code" > "$CDL_ALLOCATION_DIR/exit.new" && mv "$CDL_ALLOCATION_DIR/exit.new" "$CDL_ALLOCATION_DIR/exit"
exit "$code"
"""
COMMAND = ["/bin/sh", "-c", SCRIPT, str(SITE / "cdl_container.py")]
PASSED_ON = ("LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Place:
    """Where this master lives."""

    data: Path
    url: str
    cluster_id: str

    @property
    def home(self) -> Path:
        """The HOME of every trial."""
        return self.data / "home"

    def folder(self, allocation_id: str) -> Path:
        """The folder of an allocation; gone when it ends."""
        return self.data / "runs" / allocation_id

    def log(self, trial_id: int, run_id: int) -> Path:
        """The log of one run of a trial; kept."""
        return self.data / "logs" / str(trial_id) / f"{run_id}.log"


def prepare(place: Place, allocation_id: str) -> Path:
    """Make the folders of an allocation and return its working folder."""
    folder = place.folder(allocation_id)
    for name in ("work", "info", "train/model", "train/logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    place.home.mkdir(parents=True, exist_ok=True)
    return folder / "work"


def environment(
    place: Place,
    experiment: Experiment,
    trial: Trial,
    allocation: Allocation,
    user: tuple[str, str],
    latest_checkpoint: tuple[str, int] | None,
) -> dict[str, str]:
    """Return the whole environment of a trial; nothing of the operator's own travels with it."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env |= {"OMP_NUM_THREADS": "1"} | variables(experiment.config)
    env |= _surroundings(place, env.get("PYTHONPATH", ""), allocation)
    env |= _identity(place, trial, allocation, user)
    env |= {
        "DET_EXPERIMENT_ID": str(experiment.id),
        "DET_EXPERIMENT_CONFIG": json.dumps(experiment.config),
        "DET_HPARAMS": json.dumps(trial.hparams),
        "DET_STEPS_COMPLETED": str(latest_checkpoint[1] if latest_checkpoint else 0),
    }
    if latest_checkpoint:
        env["DET_LATEST_CHECKPOINT"] = latest_checkpoint[0]
    return env | _ports(env)


def _surroundings(place: Place, pythonpath: str, allocation: Allocation) -> dict[str, str]:
    path = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    folder = place.folder(allocation.id)
    found = {
        "PATH": f"{Path(sys.executable).parent}:{path}",
        "HOME": str(place.home),
        "PYTHONPATH": f"{SITE}:{pythonpath}" if pythonpath else str(SITE),
        "PYTHONUNBUFFERED": "1",
        MARK: str(folder),
    }
    if sys.platform == "linux":
        found["GLOO_SOCKET_IFNAME"] = "lo"  # peers are on this machine, whatever its name resolves to
    return found


def _identity(place: Place, trial: Trial, allocation: Allocation, user: tuple[str, str]) -> dict[str, str]:
    return {
        "DET_MASTER": place.url,
        "DET_CLUSTER_ID": place.cluster_id,
        "DET_AGENT_ID": "local",
        "DET_CONTAINER_ID": allocation.id,
        "DET_SLOT_IDS": json.dumps(allocation.slot_ids),
        "DET_TASK_ID": allocation.task_id,
        "DET_ALLOCATION_ID": allocation.id,
        "DET_SESSION_TOKEN": allocation.token,
        "DET_TASK_TYPE": "TRIAL",
        "DET_RESOURCES_ID": allocation.id,
        "DET_RESOURCES_TYPE": "docker-container",
        "DET_USER": user[0],
        "DET_USER_TOKEN": user[1],
        "DET_USE_TLS": "false",
        "DET_SEGMENT_ENABLED": "false",
        "DET_TRIAL_ID": str(trial.id),
        "DET_TRIAL_RUN_ID": str(allocation.run_id),
        "DET_TRIAL_SEED": str(trial.seed),
    }


def _ports(env: dict[str, str]) -> dict[str, str]:
    """Pick ports that are free now, so that two trials on this machine do not meet."""
    ports = {name: str(_free(1)) for name in PORTS}
    base = _free(2 * PEER_PORTS)
    ports |= {
        "INTER_TRAIN_PROCESS_COMM_PORT_1": str(base),
        "INTER_TRAIN_PROCESS_COMM_PORT_2": str(base + PEER_PORTS),
    }
    return {name: port for name, port in ports.items() if name not in env}


def _free(span: int) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port + span < 65536:
            return port
