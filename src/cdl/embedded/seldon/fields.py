"""Reading loosely typed JSON: what is absent or of another type counts as empty."""

from __future__ import annotations

from typing import TypeAlias

Object: TypeAlias = dict[str, object]


def mapping(value: object) -> Object:
    """Give the object that value is, or an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[object]:
    """Give the list that value is, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: object, default: str = "") -> str:
    """Give the text that value is, or the default."""
    return value if isinstance(value, str) else default


def whole(value: object, default: int = 0) -> int:
    """Give the whole number that value is, or the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def meta(document: Object) -> Object:
    """Give an object's metadata."""
    return mapping(document.get("metadata"))


def key_of(document: Object) -> tuple[str, str]:
    """Give an object's namespace and name."""
    metadata = meta(document)
    return text(metadata.get("namespace")), text(metadata.get("name"))
