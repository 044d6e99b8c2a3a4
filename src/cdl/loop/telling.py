"""What the loop tells the ledger, always before it is true anywhere else: a crash in between loses nothing.

Every entry has a name worked out from what happened, so whoever comes after the crash tells the same again, once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.release import ApprovalStatus
    from cdl.api.v1alpha1.resource import Resource, Status
    from cdl.ports.ledger import Ledger
    from cdl.reconcile.record import Entry

REMEMBERED = 20_000
"""Names of entries told by this process that need no second telling."""


class Teller:
    """Tells a ledger; nobody, where there is none."""

    def __init__(self, ledger: Ledger | None, clock: Callable[[], datetime]) -> None:
        """Time is handed in."""
        self._ledger = ledger
        self._clock = clock
        self._told: OrderedDict[str, None] = OrderedDict()

    def begun(self, resource: Resource, status: Status) -> None:
        """Tell that another wish is worked on, or that the resource is to go."""
        if self._ledger is None:
            return
        if resource.metadata.deleting:
            self._tell(record.deleted(resource, self._clock()))
        elif status.observed_generation != resource.metadata.generation:
            self._tell(record.applied(resource, self._clock()))

    def asked(self, resource: Resource, action: object, status: Status) -> None:
        """Tell that an action is about to be taken."""
        if self._ledger is not None:
            self._tell(record.asked(resource, action, status, self._clock()))

    def became(self, resource: Resource, before: Status, after: Status) -> None:
        """Tell how a status is about to change."""
        if self._ledger is not None:
            self._tell(*record.transitions(resource, before, after, self._clock()))

    def seen(self, release: Release) -> None:
        """Tell of a Release that it was written, and what its status says was decided, whoever wrote that."""
        if self._ledger is None:
            return
        version = f"{release.metadata.uid} {release.metadata.resource_version}"
        if version in self._told:
            return
        self._tell(record.released(release))
        if release.status.approval.state is not ApprovalState.PENDING:
            self.decided(release, release.status.approval)
        self._remember(version)

    def decided(self, release: Release, approval: ApprovalStatus) -> None:
        """Tell what was decided about a Release."""
        if self._ledger is not None:
            self._tell(record.decided(release, approval, self._clock()))

    def _tell(self, *entries: Entry) -> None:
        news = [entry for entry in entries if entry.key not in self._told]
        if self._ledger is None or not news:
            return
        self._ledger.append(news)
        for entry in news:
            self._remember(entry.key)

    def _remember(self, name: str) -> None:
        self._told[name] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
