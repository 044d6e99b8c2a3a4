"""What `cdl up` starts: a Kubernetes API server on loopback, engines, operator and admission server."""

from __future__ import annotations

import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.cli.context import CLUSTER
from cdl.cli.refusal import Refusal
from cdl.embedded.controlplane.binaries import ControlPlaneError, keep, kept
from cdl.embedded.controlplane.find import at_hand, find
from cdl.embedded.controlplane.servers import ADMIN, LOOPBACK, ControlPlane
from cdl.embedded.stack import Service, StackError, ports

from . import database, forge, installation, labelstudio
from .processes import (
    ADMISSION,
    CLUSTER_OPERATOR,
    NAMES,
    OPERATOR,
    engines,
    hidden,
    is_local,
    one_at_a_time,
    ports_of_people,
    told_of_engines,
    told_of_people,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cdl.embedded.stack import Stack
    from cdl.settings import Settings

    Say = Callable[[str], None]

PROBES = ("operator", "admission-probe")
PORTS = (*NAMES, "admission", *PROBES)
ANSWER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is up."""

    server: str
    kubeconfig: Path
    started: tuple[str, ...]
    """The processes that had to be started."""


def raise_cluster(settings: Settings, say: Say, wished: Mapping[str, int] | None = None) -> Cluster:
    """Make sure that everything of a cluster runs and is installed, leaving alone what is as it should be.

    Raises:
        Refusal: something did not come up, or the home folder is in use by `cdl run`.
    """
    home = settings.home.resolve()
    try:
        binaries = find(say, last=kept(_record(settings)))
    except (ControlPlaneError, StackError, OSError) as error:
        raise Refusal(str(error)) from error
    with one_at_a_time(settings) as stack:
        if is_local(stack.running()):
            message = (
                f"{settings.home} is in use by `cdl run`: `cdl stop` ends that, or choose another folder by CDL_HOME"
            )
            raise Refusal(message)
        plane = ControlPlane(home, binaries, audited=settings.audit)
        plane.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        keep(_record(settings), binaries)
        started = _start(settings, plane, stack, ports(home, (*PORTS, *ports_of_people(settings)), wished), say)
        kubeconfig = plane.kubeconfig(*ADMIN, home / CLUSTER)
    return Cluster(plane.server, kubeconfig, started)


def _start(settings: Settings, plane: ControlPlane, stack: Stack, at: Mapping[str, int], say: Say) -> tuple[str, ...]:
    """Start in the order of need, and side by side what does not need each other."""
    started: list[str] = []

    def start(*services: Service) -> None:
        fresh = stack.start(services)
        started.extend(fresh)
        for name in fresh:
            say(f"started {name}")

    start(plane.etcd())
    admin = plane.kubeconfig(*ADMIN, plane.folder / "admin.kubeconfig")
    people = (*forge.service(settings, at), *labelstudio.service(settings, at, say))
    start(plane.apiserver(), *engines(settings, at, admin), *database.service(settings, at), *people)
    if labelstudio.kept(settings):
        say(labelstudio.invitation(settings, labelstudio.address(at)))
    database.ready(settings, at)
    start(plane.controller_manager())
    admission = _admission(plane, at)
    done = installation.install(
        admin,
        f"https://{LOOPBACK}:{at['admission']}",
        plane.authority.certificate.read_bytes(),
    )
    say(f"{done} are installed")
    start(admission, _operator(settings, plane, at))
    installation.have_namespaces(admin, (one.namespace for one in forge.followed(settings)))
    # What merging leads to is read where the operator serves, which here is the API server.
    there = {"CDL_SELDON": "", "CDL_KUBECONFIG": str(admin)}
    told = {**told_of_engines(settings, at), **told_of_people(settings, at), **there}
    start(*forge.followers(settings, at, told))
    return tuple(started)


def _operator(settings: Settings, plane: ControlPlane, at: Mapping[str, int]) -> Service:
    config = plane.account(installation.NAMESPACE, "cdl-operator", plane.folder / "operator.kubeconfig")
    port = at["operator"]
    told = {
        **told_of_engines(settings, at),
        **told_of_people(settings, at),
        "CDL_SELDON": "",
        "CDL_KUBECONFIG": str(config),
        "CDL_METRICS_PORT": str(port),
    }
    ready = _answers(f"http://{LOOPBACK}:{port}/readyz")
    return Service(OPERATOR, CLUSTER_OPERATOR, ready, tuple(told.items()), hidden(settings))


def _admission(plane: ControlPlane, at: Mapping[str, int]) -> Service:
    config = plane.account(installation.NAMESPACE, "cdl-admission", plane.folder / "admission.kubeconfig")
    pair = plane.authority.pair("cdl-admission", hosts=(LOOPBACK, "localhost"))
    told = {
        "CDL_KUBECONFIG": str(config),
        "CDL_ADMISSION_ADDRESS": LOOPBACK,
        "CDL_ADMISSION_PORT": str(at["admission"]),
        "CDL_ADMISSION_CERTIFICATE": str(pair.certificate),
        "CDL_ADMISSION_KEY": str(pair.key),
        "CDL_METRICS_PORT": str(at["admission-probe"]),
    }
    ready = _answers(f"http://{LOOPBACK}:{at['admission-probe']}/healthz")
    return Service(ADMISSION, (sys.executable, "-m", "cdl.cli.admit"), ready, tuple(told.items()))


def _answers(url: str) -> Callable[[], bool]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready() -> bool:
        try:
            with opener.open(url, timeout=ANSWER_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return ready


def control_plane(settings: Settings) -> str:
    """Say which programs a cluster would be made of, without starting or fetching any; nothing when there are none."""
    found = at_hand(kept(_record(settings)))
    return f"{found.apiserver} ({found.origin})" if found else ""


def _record(settings: Settings) -> Path:
    return settings.home.resolve() / "control-plane" / "binaries.json"
