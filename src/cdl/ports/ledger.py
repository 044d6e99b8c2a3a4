"""The ledger: what happened, who did it and why, in an order nobody can change afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.reconcile.chain import Fault, Row
    from cdl.reconcile.record import Entry


class Ledger(Protocol):
    """Only ever longer. Several may write at once; every row vouches for the one before."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in their order, all or none; one whose key is there already is left out.

        They are safe from a crash of everybody when this returns.

        Raises:
            Unavailable: nobody answered; some of it may have been kept nevertheless.
        """

    def rows(self, about: Key | None = None, since: datetime | None = None) -> Iterator[Row]:
        """Give the rows in their order: all, or those about one resource, or of what happened since then."""

    def releases(self, namespace: str, name: str) -> tuple[str, ...]:
        """Give what was kept of a Release, oldest first: a JSON document when it was written, one more per decision."""

    def fault(self) -> Fault | None:
        """Say which row is the first that was changed, removed or put in behind the ledger's back; None: none was."""
