"""Read the ledger: which of the changes that were told came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.reconcile.record import ABSENT, Entry, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cdl.api.v1alpha1.resource import Status


def stood(entries: Iterable[Entry], now: Mapping[str, Status] | None = None) -> tuple[Entry, ...]:
    """Leave out changes of conditions that were told and never written.

    A change is told before it is written. Who dies in between, or was not the fastest, may decide otherwise the next
    time: then the next change begins where the one before had not ended, and the one before never was. Of the last
    change only the resource itself can tell: `now` has the statuses of those that are there, by uid.
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
    held = {uid: _answers(status) for uid, status in (now or {}).items()}
    for (uid, condition), path in standing.items():
        if uid in held:
            gone |= _unwritten([told[place] for place in path], path, held[uid].get(condition, [ABSENT, ""]))
    return tuple(entry for place, entry in enumerate(told) if place not in gone)


def _unwritten(steps: Sequence[Entry], places: Sequence[int], answer: list[str]) -> set[int]:
    """Find the changes after the last that led to an answer; none where nothing did: more happened than is told."""
    ends = [steps[0].details.get("from"), *(step.details.get("to") for step in steps)]
    last = max((n for n, end in enumerate(ends) if end == answer), default=len(steps))
    return set(places[last:])


def _answers(status: Status) -> dict[str, list[str]]:
    return {condition.type.value: [condition.status, condition.reason.value] for condition in status.conditions}
