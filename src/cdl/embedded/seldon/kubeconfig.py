"""Read from a kubeconfig where an API server is and who we are to it.

Certificates, tokens and files of tokens are understood; programs that make credentials are not.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from cdl.embedded.seldon.fields import Object, listing, mapping, text

UNKNOWN = ("exec", "auth-provider", "username", "impersonate", "as")


@dataclass(frozen=True)
class Access:
    """An API server, and who we are to it."""

    server: str
    context: ssl.SSLContext | None
    token: str = ""
    token_file: Path | None = None

    def headers(self) -> dict[str, str]:
        """Say who we are; a file is read every time, because a token in it is renewed."""
        try:
            token = self.token_file.read_text(encoding="utf-8").strip() if self.token_file else self.token
        except OSError:
            token = self.token
        return {"authorization": f"Bearer {token}"} if token else {}


def read(path: Path) -> Access:
    """Read the current context of a file.

    Raises:
        ValueError: one sentence says what is wrong with the file.
    """
    try:
        document = mapping(yaml.safe_load(path.read_text(encoding="utf-8")))
        context = _named(document, "contexts", "context", text(document.get("current-context")))
        cluster = _named(document, "clusters", "cluster", text(context.get("cluster")))
        user = _named(document, "users", "user", text(context.get("user")))
        server = text(cluster.get("server")).rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise ValueError(f"its cluster has the server {server!r}; expected https://HOST:PORT")
        for name in UNKNOWN:
            if user.get(name):
                raise ValueError(f"its user has {name}, which is not understood; use a client certificate or a token")
        token_file = text(user.get("tokenFile"))
        return Access(
            server=server,
            context=_context(path.parent, cluster, user) if server.startswith("https://") else None,
            token=text(user.get("token")),
            token_file=path.parent / token_file if token_file else None,
        )
    except (OSError, UnicodeError, yaml.YAMLError, ValueError) as error:
        said = str(error).splitlines()
        raise ValueError(f"kubeconfig {path} cannot be used: {said[0] if said else type(error).__name__}") from error


def _named(document: Object, several: str, one: str, name: str) -> Object:
    for entry in map(mapping, listing(document.get(several))):
        if entry.get("name") == name:
            return mapping(entry.get(one))
    raise ValueError(f"it has no {one} called {name!r}")


def _context(folder: Path, cluster: Object, user: Object) -> ssl.SSLContext:
    authority = _content(folder, cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters of many years have authorities without key usage
    if cluster.get("insecure-skip-tls-verify") is True:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _content(folder, user, "client-certificate"), _content(folder, user, "client-key")
    if certificate and key:
        with _as_file(certificate + b"\n" + key) as path:
            context.load_cert_chain(path)
    return context


def _content(folder: Path, entry: Object, name: str) -> bytes:
    """Give what a field holds, or the file that it names; paths are relative to the kubeconfig."""
    data, path = text(entry.get(f"{name}-data")), text(entry.get(name))
    try:
        return base64.b64decode(data, validate=True) if data else (folder / path).read_bytes() if path else b""
    except binascii.Error as error:
        raise ValueError(f"its {name}-data is not base64") from error


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Put a key where OpenSSL can read it, for as long as that takes; nobody else may."""
    descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        Path(path).unlink()
