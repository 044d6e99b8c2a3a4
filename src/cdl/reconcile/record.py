"""What the ledger is told: one entry for each thing that happened, named so that telling it twice changes nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, JsonValue
from pydantic_core import to_jsonable_python

from cdl.api.canonical import canonical, digest
from cdl.api.meta import APPLIED_BY_ANNOTATION, AUTHORS_ANNOTATION, Frozen, Key, Metadata
from cdl.api.v1alpha1.release import ApprovalState
from cdl.api.v1alpha1.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.release import ApprovalStatus
    from cdl.api.v1alpha1.resource import Status

S = TypeVar("S", bound="Status")

PLATFORM = "cdl"
"""Who does what no person does by hand."""
UNKNOWN = "unknown"
ABSENT = "absent"
"""Stands for the answer of a condition that is not there."""
RELEASE_DETAIL = "release"
"""Where an entry holds the document of a Release as it was then."""
SPEC_DETAIL = "spec"
"""Where an entry holds what somebody wished for."""
LONGEST = 200
"""Characters of an action's field that are worth telling."""
DEEPEST = 3
"""Parts of parts that are looked at for the names of what an action is about."""


class Verb(StrEnum):
    """What sort of thing happened."""

    APPLIED = "applied"
    """Somebody wished for something else; the platform has begun to work on it."""
    ASKED = "asked"
    """The platform is about to ask an engine, or a store, for something."""
    BECAME = "became"
    """A condition has another answer or another reason."""
    RELEASED = "released"
    """A Release was written."""
    DECIDED = "decided"
    """Somebody approved or rejected a Release, or the decision became void."""
    DELETED = "deleted"
    """Somebody asked for the resource to go."""


class Entry(Frozen):
    """One thing that happened."""

    key: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="Names the happening; told twice, it is kept once.")
    at: datetime
    who: str = Field(description="A person, a policy, or cdl itself.")
    verb: Verb
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    what: str = Field(description="In a few words.")
    why: str = ""
    revision: str = Field("", description="The git commit in force.")
    digest: str = Field("", description="Of what it is about, where that has one.")
    details: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def about(self) -> Key:
        """The resource it happened to."""
        return Key(self.kind, self.namespace, self.name)

    def text(self) -> str:
        """Write the entry as the ledger keeps it: canonical JSON."""
        return canonical(self.model_dump(mode="json", by_alias=True)).decode()


def applied(resource: Resource, at: datetime) -> Entry:
    """Tell that a new generation is worked on."""
    notes, plain = resource.metadata.annotations, to_jsonable_python(resource.plain())
    authors = [name for name in notes.get(AUTHORS_ANNOTATION, "").split(",") if name]
    return _entry(
        resource,
        at,
        Verb.APPLIED,
        (resource.metadata.generation,),
        who=notes.get(APPLIED_BY_ANNOTATION) or UNKNOWN,
        what=f"generation {resource.metadata.generation}",
        digest=digest(plain.get("spec")),
        details={SPEC_DETAIL: plain.get("spec"), **({"authors": list(authors)} if authors else {})},
    )


def deleted(resource: Resource, at: datetime) -> Entry:
    """Tell that a resource is to go; nobody says who wished it."""
    return _entry(resource, at, Verb.DELETED, (), who=UNKNOWN, what="deletion", details={})


def asked(resource: Resource, action: object, status: Status, at: datetime) -> Entry:
    """Tell that an action is about to be taken. As long as nothing comes of it, taking it again is no news."""
    name, details = type(action).__name__, _fields(action)
    whole = digest(to_jsonable_python(action, fallback=repr))
    which = (resource.metadata.generation, status.transitions, name, whole)
    return _entry(resource, at, Verb.ASKED, which, what=name, details=details)


def transitions(resource: Resource, before: Status, after: Status, at: datetime) -> tuple[Entry, ...]:
    """Tell of each condition whose answer or reason is another now."""
    was, now = ({c.type: c for c in status.conditions} for status in (before, after))
    return tuple(
        _transition(resource, kind, (was.get(kind), now.get(kind)), before.transitions, at)
        for kind in dict.fromkeys((*now, *was))
        if _answer(was.get(kind)) != _answer(now.get(kind))
    )


def unread(key: Key, metadata: Mapping[str, Any]) -> Resource:
    """Give a resource whose document is wrong, as far as an entry needs it: who it is, nothing of what it says."""
    notes = {str(name): str(note) for name, note in (metadata.get("annotations") or {}).items()}
    known = Metadata.model_construct(
        name=key.name,
        namespace=key.namespace,
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        annotations=notes,
    )
    return Resource.model_construct(kind=key.kind, metadata=known)


