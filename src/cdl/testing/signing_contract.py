"""What every Signer must keep; subclass it, give it a signer, and run it with pytest."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from cdl.ports.errors import Rejected

from .builders import signer

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cdl.ports.signing import Signer

KIND = "application/vnd.in-toto+json"
PAYLOAD = b'{"subject":"a release"}'


class SignerContract:
    """One test a promise of `cdl.ports.signing`."""

    @pytest.fixture
    def engine(self) -> Signer:
        """Give the signer under test, which has a private key; a subclass knows which."""
        raise NotImplementedError

    def test_what_was_signed_can_be_opened(self, engine: Signer) -> None:
        """And is the very payload."""
        assert engine.opened(engine.sign(PAYLOAD, KIND), KIND) == PAYLOAD

    def test_signing_twice_gives_the_same_envelope(self, engine: Signer) -> None:
        """So that whoever was interrupted and does it again makes nothing new; another payload is another envelope."""
        first = engine.sign(PAYLOAD, KIND)
        assert engine.sign(PAYLOAD, KIND) == first
        assert engine.sign(PAYLOAD + b" ", KIND) != first

    def test_the_envelope_is_dsse_for_everybody(self, engine: Signer) -> None:
        """Whoever has the public key checks it with programs that are not ours."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        envelope = engine.sign(PAYLOAD, KIND)
        assert base64.b64decode(str(envelope["payload"])) == PAYLOAD
        assert envelope["payloadType"] == KIND
        signatures = envelope["signatures"]
        assert isinstance(signatures, list)
        assert isinstance(signatures[0], dict)
        key = load_pem_public_key(engine.public_key.encode())
        assert isinstance(key, Ed25519PublicKey)
        said = b"DSSEv1 %d %b %d %b" % (len(KIND), KIND.encode(), len(PAYLOAD), PAYLOAD)
        key.verify(base64.b64decode(str(signatures[0]["sig"])), said)  # raises when it is wrong

    def test_its_own_key_is_the_first_that_counts(self, engine: Signer) -> None:
        """Whoever is told which keys count must be able to check what we sign."""
        assert engine.trusted.startswith(engine.public_key)
        assert engine.public_key.startswith("-----BEGIN PUBLIC KEY-----")

    def test_a_changed_payload_is_rejected(self, engine: Signer) -> None:
        """Whoever changed it."""
        other: JsonValue = base64.b64encode(b'{"subject":"another"}').decode()
        with pytest.raises(Rejected):
            engine.opened({**engine.sign(PAYLOAD, KIND), "payload": other}, KIND)

    def test_a_payload_of_another_type_is_rejected(self, engine: Signer) -> None:
        """Signed, but not what was asked for."""
        with pytest.raises(Rejected):
            engine.opened(engine.sign(PAYLOAD, "text/plain"), KIND)

    def test_a_type_that_was_changed_afterwards_is_rejected(self, engine: Signer) -> None:
        """The type is signed with the payload."""
        with pytest.raises(Rejected):
            engine.opened({**engine.sign(PAYLOAD, "text/plain"), "payloadType": KIND}, KIND)

    def test_a_strangers_signature_does_not_count(self, engine: Signer) -> None:
        """However well it is made."""
        with pytest.raises(Rejected):
            engine.opened(signer(99).sign(PAYLOAD, KIND), KIND)

    def test_what_is_no_envelope_is_rejected(self, engine: Signer) -> None:
        """With a sentence, not with whatever a reader stumbles over."""
        whole = engine.sign(PAYLOAD, KIND)
        strange: tuple[dict[str, JsonValue], ...] = ({}, {**whole, "signatures": None}, {**whole, "payload": 7})
        for each in strange:
            with pytest.raises(Rejected):
                engine.opened(each, KIND)
