"""The platform's signature: who reads a statement can tell that it is ours and unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


class Signer(Protocol):
    """A key that signs, and those whose signatures count. Envelopes are DSSE: {payload, payloadType, signatures}."""

    @property
    def public_key(self) -> str:
        """What our signatures are checked with, as PEM; empty where we may check but not sign."""

    @property
    def trusted(self) -> str:
        """Every key whose signatures count, ours first, as one PEM text."""

    def sign(self, payload: bytes, payload_type: str) -> dict[str, JsonValue]:
        """Give the envelope. The same payload gives the same envelope, whenever it is signed.

        Raises:
            NotPermitted: we have no private key.
        """

    def opened(self, envelope: Mapping[str, JsonValue], payload_type: str) -> bytes:
        """Give the payload of an envelope of this type.

        Raises:
            Rejected: it is no envelope, holds something else, or none of the keys that count has signed it.
        """
