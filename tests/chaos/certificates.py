"""A certificate authority of the tests' own, and kubeconfigs that lead to a proxy instead of the API server."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 30


@dataclass(frozen=True, slots=True)
class Authority:
    """Files below one folder: ca.pem and a server's pair for loopback."""

    folder: Path

    @property
    def ca(self) -> Path:
        """What clients have to trust."""
        return self.folder / "ca.pem"

    def server(self) -> ssl.SSLContext:
        """What a server on loopback shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return context


def authority(folder: Path) -> Authority:
    """Make an authority and one server certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cdl chaos CA")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        _begun(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    loopback = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    own = (
        _begun(name, ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(loopback), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Authority(folder)


def _begun(name: x509.Name, by: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
    )


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
