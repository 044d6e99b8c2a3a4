"""Signers that break one promise each."""

from __future__ import annotations

import base64
import itertools

from cdl.ports.errors import Rejected
from cdl.testing.builders import signer
from cdl.testing.memory import MemorySigner

NUMBERS = itertools.count()
ANOTHER = base64.b64encode(b'{"subject":"another"}').decode()


class TrimsWhatItOpens(MemorySigner):
    def opened(self, envelope, payload_type):
        return super().opened(envelope, payload_type)[:-1]


class CountsItsSignatures(MemorySigner):
    def sign(self, payload, payload_type):
        return super().sign(payload, payload_type) | {"number": next(NUMBERS)}


class SignsThePayloadAlone(MemorySigner):
    """Two wrongs that fit together: what it signs it opens, and nobody else does."""

    def sign(self, payload, payload_type):
        return super().sign(payload, payload_type) | {"payloadType": payload_type + ";ours"}

    def opened(self, envelope, payload_type):
        found = str(envelope.get("payloadType", ""))
        return super().opened({**envelope, "payloadType": found.removesuffix(";ours")}, payload_type)


class HidesItsOwnKey(MemorySigner):
    @property
    def trusted(self):
        return signer(4).trusted


class LooksAtNoSignature(MemorySigner):
    def opened(self, envelope, payload_type):
        try:
            return super().opened(envelope, payload_type)
        except Rejected:
            if envelope.get("payload") == ANOTHER:
                return b""
            raise


class TakesAnyType(MemorySigner):
    def opened(self, envelope, payload_type):
        try:
            return super().opened(envelope, "text/plain")
        except Rejected:
            return super().opened(envelope, payload_type)


class LeavesTheTypeUnsigned(MemorySigner):
    def opened(self, envelope, payload_type):
        try:
            return super().opened(envelope, payload_type)
        except Rejected:
            if envelope.get("payloadType") != payload_type:
                raise
            return super().opened({**envelope, "payloadType": "text/plain"}, "text/plain")


class TrustsEverybody(MemorySigner):
    def opened(self, envelope, payload_type):
        try:
            return super().opened(envelope, payload_type)
        except Rejected:
            return signer(99).opened(envelope, payload_type)


class Stumbles(MemorySigner):
    def opened(self, envelope, payload_type):
        if not isinstance(envelope.get("payload"), str):
            raise TypeError("payload")
        return super().opened(envelope, payload_type)


LIARS = {
    TrimsWhatItOpens: {"test_what_was_signed_can_be_opened"},
    CountsItsSignatures: {"test_signing_twice_gives_the_same_envelope"},
    SignsThePayloadAlone: {"test_the_envelope_is_dsse_for_everybody"},
    HidesItsOwnKey: {"test_its_own_key_is_the_first_that_counts"},
    LooksAtNoSignature: {"test_a_changed_payload_is_rejected"},
    TakesAnyType: {"test_a_payload_of_another_type_is_rejected"},
    LeavesTheTypeUnsigned: {"test_a_type_that_was_changed_afterwards_is_rejected"},
    TrustsEverybody: {"test_a_strangers_signature_does_not_count"},
    Stumbles: {"test_what_is_no_envelope_is_rejected"},
}
