"""What signed statements about Releases have in common: in-toto Statement v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release

Table = dict[str, "JsonValue"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"


def statement(subjects: list[JsonValue], predicate_type: str, predicate: Table) -> Table:
    """Put a statement together."""
    return {"_type": STATEMENT, "subject": subjects, "predicateType": predicate_type, "predicate": predicate}


def itself(release: Release) -> JsonValue:
    """The Release as a subject: its digest stands for every member."""
    return {"name": release.metadata.name, "digest": digest_set(release.spec.digest)}


def digest_set(digest: JsonValue) -> JsonValue:
    """Turn sha256:<hex> into {sha256: <hex>}; anything else says nothing."""
    text = digest if isinstance(digest, str) else ""
    algorithm, _, value = text.partition(":")
    return {algorithm: value} if value else {}


def member(release: Release, *path: str) -> Table:
    """A member, or a part of one; empty where it is missing."""
    found: JsonValue = release.spec.members
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def described(name: str, said: Mapping[str, JsonValue], *, digest: str = "digest", uri: str = "uri") -> Table:
    """A member as an in-toto resource descriptor: only what is known of it; empty when that tells nothing."""
    known: Table = {"uri": said.get(uri) or None, "digest": digest_set(said.get(digest))}
    told = {key: value for key, value in known.items() if value}
    return {"name": name, **told} if told else {}
