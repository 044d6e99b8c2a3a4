"""One Lease for each kind: an operator of all kinds and one of a single kind can never both act on the same."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from .election import Election, identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .election import LeaseApi


class Leadership:
    """Leads when it leads every kind; always asked for in the same order, so that no two wait for each other."""

    def __init__(self, api: LeaseApi, namespace: str, kinds: Sequence[str], me: str | None = None) -> None:
        """Stand for the Leases `cdl-<kind>` in a namespace; nothing is asked before `acquire`."""
        self.lost = threading.Event()
        """Set, for ever, when one of them is lost."""
        name = me or identity()
        self._elections = tuple(
            Election(api, namespace, f"cdl-{kind.lower()}", me=name, lost=self.lost) for kind in sorted(kinds)
        )

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until we lead, and go on leading in the background; False when stop was set first.

        Whoever waits for one Lease watches the others grow old: a dead leader's are all free after one term.
        """
        for number, election in enumerate(self._elections, 1):
            if not election.acquire(stop, partial(_glance, self._elections[number:])):
                return False
        return True

    def held(self) -> bool:
        """Say whether a write may begin now."""
        return all(election.held() for election in self._elections)

    def release(self) -> None:
        """Give everything back after the last write. Never raises."""
        for election in reversed(self._elections):
            election.release()


def _glance(elections: Sequence[Election]) -> None:
    for election in elections:
        election.glance()
