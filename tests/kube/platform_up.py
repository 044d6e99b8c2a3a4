"""A whole platform as `cdl up` makes it, in a temporary home: shared by a test run, made of nothing but the product."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import psutil
import pytest
from determined.common.api import bindings
from determined.experimental import client as determined
from pachyderm_sdk import Client as Pachyderm

from cdl.cli.platform.processes import ADMISSION, ENGINES, OPERATOR
from cdl.embedded.controlplane.binaries import NEEDED
from tests.e2e.conftest import TINY, notes, write_notes
from tests.kube.conftest import Cluster

ROOT = Path(__file__).parents[2]
KINDS = ("datapipeline", "experiment", "modeldeployment")
SELDONS = "seldondeployments.machinelearning.seldon.io"
PATIENCE = 120
"""Seconds until whatever is waited for counts as lost: the machine may be busy."""
HELD = """
    hold = pathlib.Path(hparams.get("hold") or "/nowhere")
    while hold.exists():
        time.sleep(0.05)
"""
"""What the trials do before they train: wait as long as a file is there that a hyperparameter names."""


@dataclass(frozen=True)
class Run:
    """A run at the training engine, as far as a test wants to know."""

    id: int
    state: str
    weight: object


@dataclass(frozen=True)
class Beside:
    """An operator that a test started."""

    port: int
    log: Path
    process: subprocess.Popen

    def told(self, metric):
        """The samples of a metric, by their labels."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        return samples(text, metric)


