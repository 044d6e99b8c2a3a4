"""JSON merge patches (RFC 7396): what `kubectl patch --type merge` sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def patched(document: Mapping[str, object], part: Mapping[str, object]) -> dict[str, object]:
    """Give the document with the fields of the part in it; None takes a field away."""
    made = dict(document)
    for name, value in part.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            before = made.get(name)
            made[name] = patched(before if isinstance(before, dict) else {}, value)
        else:
            made[name] = value
    return made
