"""Keys in PEM files: one private key that signs, and public keys whose signatures count as well."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from cdl.ports.errors import Rejected

from .signer import Ed25519Signer

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
ALLOWED = "an Ed25519 key as PEM, as `openssl genpkey -algorithm ed25519` makes one"
LARGEST = 1 << 16


def from_file(path: Path, named: str = "the signing key") -> Ed25519Signer:
    """Read a key file: at most one private key, and any number of public ones.

    Raises:
        Rejected: one sentence on what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST)
    except OSError as error:
        raise Rejected(f"{named}: {path}: {error.strerror or error}; expected {ALLOWED}") from error
    blocks = list(BLOCK.finditer(content.decode("ascii", "replace")))
    private = [_private(b[0], f"{named}: {path}") for b in blocks if b[1].endswith("PRIVATE KEY")]
    public = [_public(b[0], f"{named}: {path}") for b in blocks if b[1] == "PUBLIC KEY"]
    if len(private) > 1:
        raise Rejected(f"{named}: {path}: found {len(private)} private keys, allowed: one, and public keys beside it")
    if not private and not public:
        raise Rejected(f"{named}: {path}: found no key in it, expected {ALLOWED}")
    return Ed25519Signer(private[0] if private else None, public)


def made_once(path: Path) -> Ed25519Signer:
    """Read the key file; where there is none, make one that only we may read. Who is second takes the first one's.

    Raises:
        Rejected: it cannot be made, or what is there is no key.
    """
    if not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise Rejected(f"cannot make the signing key {path}: {error.strerror or error}") from error
    return from_file(path)


def _make(path: Path) -> None:
    """Let a whole file appear under the name, unless another has appeared meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(block: str, where: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(block.encode(), None)
    except TypeError as error:
        raise Rejected(f"{where}: found a key behind a password, expected {ALLOWED}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected(f"{where}: found a private key that cannot be read, expected {ALLOWED}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Rejected(f"{where}: found a private key of another kind, expected {ALLOWED}")
    return key


def _public(block: str, where: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected(f"{where}: found a public key that cannot be read, expected {ALLOWED}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Rejected(f"{where}: found a public key of another kind, expected {ALLOWED}")
    return key
