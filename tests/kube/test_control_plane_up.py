"""`cdl up` and `cdl down`: a cluster of plain processes that starts, is left alone, is mended, and leaves none."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cdl.embedded.controlplane.binaries import NEEDED
from cdl.embedded.controlplane.find import kubectl

ALL = {*NEEDED, "pachd", "determined", "seldon", "postgres", "operator", "admission"}
NOTE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\ndata: {text: kept}\n"


class Place:
    """A home folder and the `cdl` command."""

    def __init__(self, home, program="kubectl"):
        self.home = home
        self.program = program
        home.parent.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "CDL_HOME": str(home), "CDL_SLOTS": "1"}

    def cdl(self, *words):
        command = [sys.executable, "-m", "cdl.cli", *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.home.parent,
            timeout=200,
            check=False,
        )

    def up(self):
        """Bring it up; give the names that were started."""
        done = self.cdl("up")
        assert done.returncode == 0, done.stderr + self.last_words()
        assert done.stdout == f"export KUBECONFIG={shlex.quote(str(self.home / 'kubeconfig'))}\n"
        return {line.rpartition(" ")[2] for line in done.stderr.splitlines() if "] started " in line}

    def last_words(self):
        return "".join(f"\n== {log.name}\n{log.read_text()[-1500:]}" for log in (self.home / "logs").glob("*.log"))

    def records(self):
        return {path.stem: json.loads(path.read_text()) for path in (self.home / "processes").glob("*.json")}

    def pid(self, name):
        return self.records()[name]["pid"]

    def kubectl(self, *words, text=None):
        environment = {**os.environ, "KUBECONFIG": str(self.home / "kubeconfig"), "HOME": str(self.home)}
        done = subprocess.run(
            [self.program, *words], input=text, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self):
        """Every process that has to do with this home, known to it or not."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = [*process.cmdline(), process.environ().get("CDL_HOME", "")]
                here = any(str(self.home) in word for word in told)
                if here and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process.pid, process.cmdline()[:4]))
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory, binaries):
    made = Place(tmp_path_factory.mktemp("a place") / "home", str(kubectl(binaries)))
    try:
        assert made.up() == ALL
        yield made
    finally:
        made.cdl("down")


def test_a_second_time_nothing_is_started(place):
    before = place.records()
    assert place.up() == set()
    assert place.records() == before


def test_what_is_installed_is_there_and_speaks_as_itself(place):
    assert place.kubectl("get", "crd", "-o", "name").count("cdl.dev") == 4
    assert place.kubectl("get", "serviceaccount", "-n", "cdl-system", "cdl-operator", "cdl-admission", "-o", "name")
    operator = ("--as=system:serviceaccount:cdl-system:cdl-operator", "--all-namespaces")
    assert place.kubectl("auth", "can-i", "patch", "experiments.cdl.dev/status", *operator) == "yes\n"
    done = place.cdl("doctor").stdout
    assert all(f"process {name} " in done for name in ALL)
    assert done.count("runs, pid") == len(ALL)


def test_what_is_wished_of_the_api_server_gets_into_the_history(place):
    wish = {
        "apiVersion": "cdl.dev/v1alpha1",
        "kind": "DataPipeline",
        "metadata": {"name": "told"},
        "spec": {"sources": [{"name": "none", "uri": "file://nowhere/none.tar", "unpack": "tar", "side": "train"}]},
    }
    place.kubectl("apply", "-f", "-", text=json.dumps(wish))
    deadline = time.monotonic() + 60
    told = []
    while "became" not in told:
        assert time.monotonic() < deadline, place.last_words()
        done = place.cdl("history", "datapipeline", "told", "-o", "json")
        assert done.returncode == 0, done.stderr
        told = [json.loads(line)["verb"] for line in done.stdout.splitlines()]
        time.sleep(0.2)
    assert told[0] == "applied"
    assert "unbroken" in place.cdl("audit", "verify").stdout
    place.kubectl("delete", "datapipeline", "told")


def test_everything_listens_on_loopback_only_and_keys_are_their_owners_alone(place):
    listening = {
        (name, one.laddr.ip.removeprefix("::ffff:"))
        for name in place.records()
        for process in (psutil.Process(place.pid(name)), *psutil.Process(place.pid(name)).children(recursive=True))
        for one in process.net_connections()
        if one.status == psutil.CONN_LISTEN
    }
    assert {name for name, _ in listening} == ALL
    assert {address for _, address in listening} == {"127.0.0.1"}
    secret = [place.home / "kubeconfig", *(place.home / "control-plane").rglob("*.key")]
    secret += (place.home / "control-plane").glob("*.kubeconfig")
    assert len(secret) > 8
    assert {path.stat().st_mode & 0o077 for path in secret} == {0}


@pytest.mark.parametrize(
    "victims", [["etcd"], ["kube-apiserver", "operator"], [*NEEDED, "admission", "pachd"], ["admission"]]
)
def test_what_was_killed_is_started_again_and_nothing_else(place, victims):
    place.kubectl("apply", "-f", "-", text=NOTE)
    for name in victims:
        os.kill(place.pid(name), signal.SIGKILL)
    assert place.up() == set(victims)
    assert place.kubectl("get", "configmap", "note", "-o", "jsonpath={.data.text}") == "kept"


def test_a_start_that_was_killed_is_completed(place):
    place.cdl("down")
    starter = subprocess.Popen(
        [sys.executable, "-m", "cdl.cli", "up"],
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while "kube-apiserver" not in place.records():
        time.sleep(0.05)
    starter.kill()
    starter.wait()
    place.up()
    assert place.records().keys() == ALL
    assert len([one for one in place.processes() if "kube-apiserver" in one[1][0]]) == 1
    assert place.kubectl("get", "configmap", "note", "-o", "jsonpath={.data.text}") == "kept"


def test_down_leaves_no_process_and_up_elsewhere_when_a_port_was_taken(place):
    before = json.loads((place.home / "ports.json").read_text())
    done = place.cdl("down")
    assert done.stdout.startswith("stopped ")
    assert place.processes() == []
    assert place.cdl("down").stdout == "nothing was running\n"
    with socket.create_server(("127.0.0.1", before["kube-apiserver"])):
        assert place.up() == ALL
    assert json.loads((place.home / "ports.json").read_text())["kube-apiserver"] != before["kube-apiserver"]
    assert place.kubectl("get", "configmap", "note", "-o", "jsonpath={.data.text}") == "kept"


def test_a_home_is_in_use_by_one_mode_at_a_time(place):
    project = Path(__file__).parents[2] / "use_cases" / "bbc_news"
    done = place.cdl("run", str(project), "--detach")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {place.home} is in use by `cdl up`: `cdl down` ends that, or choose another folder by CDL_HOME\n"
    )
    assert place.up() == set()


def test_programs_that_cannot_be_had_are_told_with_every_way_out(tmp_path):
    other = Place(tmp_path / "home")
    other.environment |= {"CDL_APISERVER": str(tmp_path / "nothing")}
    done = other.cdl("up")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "CDL_APISERVER: found" in done.stderr
    assert other.processes() == []