class Platform(Cluster):
    """`cdl up` and what one does with it; engines are asked what they hold, never what they were asked."""

    def __init__(self, folder, binaries, slots=2):
        super().__init__(folder / "home", binaries)
        self.data = folder / "data"
        self.data.mkdir()
        write_notes(self.data, notes(32))
        self.environment = {
            **os.environ,
            "CDL_HOME": str(self.home),
            "CDL_DATA": str(self.data),
            "CDL_SLOTS": str(slots),
            "CDL_LOG_FORMAT": "json",
        }

    def cdl(self, *words, timeout=240, **variables):
        """Run a verb of the command line; give the finished process."""
        command = [sys.executable, "-m", "cdl.cli", *map(str, words)]
        environment = {**self.environment, **variables}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=timeout, check=False
        )

    def up(self):
        """Make sure that everything runs."""
        done = self.cdl("up")
        assert done.returncode == 0, done.stderr + self.last_words()
        assert done.stdout == f"export KUBECONFIG={self.home / 'kubeconfig'}\n"
        self.operator_told = dict(self.stack.running()[OPERATOR].environment)

    def last_words(self):
        """The ends of all logs, for whoever reads a failed test."""
        return "".join(f"\n== {log.name}\n{log.read_text()[-2000:]}" for log in (self.home / "logs").glob("*.log"))

    def log(self):
        """What the operator wrote, line by line."""
        return [json.loads(line) for line in (self.home / "logs" / "operator.log").read_text().splitlines()]

    def until(self, what, question, patience=PATIENCE):
        """Ask until the answer is yes, and give it; tell the operator's last words when it never is."""
        try:
            return super().until(what, question, patience)
        except pytest.fail.Exception as error:
            log = self.home / "logs" / "operator.log"
            pytest.fail(f"{error}\n{log.read_text()[-3000:]}" if log.exists() else str(error))

    # --- processes

    def whole(self):
        """Tell whether every part runs and the operator leads."""
        return {*NEEDED, *ENGINES, OPERATOR, ADMISSION} <= self.stack.running().keys() and self.leads()

    def pid(self, name):
        """The process id of a part of the platform."""
        return self.stack.running()[name].pid

    def end(self, name, how=signal.SIGTERM):
        """End a part of the platform; SIGKILL ends it as a crash does."""
        os.kill(self.pid(name), how)
        self.until(f"the end of {name}", lambda: name not in self.stack.running())

    def port(self, name):
        """Where a part of the platform listens."""
        return json.loads((self.home / "ports.json").read_text())[name]

    def operator_environment(self, **more):
        """What another operator beside the platform's is told."""
        return {**self.environment, **self.operator_told, **more}

    @contextlib.contextmanager
    def operator_beside(self, *command, **environment):
        """Run another operator for as long as the block lasts; its log tells what it did."""
        port = free_port()
        told = self.operator_environment(CDL_METRICS_PORT=str(port), **environment)
        words = [sys.executable, *(command or ("-m", "cdl.cli.operator"))]
        log = self.home / "logs" / f"beside-{port}.log"
        with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out, env=told, cwd=ROOT) as process:
            try:
                yield Beside(port, log, process)
            finally:
                process.terminate()
                process.wait(timeout=60)

    def worker(self):
        """The child of the operator's supervisor that does the work; None while there is none."""
        children = psutil.Process(self.pid("operator")).children()
        return children[0].pid if children else None

    def probe(self, page, port=None):
        """Ask the operator's probe page; nothing while nobody answers."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port or self.port('operator')}/{page}", timeout=10)
        return None

    def leads(self, port=None):
        """Tell whether an operator leads and has listed everything."""
        answer = self.probe("readyz", port)
        return answer is not None and answer.status_code == 200 and answer.text.strip() == "leading"

    def told(self, metric):
        """The samples of a metric of the operator, by their labels."""
        return samples(self.probe("metrics").text, metric)

    # --- resources

    def resource(self, kind, namespace, name="tiny"):
        """A resource as plain data; None when there is none."""
        done = self.run("get", kind, name, "-n", namespace, "-o", "json")
        if done.returncode and "NotFound" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def condition(self, kind, namespace, type_="Ready", name="tiny"):
        """A condition of the newest generation of a resource; empty while it speaks of an older one."""
        found = self.resource(kind, namespace, name)
        status = (found or {}).get("status", {})
        if not found or status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return next((c for c in status.get("conditions", ()) if c["type"] == type_), {})

    def is_for(self, kind, namespace, reason, type_="Ready", name="tiny"):
        """Wait until a condition has a reason, for the newest generation; give it."""

        def there():
            found = self.condition(kind, namespace, type_, name)
            return found if found.get("reason") == reason else None

        return self.until(f"{kind} {namespace}/{name}: {type_} for {reason}", there)

    def wait(self, namespace, *what, condition="Ready"):
        """`kubectl wait` for a condition of resources, of all three kinds by default."""
        names = what or [f"{kind}/tiny" for kind in KINDS]
        return self.kubectl("wait", f"--for=condition={condition}", f"--timeout={PATIENCE}s", "-n", namespace, *names)

    def patch(self, kind, namespace, spec, name="tiny"):
        """`kubectl patch` of a spec."""
        body = json.dumps({"spec": spec})
        return self.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", body)

    def edit(self, kind, namespace, before, after, name="tiny"):
        """`kubectl edit` with an editor that replaces a word."""
        editor = self.home / "editor"
        editor.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
            f"assert {before!r} in text, text\nfile.write_text(text.replace({before!r}, {after!r}))\n"
        )
        editor.chmod(0o700)
        environment = {**self.environment, "KUBECONFIG": str(self.kubeconfig), "KUBE_EDITOR": str(editor)}
        command = [self.program, "edit", kind, name, "-n", namespace]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "edited" in done.stdout

    def looked_at(self, kind, namespace, name="tiny"):
        """Ask for a look with `kubectl annotate` and wait until it is answered: what was due was done by then."""
        asked = f"{time.time_ns()}"
        self.kubectl("annotate", "--overwrite", kind, name, "-n", namespace, f"cdl.dev/requestedAt={asked}")
        wanted = f"--for=jsonpath={{.status.lastHandledRequestedAt}}={asked}"
        self.kubectl("wait", wanted, f"--timeout={PATIENCE}s", "-n", namespace, f"{kind}/{name}")

    def rendered(self, project):
        """`cdl render`: what it prints."""
        done = self.cdl("render", project)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # --- engines

    @cached_property
    def pachyderm(self):
        """The data engine's client."""
        return Pachyderm(host="127.0.0.1", port=self.port("pachd"))

    def runs(self, namespace, name="tiny"):
        """Every run of an Experiment that is not archived, evaluations left out, the oldest first."""
        master = determined.Determined(f"http://127.0.0.1:{self.port('determined')}", user="determined", password="")
        found = bindings.get_GetExperiments(master._session, archived=False).experiments
        mine = [e for e in found if any(label.endswith(f"={namespace}.{name}") for label in e.labels or ())]
        return sorted(
            (Run(e.id, e.state.value.removeprefix("STATE_"), _weight(e)) for e in mine if not _measures(e)),
            key=lambda run: run.id,
        )

    def jobs(self, namespace):
        """Every job of the data engine."""
        return {job.job.id for job in self.pachyderm.pps.list_job() if job.job.pipeline.project.name == namespace}

    def servers(self, namespace):
        """The names of the SeldonDeployments, wherever this platform keeps them."""
        done = self.run("get", SELDONS, "-n", namespace, "-o", "json")
        found = json.loads(done.stdout) if done.returncode == 0 else httpx.get(self._seldon(namespace)).json()
        return [item["metadata"]["name"] for item in found["items"]]

    def remove_server(self, namespace, name="tiny"):
        """Delete a SeldonDeployment, as somebody does who does not know better."""
        if self.run("delete", SELDONS, name, "-n", namespace).returncode:
            httpx.delete(f"{self._seldon(namespace)}/{name}").raise_for_status()

    def _seldon(self, namespace):
        below = f"apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments"
        return f"http://127.0.0.1:{self.port('seldon')}/{below}"

    def held(self, namespace):
        """Everything the engines hold for a namespace."""
        repos = [r.repo for r in self.pachyderm.pfs.list_repo(type="user") if r.repo.project.name == namespace]
        lines = [p.pipeline for p in self.pachyderm.pps.list_pipeline() if p.pipeline.project.name == namespace]
        return {
            *(f"repo {repo.name}" for repo in repos),
            *(f"pipeline {line.name}" for line in lines),
            *(f"run {run.id}" for run in self.runs(namespace)),
            *(f"server {name}" for name in self.servers(namespace)),
        }

    def let_go(self, namespace):
        """Delete every Release, so that none keeps a DataPipeline; nobody may be left who would write one again."""
        self.kubectl("delete", "releases.cdl.dev", "--all", "-n", namespace, "--timeout=60s")

    def delete(self, namespace, name="tiny"):
        """Delete a project's resources, in the order in which nothing keeps another."""
        for kind in reversed(KINDS):
            if kind == "datapipeline":
                self.let_go(namespace)
            self.kubectl("delete", kind, name, "-n", namespace, "--timeout=120s", "--ignore-not-found")

    def url(self, namespace, name="tiny"):
        """Where a model is asked."""
        return self.resource("modeldeployment", namespace, name)["status"]["url"]


