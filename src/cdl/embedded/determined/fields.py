"""Typed reading of JSON trees whose shape somebody else decides."""

import math
import re
from collections.abc import Mapping

from cdl.embedded.determined.errors import invalid

Tree = dict[str, object]
DIGITS = re.compile(r"-?[0-9]+")
MOST_DIGITS = 20
INT64 = 1 << 63


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
    """Return the integer at path; JSON strings of digits count, as protobuf's int64 does.

    Raises:
        ApiError: it does not fit 64 bits.
    """
    found = at(tree, *path)
    if isinstance(found, str) and DIGITS.fullmatch(found):
        found = int(found) if len(found) <= MOST_DIGITS else math.inf
    if isinstance(found, bool) or not isinstance(found, int | float):
        return default
    if isinstance(found, float) and not found.is_integer() and not math.isinf(found):
        return default
    if not -INT64 <= found < INT64:
        raise invalid(f"{'.'.join(path)} must fit into 64 bits")
    return int(found)


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
