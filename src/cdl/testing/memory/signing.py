"""A signer whose key is always the same: what it signs is real, and no secret."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cdl.stores.signing import Ed25519Signer


class MemorySigner(Ed25519Signer):
    """A Signer."""

    def __init__(self, number: int = 0) -> None:
        """Sign with the key of this number."""
        super().__init__(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))
