"""Verify again, now and then, what is served or may be: nobody has to ask for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType
from cdl.reconcile.release import may_be_served, verdict
from cdl.reconcile.summary import stamped

from .verify import verify

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.release import ReleaseStatus

    from .verify import Witnesses

NEVER = timedelta()
RETRY = timedelta(minutes=10)
"""How soon after somebody began not to answer; who goes on not answering is asked at every round only."""


class Rounds:
    """Says when a Release is due, and what becomes of its status; between two rounds it costs nothing."""

    def __init__(self, witnesses: Witnesses, every: timedelta) -> None:
        """Ask the witnesses so often; never stands for no rounds at all."""
        self._witnesses = witnesses
        self._every = every
        self._tried: dict[tuple[str, str], datetime] = {}

    def due_in(self, release: Release, now: datetime) -> timedelta | None:
        """Say when to verify it; None: never, as things stand. A new Release is not due before a whole interval."""
        place = (release.metadata.namespace, release.metadata.name)
        if self._every == NEVER or not may_be_served(release):
            self._tried.pop(place, None)
            return None
        status = release.status
        known = (self._tried.get(place), status.verified_at, status.approval.at, release.metadata.creation_timestamp)
        last = next((at for at in known if at is not None), None)
        return timedelta() if last is None else max(last + self._every - now, timedelta())

    def status(self, release: Release, now: datetime) -> ReleaseStatus:
        """Verify it, and give the status that says so; who does not answer changes nothing but the word for it."""
        before = release.status
        said = verdict(verify(self._witnesses, release), before.condition(ConditionType.VERIFIED))
        said = said.model_copy(update={"observed_generation": release.metadata.generation})
        others = tuple(c for c in before.conditions if c.type is not ConditionType.VERIFIED)
        conditions = stamped(before.conditions, (*others, said), now)
        at = now if said.status == "True" else before.verified_at
        return before.model_copy(update={"conditions": conditions, "verified_at": at})

    def written(self, release: Release, status: ReleaseStatus, now: datetime) -> None:
        """Learn that what was found has been said, so that nothing found is lost to a write that failed."""
        was, said = (one.condition(ConditionType.VERIFIED) for one in (release.status, status))
        silent = said is not None and said.status == "Unknown"
        news = silent and (was is None or was.status != "Unknown")
        last = now - max(self._every - RETRY, NEVER) if news else now
        self._tried[release.metadata.namespace, release.metadata.name] = last
