"""When sources are looked at again: worked out from the last due time that was kept, and from nothing else.

A due time counts as kept once every source that may change was fetched for it; the collector knows for which due time
it fetched. So it is harmless to die between the fetch and the status: the next look finds it done. What was due while
nobody looked is one due time, the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdl.api.schedule import newest_due, next_due

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import DataPipeline, Source

    from .seen import Seen


class Times(NamedTuple):
    """What the status says of a schedule; both None without one."""

    collected_for: datetime | None = None
    next_fetch_at: datetime | None = None


def due(resource: DataPipeline, seen: Seen) -> datetime | None:
    """Give the newest due time that has come and is not known to be kept; None: none has."""
    schedule, since = resource.spec.schedule, resource.status.collected_for
    return newest_due(schedule, since, seen.at) if schedule and since is not None else None


def outdated(source: Source, seen: Seen, at: datetime | None) -> bool:
    """Say whether a source is not at hand as a due time wants it; one that is pinned cannot change."""
    found = next((s for s in seen.sources if s.name == source.name), None)
    if found is None or not found.digest:
        return True
    return at is not None and source.may_change and (found.collected_for is None or found.collected_for < at)


def times(resource: DataPipeline, seen: Seen) -> Times:
    """Say what due time the sources are of by now, and what comes next; a new schedule begins to count now."""
    spec = resource.spec
    if not spec.schedule:
        return Times()
    since = resource.status.collected_for or seen.at.replace(microsecond=0)
    at = due(resource, seen)
    if at is not None and not any(outdated(source, seen, at) for source in spec.sources):
        since = at
    return Times(since, next_due(spec.schedule, since))
