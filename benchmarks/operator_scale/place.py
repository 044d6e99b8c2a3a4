"""A real API server with nobody else on it, and the real operator and admission server as processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from cdl.cli.platform.installation import NAMESPACE, install
from cdl.embedded.controlplane.binaries import NEEDED
from cdl.embedded.controlplane.find import find
from cdl.embedded.controlplane.servers import ADMIN, LOOPBACK, ControlPlane
from cdl.embedded.stack import Service, Stack, ports
from cdl.kube.client import Api
from cdl.kube.install import install_webhooks, remove_webhooks
from cdl.kube.webhooks import at_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
OPERATOR, ADMISSION = "operator", "admission"
DOORS = ("operator-probe", "admission", "admission-probe")
PATIENCE = 60.0
POLL_SECONDS = 0.05
COMPLAINTS = 40
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Place:
    """The control plane, without fsync: the disk is not what is measured."""

    def __init__(self, home: Path, *, fetch: bool, say: Callable[[str], None]) -> None:
        """Nothing is started yet; `fetch` allows the programs to be downloaded or built."""
        self.home = home
        self._plane = ControlPlane(home, find(say, fetch=fetch), durable=False)
        self._stack = Stack(home)
        self._at = ports(home, DOORS)
        self.kubeconfig = self._plane.kubeconfig(*ADMIN, home / "kubeconfig")

    def start(self) -> None:
        """Start the API server, and install all but the webhooks."""
        for service in (self._plane.etcd, self._plane.apiserver, self._plane.controller_manager):
            self._stack.start([service()])
        install(self.kubeconfig, self._door, self._plane.authority.certificate.read_bytes())
        self.admission(on=False)

    def stop(self) -> None:
        """End all of it."""
        self._stack.stop(last=NEEDED[::-1])

    @property
    def api(self) -> Api:
        """The administrator's client."""
        return Api.connect(self.kubeconfig)

    @property
    def _door(self) -> str:
        return f"https://{LOOPBACK}:{self._at['admission']}"

    def admission(self, *, on: bool) -> None:
        """Have the API server ask our admission server about each create and change, or nobody."""
        if not on:
            remove_webhooks(self.api)
        else:
            self._stack.start([self._admission()])
            install_webhooks(self.api, at_address(self._door, self._plane.authority.certificate.read_bytes()))
        time.sleep(1.0)  # an API server takes a changed configuration up in its own time

    def operate(self) -> None:
        """Start the operator; returns when it leads and has listed everything."""
        self._stack.start([self._operator()])

    def rest(self) -> None:
        """End the operator in good order."""
        psutil.Process(self._stack.running()[OPERATOR].pid).terminate()  # the supervisor hands it on
        self._until("the operator ended", lambda: OPERATOR not in self._stack.running())

    def crash(self) -> psutil.Process:
        """Kill -9 the operator; returns the process that its supervisor started, when that leads and listed all."""
        killed = self.operator().pid
        os.kill(killed, signal.SIGKILL)
        self._until("another operator runs", lambda: self._working() not in (None, killed))
        ready = self._operator().ready
        self._until("it is ready", lambda: not isinstance(ready, str) and ready())
        return self.operator()

    def operator(self) -> psutil.Process:
        """The process that works; its parent only waits for it to die."""
        pid = self._working()
        if pid is None:
            raise RuntimeError(f"the operator does not run; its log is {self._stack.log(OPERATOR)}")
        return psutil.Process(pid)

    def process(self, name: str) -> psutil.Process:
        """One of etcd, kube-apiserver, kube-controller-manager, admission."""
        return psutil.Process(self._stack.running()[name].pid)

    def complaints(self) -> list[str]:
        """The last lines of the operator's log that are no good news, for whoever wonders why it did not work."""
        log = self._stack.log(OPERATOR)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if " INFO " not in line][-COMPLAINTS:]

    def _working(self) -> int | None:
        running = self._stack.running()
        if OPERATOR not in running:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(running[OPERATOR].pid).children():
                if child.status() != psutil.STATUS_ZOMBIE:
                    return int(child.pid)
        return None

    def _operator(self) -> Service:
        config = self._plane.account(NAMESPACE, "cdl-operator", self._plane.folder / "operator.kubeconfig")
        told = {
            "PYTHONPATH": str(ROOT),
            "CDL_HOME": str(self.home),
            "CDL_KUBECONFIG": str(config),
            "CDL_METRICS_PORT": str(self._at["operator-probe"]),
        }
        command = (sys.executable, "-m", "benchmarks.operator_scale.operator")
        return Service(
            OPERATOR, command, _answers(self._at["operator-probe"], "readyz", "leading"), tuple(told.items())
        )

    def _admission(self) -> Service:
        config = self._plane.account(NAMESPACE, "cdl-admission", self._plane.folder / "admission.kubeconfig")
        pair = self._plane.authority.pair("cdl-admission", hosts=(LOOPBACK, "localhost"))
        told = {
            "CDL_KUBECONFIG": str(config),
            "CDL_ADMISSION_PORT": str(self._at["admission"]),
            "CDL_ADMISSION_CERTIFICATE": str(pair.certificate),
            "CDL_ADMISSION_KEY": str(pair.key),
            "CDL_METRICS_PORT": str(self._at["admission-probe"]),
        }
        command = (sys.executable, "-m", "cdl.cli.admit")
        return Service(ADMISSION, command, _answers(self._at["admission-probe"], "healthz", ""), tuple(told.items()))

    @staticmethod
    def _until(what: str, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {PATIENCE:.0f} s in vain until {what}")
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def place(home: Path, *, fetch: bool, say: Callable[[str], None]) -> Iterator[Place]:
    """Give a place that is cleared away at the end."""
    made = Place(home, fetch=fetch, say=say)
    try:
        made.start()
        yield made
    except Exception:
        say("\n".join(made.complaints()))
        raise
    finally:
        made.stop()


def _answers(port: int, page: str, word: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            with _direct.open(f"http://{LOOPBACK}:{port}/{page}", timeout=2) as answer:
                return answer.status == 200 and word in answer.read().decode()
        except OSError:
            return False

    return ready
