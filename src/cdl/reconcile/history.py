"""Read the ledger: which of the changes that were told came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.reconcile.record import Entry, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable


def stood(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Leave out changes of conditions that were told and never written.

    A change is told before it is written. Who dies in between, or was not the fastest, may decide otherwise the next
    time: then the next change begins where the one before had not ended, and the one before never was.
    """
    told = tuple(entries)
    standing: dict[tuple[str, str], list[int]] = {}
    gone: set[int] = set()
    for place, entry in enumerate(told):
        if entry.verb is not Verb.BECAME:
            continue
        path = standing.setdefault((entry.uid, str(entry.details.get("condition"))), [])
        while path and told[path[-1]].details.get("to") != entry.details.get("from"):
            gone.add(path.pop())
        path.append(place)
    return tuple(entry for place, entry in enumerate(told) if place not in gone)
