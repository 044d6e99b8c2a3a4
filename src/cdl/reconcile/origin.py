"""Where a Release comes from: who had a hand in it, and whose model it took.

A name is compared with a name as people are called at two places: in git by an e-mail address, at an API server, a
forge or on a laptop by a user name, perhaps with a prefix that says who vouches for it. Rather one person too many is
taken for an author than one too few: somebody else can always decide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

POLICY = "policy/"
"""What the names of policies begin with; no person is called so."""
MACHINE = "system:"
"""What an API server calls itself and the accounts of programs; taken as they are."""
_PREFIX = re.compile(r".*[:#|/\\]")
ADOPTED_FROM = "adoptedFrom"
"""Where the member `git` says which Release was adopted: beside what contents are compared by."""
TRAINED_ON = "trainedOn"
"""There: the commits of data that the run read, which lie elsewhere than those of the member `data`."""


def named(members: Mapping[str, object]) -> tuple[str, ...]:
    """Read the authors off members, however plain."""
    git = members.get("git")
    said = git.get("authors") if isinstance(git, dict) else None
    return tuple(str(name) for name in said) if isinstance(said, list) else ()


def among(names: Iterable[str], who: str) -> str:
    """Give the first of the names that may be the same person's; empty when none is."""
    return next((name for name in names if same(name, who)), "")


def same(one: str, other: str) -> bool:
    """Tell whether two names may be one person's: equal, or one is the other without the part behind the @."""
    if one.strip().casefold() == other.strip().casefold():
        return bool(one.strip())
    (mine, here), (theirs, there) = _parts(one), _parts(other)
    return bool(mine & theirs) and (here == there or not here or not there)


def _parts(name: str) -> tuple[frozenset[str], str]:
    """Take a name apart: what the person may be called, and where; `12+ada@host` is ada's as well as 12+ada's."""
    bare = name.strip().casefold()
    if bare.startswith(MACHINE):
        return frozenset({bare} - {""}), ""
    local, _, domain = _PREFIX.sub("", bare).partition("@")
    called = {local, *(part for part in local.split("+") if not part.isdigit())}
    return frozenset(called - {""}), domain


def adopted_from(members: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Give namespace, name and digest of the Release it was adopted from; empty where it was trained for itself."""
    return _part(_part(members, "git"), ADOPTED_FROM)


def trained_on(members: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Give the commits of data that the run read, by side: its own, unless it was adopted."""
    return _part(adopted_from(members), TRAINED_ON) or _part(members, "data")


def _part(members: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = members.get(name)
    return part if isinstance(part, dict) else {}
