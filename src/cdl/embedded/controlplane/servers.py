"""How etcd, kube-apiserver and kube-controller-manager are started: loopback only, TLS everywhere, RBAC on."""

from __future__ import annotations

import http.client
import json
import platform
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cdl.embedded.stack import Service, ports

from . import pki
from .binaries import ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .binaries import Binaries

PORTS = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager")
LOOPBACK = "127.0.0.1"
SERVICES = "10.0.0.0/24"
HOSTS = ("127.0.0.1", "10.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
CONTROLLERS = "garbagecollector,namespace,serviceaccount,serviceaccount-token,clusterrole-aggregation"
ADMIN = ("cdl-admin", ("system:masters",))
MANAGER = ("system:kube-controller-manager", ("system:masters",))
"""It deletes whatever lost its owner, of every kind there will ever be."""
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
ANSWER_SECONDS = 2
HELP_SECONDS = 20
GREEN = 3
"""So many good answers in a row make a server ready."""


@dataclass(frozen=True)
class ControlPlane:
    """A Kubernetes API of three processes, whose state lies in one folder."""

    home: Path
    """The folder of the stack: ports, logs and records lie here, keys and data below `control-plane`."""
    binaries: Binaries
    durable: bool = True
    """Whether what is written is on the disk before it is acknowledged; a test may do without."""
    audited: bool = False
    """Whether a line is written for each thing a service account did, to find out which rights it uses."""

    @property
    def folder(self) -> Path:
        """Where keys and data lie."""
        return self.home / "control-plane"

    @property
    def audit(self) -> Path:
        """Where the lines about service accounts are."""
        return self.folder / "audit.log"

    @property
    def server(self) -> str:
        """Where the API server answers."""
        return f"https://{LOOPBACK}:{self.ports['kube-apiserver']}"

    @cached_property
    def ports(self) -> Mapping[str, int]:
        """The ports of this home folder, chosen once."""
        return ports(self.home, PORTS)

    @cached_property
    def authority(self) -> pki.Authority:
        """Who vouches for the API server and everybody who asks it."""
        return pki.Authority(self.folder / "pki", "ca")

    @cached_property
    def storage_authority(self) -> pki.Authority:
        """Who vouches for etcd and the API server as its only client: no identity of the API opens the storage."""
        return pki.Authority(self.folder / "pki" / "etcd", "ca")

    def kubeconfig(self, user: str, groups: Sequence[str], path: Path) -> Path:
        """Write a kubeconfig that makes its reader that user in those groups."""
        return pki.kubeconfig(path, self.server, self.authority, user, groups)

    def account(self, namespace: str, name: str, path: Path) -> Path:
        """Write a kubeconfig that makes its reader a service account."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return self.kubeconfig(f"system:serviceaccount:{namespace}:{name}", groups, path)

    def etcd(self) -> Service:
        """Describe the storage."""
        pair = self.storage_authority.pair("etcd", hosts=(LOOPBACK, "localhost"))
        client, peer = (f"https://{LOOPBACK}:{self.ports[name]}" for name in ("etcd", "etcd-peer"))
        trusted = self.storage_authority.certificate
        command = (
            str(self.binaries.etcd),
            "--name=cdl",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=cdl={peer}",
            *_mutual("", pair, trusted),
            *_mutual("peer-", pair, trusted),
            *(() if self.durable else ("--unsafe-no-fsync",)),
        )
        # Debian's etcd wants to be told that somebody knows it runs on this processor
        unsupported = {"aarch64": "arm64", "riscv64": "riscv64"}.get(platform.machine())
        environment = (("ETCD_UNSUPPORTED_ARCH", unsupported),) if unsupported else ()
        (self.folder / "etcd").mkdir(parents=True, exist_ok=True, mode=0o700)
        return Service("etcd", command, _asked(f"{client}/health", trusted, pair), environment)

    def apiserver(self) -> Service:
        """Describe the API server."""
        serving = self.authority.pair("kube-apiserver", hosts=HOSTS)
        storing = self.storage_authority.pair("kube-apiserver")
        signing = pki.signing_key(self.folder / "pki" / "service-accounts.key")
        command = (
            str(self.binaries.apiserver),
            f"--etcd-servers=https://{LOOPBACK}:{self.ports['etcd']}",
            f"--etcd-cafile={self.storage_authority.certificate}",
            f"--etcd-certfile={storing.certificate}",
            f"--etcd-keyfile={storing.key}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports['kube-apiserver']}",
            # without these two it looks for a network card, which a laptop on a train may not have
            f"--advertise-address={LOOPBACK}",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder / 'pki'}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.certificate}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={signing}",
            f"--service-account-signing-key-file={signing}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=RBAC",
            # pods are never run here, and one without an account must be accepted when a chart is tried
            "--disable-admission-plugins=ServiceAccount",
            "--profiling=false",
            *(self._audit() if self.audited else ()),
        )
        ready = _asked(f"{self.server}/readyz", self.authority.certificate, None)
        return Service("kube-apiserver", command, ready)

    def _audit(self) -> tuple[str, ...]:
        policy = self.folder / "audit.yaml"
        policy.write_text(json.dumps(AUDIT_POLICY))
        return (f"--audit-policy-file={policy}", f"--audit-log-path={self.audit}")

    def controller_manager(self) -> Service:
        """Describe the controllers that namespaces, owner references and service accounts need."""
        serving = self.authority.pair("kube-controller-manager", hosts=HOSTS)
        signing = pki.signing_key(self.folder / "pki" / "service-accounts.key")
        config = self.kubeconfig(*MANAGER, self.folder / "controller-manager.kubeconfig")
        binary, port = self.binaries.controller_manager, self.ports["kube-controller-manager"]
        command = (
            str(binary),
            f"--kubeconfig={config}",
            f"--controllers={CONTROLLERS}",
            "--leader-elect=false",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            *_known(binary, "--port=0"),
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--service-account-private-key-file={signing}",
            f"--root-ca-file={self.authority.certificate}",
            "--profiling=false",
        )
        ready = _asked(f"https://{LOOPBACK}:{port}/healthz", self.authority.certificate, None)
        return Service("kube-controller-manager", command, ready)


def _mutual(prefix: str, pair: pki.Pair, trusted: Path) -> tuple[str, ...]:
    return (
        f"--{prefix}cert-file={pair.certificate}",
        f"--{prefix}key-file={pair.key}",
        f"--{prefix}trusted-ca-file={trusted}",
        f"--{prefix}client-cert-auth",
    )


def _known(binary: Path, option: str) -> tuple[str, ...]:
    """Give an option to a version that has it: the old ones need it said, the new ones refuse the word."""
    try:
        told = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=HELP_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{binary} cannot be run: {error}"
        raise ControlPlaneError(message) from error
    words = (told.stdout + told.stderr).split()
    return (option,) if option.partition("=")[0] in words else ()


def _asked(url: str, trusted: Path, identity: pki.Pair | None) -> Callable[[], bool]:
    """Make the question whether a server is well, answered yes when it said so several times in a row."""
    good = 0

    def ready() -> bool:
        nonlocal good
        context = ssl.create_default_context(cafile=trusted)
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=ANSWER_SECONDS) as answer:
                good = good + 1 if answer.status == 200 else 0
        except (OSError, http.client.HTTPException):
            good = 0
        return good >= GREEN

    return ready
