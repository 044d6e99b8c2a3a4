"""The last lock before a release is served: somebody allowed to has approved exactly this one, and signed that.

An approval that has expired since does not keep a server from starting again: whether something new may be rolled out
is decided when it is rolled out, and a pod that was moved to another machine is nothing new.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from cdl.serving.environment import Environment
from cdl.serving.faults import BAD_SETTING, Refused
from cdl.serving.release import Release, local_path

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://cdl.dev/attestations/approval/v1"
PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
LIMIT = 1 << 20  # a decision is a page, not a book

LOG = logging.getLogger("cdl.serving")


def check(environment: Environment, release: Release) -> None:
    """Refuse a release that no signed approval is about; where no key is known, say that nobody looked."""
    if not environment.approval_keys:
        LOG.warning("%s: CDL_APPROVAL_KEYS names no key, so it was not checked whether it is approved", release.name)
        return
    if not environment.approval_uri:
        raise Refused(f"release {release.name} comes without an approval: CDL_APPROVAL_URI is empty")
    path = local_path(environment.approval_uri, "approval")
    said = _statement(_payload(path, environment.approval_keys), path)
    _judge(said, release, path)
    decision = said["predicate"]
    LOG.info("%s was approved by %s at %s", release.name, decision.get("by"), decision.get("at"))


def _payload(path: Path, keys: str) -> bytes:
    """What is in the envelope, once one of the keys has been found to have signed it."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    trusted = _keys(keys)
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise Refused(f"approval {path} cannot be read: {error.strerror}") from error
    if len(content) > LIMIT:
        raise Refused(f"approval {path} is larger than {LIMIT >> 20} MiB")
    try:
        envelope = Envelope.from_dict(json.loads(content))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, FormatError) as error:
        raise Refused(f"approval {path} is no DSSE envelope: {type(error).__name__}: {error}") from error
    try:
        envelope.verify(trusted, threshold=1)
    except VerificationError as error:
        message = f"approval {path} is not signed by a key that counts here, or was changed afterwards"
        raise Refused(message) from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Refused(f"approval {path} holds {envelope.payload_type!r}; expected {PAYLOAD_TYPE!r}")
    return envelope.payload


def _keys(pem: str) -> list[Any]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        found = [SSlibKey.from_crypto(load_pem_public_key(block[0].encode())) for block in PUBLIC_KEY.finditer(pem)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"CDL_APPROVAL_KEYS holds a public key that cannot be read: {error}", BAD_SETTING) from error
    if not found:
        raise Refused("CDL_APPROVAL_KEYS holds no public key; expected PEM", BAD_SETTING)
    return found


def _statement(payload: bytes, path: Path) -> dict[str, Any]:
    """The statement, of which signer and form are known to be ours; still, nothing is taken for granted."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Refused(f"approval {path} holds no JSON: {error}") from error
    kind = said.get("predicateType") if isinstance(said, dict) else None
    if kind != PREDICATE or said.get("_type") != STATEMENT or not isinstance(said.get("predicate"), dict):
        raise Refused(f"approval {path} is no approval: it holds {kind!r}; expected {PREDICATE!r}")
    return dict(said)


def _judge(said: dict[str, Any], release: Release, path: Path) -> None:
    try:
        approved = [f"sha256:{subject['digest']['sha256']}" for subject in said["subject"]]
    except (KeyError, TypeError) as error:
        raise Refused(f"approval {path} does not say which release it is about") from error
    if approved != [release.digest]:
        about = ", ".join(approved) or "nothing"
        raise Refused(f"approval {path} is about another release: {about}; to be served is {release.digest}")
    decision = said["predicate"].get("decision")
    if decision != "Approved":
        raise Refused(f"release {release.name} is not approved: the decision in {path} is {decision!r}")
