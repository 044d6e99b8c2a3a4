"""A real API server for a whole test run: etcd, kube-apiserver and the controllers, in a temporary folder."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdl.embedded.controlplane.binaries import NEEDED
from cdl.embedded.controlplane.find import find, kubectl
from cdl.embedded.controlplane.servers import ADMIN, ControlPlane
from cdl.embedded.stack import Stack

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
KINDS = "datapipelines.cdl.dev,experiments.cdl.dev,modeldeployments.cdl.dev,releases.cdl.dev"
COUNT = itertools.count(1)
PATIENCE = 30


class Cluster:
    """A control plane and the ways to speak with it."""

    def __init__(self, home, binaries):
        self.home = home
        self.plane = ControlPlane(home, binaries, durable=False, audited=True)
        self.stack = Stack(home)
        self.server = self.plane.server
        self.kubeconfig = self.plane.kubeconfig(*ADMIN, home / "kubeconfig")
        self.program = str(kubectl(binaries))

    def start(self):
        """Start what does not run, and wait until all of it answers."""
        plane = self.plane
        for service in (plane.etcd, plane.apiserver, plane.controller_manager):
            self.stack.start([service()])

    def kill(self, name):
        """End one of etcd, kube-apiserver, kube-controller-manager as a crash does."""
        os.kill(self.stack.running()[name].pid, 9)
        while name in self.stack.running():
            time.sleep(0.01)

    def stop(self):
        """End all of it."""
        self.stack.stop(last=NEEDED[::-1])

    def identity(self, user, *groups):
        """Write a kubeconfig that makes its reader that user in those groups."""
        name = "".join(letter if letter.isalnum() else "-" for letter in "_".join((user, *groups)))
        return self.plane.kubeconfig(user, groups, self.home / "identities" / f"{name}.kubeconfig")

    def account(self, namespace, name):
        """Write a kubeconfig that makes its reader a service account."""
        return self.plane.account(namespace, name, self.home / "identities" / f"{namespace}-{name}.kubeconfig")

    def let_go(self, *scope):
        """Take the finalizers off cdl's resources, which no operator here would: else none of them goes."""
        done = self.run("get", KINDS, *scope, "--ignore-not-found", "-o", "json")
        for item in json.loads(done.stdout or "{}").get("items", ()) if done.returncode == 0 else ():
            meta = item["metadata"]
            if meta.get("finalizers"):
                place = (f"{item['kind'].lower()}.cdl.dev", meta["name"], "-n", meta["namespace"])
                self.run("patch", *place, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')

    def audit(self):
        """Give what service accounts did so far, as the API server's audit events."""
        return [json.loads(line) for line in self.plane.audit.read_text().splitlines()]

    def run(self, *words, input=None, as_=None):  # noqa: A002 - subprocess's own word for it
        """Run kubectl as somebody (a kubeconfig), as the administrator without; give the finished process."""
        environment = {**os.environ, "KUBECONFIG": str(as_ or self.kubeconfig), "HOME": str(self.home)}
        command = [self.program, *map(str, words)]
        return subprocess.run(
            command, input=input, capture_output=True, text=True, env=environment, timeout=120, check=False
        )

    def kubectl(self, *words, input=None, check=True, as_=None):  # noqa: A002 - subprocess's own word for it
        """Run kubectl; give what it printed, and without check also what it complained about."""
        done = self.run(*words, input=input, as_=as_)
        if check:
            assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
            return done.stdout
        return done.stdout + done.stderr

    def apply(self, text, *words, as_=None):
        """Apply manifests given as text."""
        return self.kubectl("apply", "-f", "-", *words, input=text, as_=as_)

    def until(self, what, question, patience=PATIENCE):
        """Ask until the answer is yes (anything true), and give it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            answer = question()
            if answer:
                return answer
            time.sleep(0.05)
        return pytest.fail(f"not within {patience} s: {what}")


@pytest.fixture(scope="session")
def binaries():
    """The programs of the control plane; `python -m cdl.embedded.controlplane` fetches or builds them."""
    return find(lambda line: print(line, file=sys.stderr), fetch=False)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory, binaries):
    """An API server that knows nothing of cdl; it is `cluster` before anything was installed."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), binaries)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.plane.folder / "etcd", ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(api_server):
    """The API server with cdl's kinds installed."""
    api_server.kubectl("apply", "-f", CRDS)
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS)
    return api_server


@pytest.fixture
def namespace(cluster):
    """A namespace of the test's own."""
    name = f"test-{os.getpid()}-{next(COUNT)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.let_go("-n", name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def platform(tmp_path_factory, binaries):
    """The whole of `cdl up`, once for all tests of the operators."""
    from tests.kube.platform_up import raised

    yield from raised(tmp_path_factory.mktemp("platform"), binaries)
