"""The keys of one control plane: an authority of its own, the servers' certificates, and everybody's identity."""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

YEARS = 10
"""A control plane on a laptop has nobody who renews its certificates."""
MARGIN = timedelta(days=30)
EARLIER = timedelta(hours=1)
"""A clock that is set back a little must not make a new certificate one of the future."""
DAYS_IN_YEAR = 365


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own key lies in a folder and is made when first needed."""

    def __init__(self, folder: Path, name: str) -> None:
        """The authority's files in the folder begin with its name."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        if not (_valid(self._pair) and self._pair.key.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _subject(f"cdl {name}", ())
            _write(self._pair, _built(subject, key, subject, key, None), key)
        self._certificate = x509.load_pem_x509_certificate(self._pair.certificate.read_bytes())
        loaded = serialization.load_pem_private_key(self._pair.key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            message = f"{self._pair.key}: found another kind of key than cdl made; remove its folder"
            raise TypeError(message)
        self._key = loaded

    @property
    def certificate(self) -> Path:
        """What others check signatures with."""
        return self._pair.certificate

    def pair(self, name: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = (), file: str = "") -> Pair:
        """Give a certificate for a name that serves hosts, or asks as a user in groups; kept while it is valid."""
        pair = Pair(self._folder / f"{file or name}.crt", self._folder / f"{file or name}.key")
        if not (pair.key.exists() and self._fits(pair, _subject(name, groups), hosts)):
            key = ec.generate_private_key(ec.SECP256R1())
            issuer = self._certificate.subject
            _write(pair, _built(_subject(name, groups), key, issuer, self._key, hosts), key)
        return pair

    def identity(self, user: str, groups: Sequence[str]) -> tuple[bytes, bytes]:
        """Make a client certificate and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _built(_subject(user, groups), key, self._certificate.subject, self._key, ())
        return made.public_bytes(serialization.Encoding.PEM), _pem(key)

    def _fits(self, pair: Pair, subject: x509.Name, hosts: Sequence[str]) -> bool:
        if not _valid(pair):
            return False
        held = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        return held.subject == subject and _hosts_of(held) == list(hosts) and _signed(held, self._certificate)


def kubeconfig(path: Path, server: str, authority: Authority, user: str, groups: Sequence[str]) -> Path:
    """Write what a client needs to be somebody; a file that still does is left as it is."""
    if _reaches(path, server, authority, _subject(user, groups)):
        return path
    certificate, key = authority.identity(user, groups)
    known = {"server": server, "certificate-authority-data": _text(authority.certificate.read_bytes())}
    secret = {"client-certificate-data": _text(certificate), "client-key-data": _text(key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cdl",
        "clusters": [{"name": "cdl", "cluster": known}],
        "users": [{"name": user, "user": secret}],
        "contexts": [{"name": "cdl", "context": {"cluster": "cdl", "user": user}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path


def signing_key(path: Path) -> Path:
    """Give the key that signs service accounts' tokens."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _put(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def _built(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str] | None,
) -> x509.Certificate:
    """Sign a certificate; without hosts (not even none) it is an authority's own."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + timedelta(days=YEARS * DAYS_IN_YEAR))
        .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
        .add_extension(_usage(authority=hosts is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if hosts is not None:
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName(list(_alternatives(hosts)))
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str, groups: Sequence[str]) -> x509.Name:
    """Kubernetes reads the user from the common name and the groups from the organisations."""
    held = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*held, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternatives(hosts: Sequence[str]) -> Iterator[x509.GeneralName]:
    for host in hosts:
        try:
            yield x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            yield x509.DNSName(host)


def _hosts_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _valid(pair: Pair) -> bool:
    try:
        held = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return held.not_valid_after_utc - datetime.now(UTC) > MARGIN


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Look at the keys' names: authorities made anew have the same subject."""
    ours = by.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return ours == named


def _reaches(path: Path, server: str, authority: Authority, subject: x509.Name) -> bool:
    try:
        config = yaml.safe_load(path.read_text())
        known, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        held = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    except (OSError, ValueError, KeyError, IndexError, TypeError, yaml.YAMLError):
        return False
    same = known.get("server") == server
    trusted = known.get("certificate-authority-data") == _text(authority.certificate.read_bytes())
    return same and trusted and held.subject == subject and held.not_valid_after_utc - datetime.now(UTC) > MARGIN


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write the key first: a certificate without its key is no pair, and is made anew."""
    pair.certificate.unlink(missing_ok=True)
    _put(pair.key, _pem(key))
    _put(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _put(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, all of it or nothing."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
