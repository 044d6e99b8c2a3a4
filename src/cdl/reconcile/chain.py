"""Rows that each vouch for the one before: whoever changes one, however long ago, breaks the chain there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGINNING = "0" * 64
"""What the first row follows."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in its place."""

    number: int
    """Counted from 1, without gaps."""
    entry: str
    """Canonical JSON, kept as it was written."""
    previous: str
    """The hash of the row before."""
    hash: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The first row at which the chain does not hold."""

    number: int
    what: str

    def __str__(self) -> str:
        """Read as one sentence."""
        return f"row {self.number}: {self.what}"


def link(previous: str, entry: str) -> str:
    """Give the hash of a row: SHA-256 over the hash before, as 32 bytes, and the entry in UTF-8.

    Raises:
        ValueError: `previous` is no hash.
    """
    return hashlib.sha256(bytes.fromhex(previous) + entry.encode()).hexdigest()


def follow(rows: Iterable[Row], before: Row | None = None) -> Fault | None:
    """Find the first row that was changed, is missing or was put in; None: the chain holds.

    Without `before`, whatever the first row says of the one before it is believed, unless it says to be number 1.
    """
    for row in rows:
        fault = _fault(row, before)
        if fault:
            return Fault(
                before.number + 1 if before is not None and row.number > before.number + 1 else row.number, fault
            )
        before = row
    return None


def _fault(row: Row, before: Row | None) -> str:
    if before is not None and row.number != before.number + 1:
        return "is missing" if row.number > before.number else f"comes after row {before.number}"
    if before is None and row.number == 1 and row.previous != BEGINNING:
        return "is not the first that was written"
    if before is not None and row.previous != before.hash:
        return f"does not follow row {before.number}: one of the two was changed, or one between them removed"
    try:
        right = link(row.previous, row.entry) == row.hash
    except ValueError:
        right = False
    return "" if right else "was changed: it has another hash now"
