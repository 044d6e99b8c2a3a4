"""The key that signs Releases, in a file."""

from .key_file import from_file, made_once
from .signer import Ed25519Signer

__all__ = ["Ed25519Signer", "from_file", "made_once"]
