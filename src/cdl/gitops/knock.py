"""Who may knock: GitLab's token, or the signature of Standard Webhooks. Nothing here touches a network."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected

WINDOW = 300
"""Seconds a signed message may be old, or early, before it counts as played again."""
REMEMBERED = 4096
"""Messages of a window that are known again; more than that are only more knocks."""
SHORTEST = 16
"""Characters of a token that nobody guesses."""


@dataclass(frozen=True, slots=True)
class Knock:
    """What the headers of a request claim; empty where they are silent."""

    token: str = ""
    message: str = ""
    at: str = ""
    signature: str = ""


class Doorkeeper:
    """Knows the secret; says who knocks, and whether for the first time."""

    def __init__(self, secret: str) -> None:
        """Take the secret, which is a token and a signing key alike; after `whsec_` it is base64.

        Raises:
            Rejected: it is too short to be one.
        """
        if len(secret) < SHORTEST:
            raise Rejected(
                f"webhook token: {len(secret)} characters, allowed: at least {SHORTEST}", Reason.INVALID_SPEC
            )
        self._token = secret.encode()
        self._key = self._token
        if secret.startswith("whsec_"):
            try:
                self._key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            except binascii.Error as error:
                raise Rejected("webhook token: after whsec_ it is no base64", Reason.INVALID_SPEC) from error
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def knows_token(self, knock: Knock) -> bool:
        """Compare X-Gitlab-Token, in a time that says nothing about how much of it was right."""
        return hmac.compare_digest(knock.token.encode("latin-1", "replace"), self._token)

    def may_be_signed(self, knock: Knock, now: int) -> bool:
        """Say whether the body is worth reading: it claims to be signed, and not long ago."""
        when = int(knock.at[:18]) if knock.at.isascii() and knock.at.isdigit() else 0
        return bool(knock.signature and knock.message) and abs(now - when) <= WINDOW

    def knows_signature(self, knock: Knock, body: bytes) -> bool:
        """Check the signature over id, time and body; of several one that fits is enough."""
        message = f"{knock.message}.{knock.at}."
        right = hmac.new(self._key, message.encode("latin-1", "replace") + body, hashlib.sha256).digest()
        fits = False
        for part in knock.signature.split()[:8]:
            version, _, coded = part.partition(",")
            given = coded.encode("latin-1", "replace")
            fits |= version == "v1" and hmac.compare_digest(given, base64.b64encode(right))
        return fits

    def first(self, message: str, now: int) -> bool:
        """Say whether a signed message comes for the first time; only for those whose signature was right."""
        with self._lock:
            while self._seen and (len(self._seen) > REMEMBERED or next(iter(self._seen.values())) < now - 2 * WINDOW):
                self._seen.popitem(last=False)
            new = message not in self._seen
            self._seen.setdefault(message, now)
        return new
