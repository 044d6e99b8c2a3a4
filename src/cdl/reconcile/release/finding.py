"""What became of each part of a Release, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cdl.api.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from .found import Silence

SHOWN = 19
"""How much of a digest a person reads."""


class State(StrEnum):
    """What became of a member."""

    INTACT = "intact"
    CHANGED = "changed"
    MISSING = "missing"
    UNREACHABLE = "unreachable"
    """Who knows it did not answer."""
    UNASKED = "unasked"
    """Nobody was asked."""

    @property
    def broken(self) -> bool:
        """The Release is not any more what it was."""
        return self in {State.CHANGED, State.MISSING}


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one part of a member."""

    member: str
    path: str
    state: State
    expected: str = ""
    found: str = ""
    """What there is instead; or, where nothing was learned, why."""

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        what = f"{self.member} {self.path}".strip()
        match self.state:
            case State.INTACT:
                return f"{what} is intact: {_brief(self.expected)}"
            case State.CHANGED:
                return f"{what} has changed: found {_brief(self.found)}, expected {_brief(self.expected)}"
            case State.MISSING:
                return f"{what} is missing: expected {_brief(self.expected)}"
            case State.UNREACHABLE:
                return f"{what} is unreachable: {self.found}"
            case State.UNASKED:
                return f"{what} was not asked: {self.found}"


def silent(member: str, path: str, silence: Silence, wanted: str) -> Finding:
    """Say that nothing was learned."""
    return Finding(member, path, State.UNREACHABLE if silence.asked else State.UNASKED, wanted, silence.why)


def same(member: str, path: str, wanted: str, found: str) -> Finding:
    """Say whether what was found is what was expected."""
    return Finding(member, path, State.INTACT if found == wanted else State.CHANGED, wanted, found)


def equal(member: str, path: str, wanted: JsonValue, found: JsonValue) -> Finding:
    """Compare as JSON does: 1.0 and 1 are one number."""
    return same(member, path, spelt(wanted), spelt(found))


def spelt(value: JsonValue) -> str:
    """Write a value as RFC 8785 says; what an engine says may have no such form, and is then no member of a Release."""
    try:
        return canonical(value).decode()
    except ValueError as error:
        return f"something that {error}"


def table(value: JsonValue) -> Mapping[str, JsonValue]:
    """Read an object; what is none is empty."""
    return value if isinstance(value, dict) else {}


def text(part: object, name: str) -> str:
    """Read a text of an object; what is none is empty."""
    found = part.get(name) if isinstance(part, dict) else None
    return found if isinstance(found, str) else ""


def _brief(text: str) -> str:
    return f"{text[:SHOWN]}…" if text.startswith("sha256:") else text
