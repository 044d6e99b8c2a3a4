"""What a Lease says, and what follows from it for one candidate: pure, so that every case can be tried."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

GROUP_VERSION = "coordination.k8s.io/v1"
RELEASED_SECONDS = 1
"""A released record says no longer term than this, for candidates that do not know what no holder means."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a term is, in seconds."""

    duration: float = 15
    """A record that did not change for so long is nobody's."""
    renew_deadline: float = 10
    """A leader that could not renew for so long has lost."""
    retry_period: float = 2
    """Time between two tries, of leader and candidates."""

    def __post_init__(self) -> None:
        """Refuse terms under which two could lead.

        Raises:
            ValueError: one sentence with the three values.
        """
        if not self.duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError(
                f"lease: found duration {self.duration}, renew deadline {self.renew_deadline}, retry period"
                f" {self.retry_period} s; each must be greater than the next, and the last greater than 0"
            )


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. Two records are equal when nobody acquired, renewed or released between them."""

    holder: str = ""
    duration: int = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0
    raw: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The whole object as it was read: its version guards a write, its labels and other people's fields stay."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a candidate knows: the record as it was read last, and since when it has said exactly that."""

    record: Record | None
    since: float
    missed: bool = False
    """Somebody's record was there before: who held it may still believe in it."""


class Move(Enum):
    """What a candidate does next."""

    CREATE = auto()
    """There is no record: write the first."""
    CLAIM = auto()
    """The record is nobody's any more: put our name on it."""
    RENEW = auto()
    """The record is ours: say that we live."""
    WAIT = auto()
    """Somebody else may be leading."""


def sighted(me: str, before: Sighting | None, record: Record | None, now: float) -> Sighting:
    """Look again: remember since when the record says what it says."""
    if before is None:
        return Sighting(record, now)
    if before.record == record:
        return replace(before, record=record)  # equal, but perhaps of a newer version
    was = before.record
    return Sighting(record, now, missed=record is None and was is not None and was.holder not in {"", me})


def move(me: str, seen: Sighting, now: float, duration: float) -> Move:
    """Decide from what was seen; `duration` counts where no record says its own."""
    return Move.WAIT if now < free_at(me, seen, duration) else _taken(me, seen)


def free_at(me: str, seen: Sighting, duration: float) -> float:
    """Say from when on, by the clock of the sightings, we may move; nobody's and our own records may be had at once."""
    record = seen.record
    if record is None:
        return seen.since + duration if seen.missed else seen.since
    return seen.since if record.holder in {"", me} else seen.since + (record.duration or duration)


def _taken(me: str, seen: Sighting) -> Move:
    if seen.record is None:
        return Move.CREATE
    return Move.RENEW if seen.record.holder == me else Move.CLAIM


def read(raw: dict[str, Any]) -> Record:
    """Read a Lease as the API server gave it; what is missing or of the wrong type counts as not said."""
    spec = raw.get("spec")
    said: dict[str, Any] = spec if isinstance(spec, dict) else {}

    def text(name: str) -> str:
        value = said.get(name)
        return value if isinstance(value, str) else ""

    def number(name: str) -> int:
        value = said.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    return Record(
        holder=text("holderIdentity"),
        duration=number("leaseDurationSeconds"),
        acquired=text("acquireTime"),
        renewed=text("renewTime"),
        transitions=number("leaseTransitions"),
        raw=raw,
    )


def taken(me: str, old: Record | None, at: datetime, duration: float) -> Record:
    """Write our name and the time; a term goes on when it is ours already, and else begins."""
    now = micro(at)
    ours = old is not None and old.holder == me
    return Record(
        holder=me,
        duration=math.ceil(duration),
        acquired=(old.acquired or now) if old is not None and ours else now,
        renewed=now,
        transitions=0 if old is None else old.transitions + (0 if ours else 1),
        raw=old.raw if old is not None else {},
    )


def released(old: Record, at: datetime) -> Record:
    """Take our name off."""
    now = micro(at)
    return replace(old, holder="", duration=RELEASED_SECONDS, acquired=now, renewed=now)


def document(record: Record, namespace: str, name: str) -> dict[str, Any]:
    """Put a record into the object it was read from, or into a new one."""
    metadata = record.raw.get("metadata") or {"namespace": namespace, "name": name}
    spec = record.raw.get("spec") or {}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Lease",
        "metadata": {key: value for key, value in metadata.items() if key != "managedFields"},
        "spec": {
            **spec,
            "holderIdentity": record.holder,
            "leaseDurationSeconds": record.duration,
            "acquireTime": record.acquired,
            "renewTime": record.renewed,
            "leaseTransitions": record.transitions,
        },
    }


def micro(at: datetime) -> str:
    """Write a time in UTC as a Lease has it: RFC 3339 with microseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