@contextlib.contextmanager
def asked_all_the_time(url):
    """Ask a model again and again from a thread of its own; give the list that fills with the answers' statuses."""
    statuses, over = [], threading.Event()

    def go_on():
        with httpx.Client(timeout=30) as client:
            while not over.wait(0.02):
                try:
                    statuses.append(client.post(url, json={"data": {"ndarray": ["rising"]}}).status_code)
                except httpx.HTTPError as error:
                    statuses.append(repr(error))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


def samples(text, metric):
    """Read a metric off a page for Prometheus: the value for each set of labels, as it is written there."""
    found = re.findall(rf"^{re.escape(metric)}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def free_port():
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _weight(experiment):
    return (experiment.config or {}).get("hyperparameters", {}).get("weight")


def _measures(experiment):
    return experiment.name.endswith("-evaluation")


def ask(url, text="prices are rising and soaring"):
    """Ask a served tiny model; give the answer whatever it is."""
    return httpx.post(url, json={"data": {"ndarray": [text]}}, timeout=30)


def answered(url, text="prices are rising and soaring"):
    """Ask a served tiny model; give the class it chose."""
    data = ask(url, text).raise_for_status().json()["data"]
    [shares] = data["ndarray"]
    return data["names"][shares.index(max(shares))]


def tiny_project(folder, model="tiny"):
    """Copy the tiny project, with a model of its own name and trials that can be held up."""
    shutil.copytree(TINY, folder)
    replaced(folder / "model" / "train.py", "import json\n", "import json\nimport pathlib\nimport time\n")
    line = "    notes = words.read(data.fetch())\n"
    replaced(folder / "model" / "train.py", line, HELD + line)
    replaced(folder / "resources" / "experiment.yaml", "model: {name: tiny}", f"model: {{name: {model}}}")
    replaced(folder / "resources" / "modeldeployment.yaml", "model: {name: tiny,", f"model: {{name: {model},")
    return folder


def replaced(path, before, after):
    """Replace a text that has to be in a file."""
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def raised(folder, binaries):
    """A platform that is up, and down afterwards: the fixture `platform`."""
    made = Platform(folder, binaries)
    try:
        made.up()
        yield made
    finally:
        ended = made.cdl("down")
        shutil.rmtree(made.home / "control-plane" / "etcd", ignore_errors=True)
        assert ended.returncode == 0, ended.stderr
