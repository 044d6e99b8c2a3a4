"""Typed reading of JSON trees whose shape somebody else decides."""

import math
from collections.abc import Mapping

Tree = dict[str, object]


def section(tree: Mapping[str, object], *path: str) -> Tree:
    """Return the object at path; an absent or non-object value is an empty object."""
    found: object = tree
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def at(tree: Mapping[str, object], *path: str) -> object:
    """Return whatever is at path, None when any step is absent."""
    found: object = tree
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def text(tree: Mapping[str, object], *path: str, default: str = "") -> str:
    """Return the string at path."""
    found = at(tree, *path)
    return found if isinstance(found, str) else default


def whole(tree: Mapping[str, object], *path: str, default: int = 0) -> int:
    """Return the integer at path; JSON strings of digits count, as protobuf's int64 does."""
    found = at(tree, *path)
    if isinstance(found, bool):
        return default
    if isinstance(found, int):
        return found
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if isinstance(found, str) and found.lstrip("-").isdigit():
        return int(found)
    return default


def number(tree: Mapping[str, object], *path: str, default: float = 0.0) -> float:
    """Return the number at path."""
    found = as_number(at(tree, *path))
    return default if found is None else found


def truth(tree: Mapping[str, object], *path: str, default: bool = False) -> bool:
    """Return the boolean at path."""
    found = at(tree, *path)
    return found if isinstance(found, bool) else default


def items(tree: Mapping[str, object], *path: str) -> list[object]:
    """Return the list at path; anything else is an empty list."""
    found = at(tree, *path)
    return list(found) if isinstance(found, list) else []


def texts(tree: Mapping[str, object], *path: str) -> list[str]:
    """Return the strings of the list at path."""
    return [item for item in items(tree, *path) if isinstance(item, str)]


def as_number(value: object) -> float | None:
    """Read a metric as the harness sends it: numbers, and NaN or infinities as strings."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if value in ("NaN", "Nan"):
        return math.nan
    if value == "Infinity":
        return math.inf
    if value == "-Infinity":
        return -math.inf
    return None
