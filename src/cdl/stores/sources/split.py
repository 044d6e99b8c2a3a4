"""Divide files into train and test by what is in them; pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Item:
    """One file: where it lies in its side, and the sha256 of its bytes."""

    path: str
    content: str


def for_test(items: Iterable[Item], share: float, seed: int, *, by_parent: bool) -> frozenset[str]:
    """Give the paths of the test side.

    Equal contents always fall on one side, names play no part in the draw, and neither does the order of the items.
    Within each parent directory the share is met within one item, or as near as its duplicates allow.
    """
    copies: dict[str, list[str]] = {}
    for item in items:
        copies.setdefault(item.content, []).append(item.path)
    strata: dict[str, list[str]] = {}
    for content, paths in copies.items():
        # A text that lies in several directories is drawn once, in the first of them.
        home = min(str(PurePosixPath(p).parent) for p in paths) if by_parent else ""
        strata.setdefault(home, []).append(content)
    chosen = (c for contents in strata.values() for c in _draw(contents, copies, share, seed))
    return frozenset(path for content in chosen for path in copies[content])


def _draw(contents: list[str], copies: dict[str, list[str]], share: float, seed: int) -> list[str]:
    wanted = round(share * sum(len(copies[c]) for c in contents))
    drawn: list[str] = []
    have = 0
    for content in sorted(contents, key=lambda c: _lot(c, seed)):
        size = len(copies[content])
        if abs(have + size - wanted) < abs(have - wanted):
            drawn.append(content)
            have += size
    return drawn


def _lot(content: str, seed: int) -> bytes:
    """Where a content stands in the queue; the content itself breaks ties, so that the queue has one order."""
    return hashlib.sha256(f"{seed}:{content}".encode()).digest() + content.encode()
