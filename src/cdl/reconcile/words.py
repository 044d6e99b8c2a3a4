"""Say what differs between two plain trees, in the words a person would use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 60
SHOWN_DIGITS = 8
MANY = 6
_HEX = re.compile(r"^(sha256:)?([0-9a-f]{32,})$")


class Absent:
    """Stands where a tree has nothing."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two trees differ."""

    path: str
    old: object
    new: object

    def __str__(self) -> str:
        """Read as `hyperparameters.learning_rate: 0.1 -> 0.05`."""
        if isinstance(self.old, Absent):
            return f"{self.path}: added, {shown(self.new)}"
        if isinstance(self.new, Absent):
            return f"{self.path}: removed, was {shown(self.old)}"
        return f"{self.path}: {shown(self.old)} -> {shown(self.new)}"


def differences(old: object, new: object, path: str = "") -> tuple[Difference, ...]:
    """Find every place where two trees differ."""
    return tuple(_differences(old, new, path))


def changes(old: object, new: object, path: str = "") -> tuple[str, ...]:
    """Name every place where two trees differ: `hyperparameters.learning_rate: 0.1 -> 0.05`."""
    return tuple(map(str, _differences(old, new, path)))


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


def _differences(old: object, new: object, path: str) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}, key=str):
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(old.get(name, ABSENT), new.get(name, ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and _tells(old, new):
        for index in range(max(len(old), len(new))):
            pair = (old[index] if index < len(old) else ABSENT, new[index] if index < len(new) else ABSENT)
            yield from _differences(*pair, f"{path}[{index}]")
    elif not _same(old, new):
        yield Difference(path, old, new)


def _same(old: object, new: object) -> bool:
    """As JSON has it: true is not 1, neither alone nor in a list of plain values."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new and isinstance(old, bool) is isinstance(new, bool)


def _tells(old: list[object], new: list[object]) -> bool:
    """Lists of plain values are told whole while they are short; others place by place."""
    return any(isinstance(v, dict | list) for v in (*old, *new)) or len(json.dumps([old, new])) > LONGEST