def counted(before: Status, after: S) -> S:
    """Say on a status how often it changed its answers.

    A crash before the write leaves the count as it was, so that the same change is told under the same name; the next
    time round, the same change has another.
    """
    was, now = ({c.type: _answer(c) for c in status.conditions} for status in (before, after))
    return after.model_copy(update={"transitions": before.transitions + (was != now)})


def released(release: Release) -> Entry:
    """Tell that a Release was written."""
    at = release.metadata.creation_timestamp
    if at is None:
        message = f"{release.key}: was not stored yet, so it has no time"
        raise ValueError(message)
    spec = release.spec
    return _entry(
        release,
        at,
        Verb.RELEASED,
        (spec.digest,),
        what=f"version {spec.version} of {spec.model}",
        digest=spec.digest,
        details={RELEASE_DETAIL: _document(release, None)},
    )


def decided(release: Release, approval: ApprovalStatus, at: datetime) -> Entry:
    """Tell what was decided about a Release, by whom and why."""
    told = approval.model_dump(mode="json", by_alias=True, include={"state", "by", "at", "digest", "reason"})
    by_somebody = approval.state in {ApprovalState.APPROVED, ApprovalState.REJECTED}
    return _entry(
        release,
        (approval.at if by_somebody else None) or at,
        Verb.DECIDED,
        (told,),
        who=(approval.by or UNKNOWN) if by_somebody else PLATFORM,
        what=approval.state.value,
        why=approval.reason,
        digest=approval.digest,
        details={RELEASE_DETAIL: _document(release, approval)},
    )


def _entry(
    resource: Resource,
    at: datetime,
    verb: Verb,
    which: tuple[object, ...],
    *,
    what: str,
    details: Mapping[str, JsonValue],
    **more: str,
) -> Entry:
    meta, key = resource.metadata, resource.key
    return Entry(
        key=digest([verb.value, meta.uid, *which]),
        at=at,
        who=str(_clean(more.get("who", PLATFORM))),
        verb=verb,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        uid=meta.uid,
        generation=meta.generation,
        what=what,
        revision=meta.revision,
        details={name: _clean(value) for name, value in details.items()},
        why=str(_clean(more.get("why", ""))),
        digest=more.get("digest", ""),
    )


def _transition(
    resource: Resource, kind: str, change: tuple[Condition | None, Condition | None], count: int, at: datetime
) -> Entry:
    was, now = change
    since = was.last_transition_time.isoformat() if was is not None and was.last_transition_time else None
    answer, reason = _answer(now)
    which = (resource.metadata.generation, count, kind, [*_answer(was), since], [answer, reason])
    why = f"{reason}: {now.message}" if now is not None and now.message else reason
    details: dict[str, JsonValue] = {"condition": kind, "from": list(_answer(was)), "to": [answer, reason]}
    return _entry(resource, at, Verb.BECAME, which, what=f"{kind} {answer}", why=why, details=details)


def _answer(condition: Condition | None) -> tuple[str, str]:
    return (ABSENT, "") if condition is None else (condition.status, condition.reason.value)


def _document(release: Release, approval: ApprovalStatus | None) -> dict[str, JsonValue]:
    """Give what the table of Releases keeps: the set, and the decision about it."""
    said = approval.model_dump(mode="json", by_alias=True, exclude_none=True) if approval is not None else None
    return {
        "name": release.metadata.name,
        "spec": release.spec.model_dump(mode="json", by_alias=True),
        "approval": said,
    }


def _fields(thing: object, depth: int = 1) -> dict[str, JsonValue]:
    """Give the plain fields of an action, and the names and keys of its parts; what is long or listed is left out."""
    if not dataclasses.is_dataclass(thing):
        name = getattr(thing, "name", None)
        return {"name": name} if isinstance(name, str) and len(name) <= LONGEST else {}
    found: dict[str, JsonValue] = {}
    for field in dataclasses.fields(thing):
        match getattr(thing, field.name):
            case Enum() as value:
                found[field.name] = str(value.value)
            case bool() | int() | str() as value if len(str(value)) <= LONGEST:
                found[field.name] = value
            case value if depth < DEEPEST:
                found |= {field.name: part} if (part := _fields(value, depth + 1)) else {}
    return found


def _clean(value: JsonValue) -> JsonValue:
    """Take out of what programs printed the characters that no database and no UTF-8 can hold."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        case dict():
            return {name: _clean(part) for name, part in value.items()}
        case list():
            return [_clean(part) for part in value]
        case _:
            return value
