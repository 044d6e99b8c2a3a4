"""A ledger in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cdl.api.canonical import canonical
from cdl.reconcile.chain import BEGINNING, Fault, Row, follow, link
from cdl.reconcile.record import RELEASE_DETAIL, Entry
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cdl.api.meta import Key


class MemoryLedger:
    """A Ledger; `kept` is all there is of it."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start empty."""
        self.weather = weather or Weather()
        self.kept: list[Row] = []
        self._keys: set[str] = set()
        self._writing = threading.Lock()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that was told, read again."""
        return tuple(Entry.model_validate_json(row.entry) for row in self.kept)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in their order, all or none."""
        with self.weather.call("append"), self._writing:
            for entry in entries:
                if entry.key not in self._keys:
                    self._add(entry.text())
                    self._keys.add(entry.key)

    def _add(self, text: str) -> None:
        previous = self.kept[-1].hash if self.kept else BEGINNING
        self.kept.append(Row(len(self.kept) + 1, text, previous, link(previous, text)))

    def rows(self, about: Key | None = None, since: datetime | None = None) -> Iterator[Row]:
        """Give the rows in their order."""
        with self.weather.call("rows"):
            chosen = [
                row
                for row, entry in zip(self.kept, self.entries, strict=True)
                if about in {None, entry.about} and (since is None or entry.at >= since)
            ]
        return iter(chosen)

    def releases(self, namespace: str, name: str) -> tuple[str, ...]:
        """Give what was kept of a Release, oldest first."""
        with self.weather.call("releases"):
            return tuple(
                canonical(entry.details[RELEASE_DETAIL]).decode()
                for entry in self.entries
                if (entry.namespace, entry.name) == (namespace, name) and RELEASE_DETAIL in entry.details
            )

    def fault(self) -> Fault | None:
        """Say which row is the first that was changed behind the ledger's back."""
        with self.weather.call("fault"):
            return follow(self.kept)
