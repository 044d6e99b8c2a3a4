"""What a proxy in front of the API server shows and asks for, and kubeconfigs that lead to it instead."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from cdl.embedded.controlplane import pki


class Authority(pki.Authority):
    """The product's own, with a server's pair for loopback."""

    def server(self) -> ssl.SSLContext:
        """What a server on loopback shows."""
        pair = self.pair("localhost", hosts=("localhost", "127.0.0.1"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        return context


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a kubeconfig says: where the API server is, and as whom to go there."""

    host: str
    port: int
    tls: ssl.SSLContext


def entrance(kubeconfig: Path) -> Entrance:
    """Read the current context of a kubeconfig with certificates, in files or inline."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = _current(config)
    tls = ssl.create_default_context(cadata=_material(cluster, "certificate-authority", kubeconfig).decode())
    pair = kubeconfig.with_name(f".{kubeconfig.name}.pair.pem")
    pair.touch(mode=0o600)
    pair.write_bytes(
        _material(user, "client-certificate", kubeconfig) + b"\n" + _material(user, "client-key", kubeconfig)
    )
    tls.load_cert_chain(pair)
    parts = urlsplit(cluster["server"])
    return Entrance(parts.hostname or "127.0.0.1", parts.port or 443, tls)


def redirected(kubeconfig: Path, made: Path, server: str, ca: Path) -> Path:
    """Write a kubeconfig that is the same but for where it leads."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = _current(config)
    for part, names in ((user, ("client-certificate", "client-key")),):
        for name in names:
            part[f"{name}-data"] = base64.b64encode(_material(part, name, kubeconfig)).decode()
            part.pop(name, None)
    cluster.pop("certificate-authority", None)
    cluster["certificate-authority-data"] = base64.b64encode(ca.read_bytes()).decode()
    cluster["server"] = server
    made.touch(mode=0o600)
    made.write_text(yaml.safe_dump(config))
    return made


def _current(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
    return cluster, user


def _material(part: dict[str, Any], name: str, beside: Path) -> bytes:
    inline = part.get(f"{name}-data")
    if inline:
        return base64.b64decode(inline)
    return (beside.parent / part[name]).read_bytes()
