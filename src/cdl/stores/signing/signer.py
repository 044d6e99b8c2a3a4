"""Ed25519 signatures in DSSE envelopes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from cdl.ports.errors import NotPermitted, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from pydantic import JsonValue


class Ed25519Signer:
    """A Signer. Ed25519 uses no chance when it signs, so a statement that is signed twice is one file."""

    def __init__(self, private: Ed25519PrivateKey | None, others: Sequence[Ed25519PublicKey] = ()) -> None:
        """Sign with the private key; signatures of the others count too, as those of keys that were replaced."""
        own = (private.public_key(),) if private is not None else ()
        self._public = [*own, *others]
        self._signer = CryptoSigner(private) if private is not None else None
        self._keys = [SSlibKey.from_crypto(each) for each in self._public]

    @property
    def public_key(self) -> str:
        """What our signatures are checked with, as PEM; empty where we may check but not sign."""
        return _pem(self._public[0]) if self._signer else ""

    @property
    def trusted(self) -> str:
        """Every key whose signatures count, ours first, as one PEM text."""
        return "".join(_pem(each) for each in self._public)

    def sign(self, payload: bytes, payload_type: str) -> dict[str, JsonValue]:
        """Give the envelope. The same payload gives the same envelope, whenever it is signed.

        Raises:
            NotPermitted: we have no private key.
        """
        if self._signer is None:
            raise NotPermitted("the signing key's file holds public keys alone; whoever signs needs the private one")
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        return envelope.to_dict()

    def opened(self, envelope: Mapping[str, JsonValue], payload_type: str) -> bytes:
        """Give the payload of an envelope of this type.

        Raises:
            Rejected: it is no envelope, holds something else, or none of the keys that count has signed it.
        """
        try:
            read = Envelope.from_dict(copy.deepcopy(dict(envelope)))  # reading rewrites what it is given
        except (KeyError, TypeError, ValueError, AttributeError, FormatError) as error:
            raise Rejected(f"no DSSE envelope: {type(error).__name__}: {error}") from error
        if read.payload_type != payload_type:
            raise Rejected(f"the envelope holds {read.payload_type!r}, expected {payload_type!r}")
        try:
            read.verify(list(self._keys), threshold=1)
        except VerificationError as error:
            raise Rejected("the envelope is not signed by a key that counts, or was changed afterwards") from error
        return read.payload


def _pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
