"""Say what differs between two plain trees, in the words a person would use."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ABSENT = object()
LONGEST = 60
SHOWN_DIGITS = 8
MANY = 6
_HEX = re.compile(r"^(sha256:)?([0-9a-f]{32,})$")


def changes(old: object, new: object, path: str = "") -> tuple[str, ...]:
    """Name every place where two trees differ: `hyperparameters.learning_rate: 0.1 -> 0.05`."""
    return tuple(_changes(old, new, path))


def few(sentences: Sequence[str], most: int = MANY) -> tuple[str, ...]:
    """Keep the first ones and count the rest."""
    if len(sentences) <= most:
        return tuple(sentences)
    return (*sentences[: most - 1], f"and {len(sentences) - most + 1} more")


def shown(value: object) -> str:
    """Write a value: a digest by its first digits, a long one by its beginning."""
    if isinstance(value, str):
        digest = _HEX.match(value)
        if digest:
            return f"{digest[1] or ''}{digest[2][:SHOWN_DIGITS]}…"
    text = value if isinstance(value, str) and value.strip() == value != "" else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def moved(old: str | None, new: str | None) -> str:
    """Write how a digest changed."""
    return f"{shown(old) if old else 'nothing'} -> {shown(new) if new else 'nothing'}"


def _changes(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}, key=str):
            below = f"{path}.{name}" if path else str(name)
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and _tells(old, new):
        for index in range(max(len(old), len(new))):
            pair = (old[index] if index < len(old) else ABSENT, new[index] if index < len(new) else ABSENT)
            yield from _changes(*pair, f"{path}[{index}]")
    elif old is ABSENT:
        yield f"{path}: added, {shown(new)}"
    elif new is ABSENT:
        yield f"{path}: removed, was {shown(old)}"
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield f"{path}: {shown(old)} -> {shown(new)}"


def _tells(old: list[object], new: list[object]) -> bool:
    """Lists of plain values are told whole while they are short; others place by place."""
    return any(isinstance(v, dict | list) for v in (*old, *new)) or len(json.dumps([old, new])) > LONGEST
