"""A label store in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.labels import Spell, Stored
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.reconcile.datapipeline import LabelRow


@dataclass(frozen=True, slots=True)
class Kept:
    """A label, and the numbers of the versions it held for."""

    row: LabelRow
    since: int
    until: int | None = None


class MemoryLabels:
    """A LabelStore."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start empty."""
        self.weather = weather or Weather()
        self.sets: dict[Key, list[tuple[Dataset, str, datetime]]] = defaultdict(list)
        """What was stored of each owner, in order."""
        self._labels: dict[tuple[Key, Side, str], list[Kept]] = {}
        self._writing = threading.Lock()

    def newest(self, owner: Key) -> str:
        """Give the digest of the dataset version that was stored last; empty: none was."""
        with self.weather.call("newest labels"):
            sets = self.sets.get(owner)
            return sets[-1][0].version if sets else ""

    def store(
        self, owner: Key, dataset: Dataset, source: str, rows: Mapping[Side, Sequence[LabelRow]], at: datetime
    ) -> None:
        """Make a dataset version the newest, with these labels, all or none."""
        with self.weather.call("store labels"), self._writing:
            sets = self.sets[owner]
            if sets and sets[-1][0].version == dataset.version:
                return
            sets.append((dataset, source, at))
            number = len(sets)
            given = {(owner, side, row.item): row for side in Side for row in rows.get(side, ())}
            for place, kept in self._labels.items():
                if place[0] == owner and kept[-1].until is None and kept[-1].row != given.get(place):
                    kept[-1] = replace(kept[-1], until=number)
            for place, row in given.items():
                before = self._labels.setdefault(place, [])
                if not before or before[-1].until is not None:
                    before.append(Kept(row, number))

    def stored(self, owner: Key, version: str) -> Stored | None:
        """Give the labels of a dataset version by its digest; None: it was never stored."""
        with self.weather.call("stored labels"):
            numbers = [n for n, (dataset, _, _) in enumerate(self.sets.get(owner, ()), 1) if dataset.version == version]
            if not numbers:
                return None
            dataset, source, _ = self.sets[owner][numbers[-1] - 1]
            rows: dict[Side, tuple[LabelRow, ...]] = {
                side: tuple(
                    one.row
                    for place in sorted(p for p in self._labels if p[:2] == (owner, side))
                    for one in self._labels[place]
                    if one.since <= numbers[-1] and (one.until is None or one.until > numbers[-1])
                )
                for side in Side
            }
            return Stored(version, dataset.labels.snapshot, source, self.sets[owner][numbers[0] - 1][2], rows)

    def history(self, owner: Key, item: str) -> tuple[Spell, ...]:
        """Give how an item was labelled, the first label first; train before test."""
        with self.weather.call("history of a label"):
            return tuple(
                self._spell(owner, side, kept) for side in Side for kept in self._labels.get((owner, side, item), ())
            )

    def _spell(self, owner: Key, side: Side, kept: Kept) -> Spell:
        dataset, _, at = self.sets[owner][kept.since - 1]
        until = self.sets[owner][kept.until - 1][0].version if kept.until is not None else ""
        place = dataset.train if side is Side.TRAIN else dataset.test
        row = kept.row
        known = short([str(owner), side, row.item])
        return Spell(side, row.label, row.annotator, row.at or at, place.commit, dataset.version, until, known)
