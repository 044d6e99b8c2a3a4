"""Ledgers that break one promise each."""

from __future__ import annotations

import dataclasses
import json
import time

from cdl.reconcile.chain import Row, follow, link
from cdl.testing.memory import MemoryLedger


class WritesItsOwnWay(MemoryLedger):
    def rows(self, about=None, since=None):
        return (dataclasses.replace(row, entry=json.dumps(json.loads(row.entry))) for row in super().rows(about, since))


class CountsFromNothing(MemoryLedger):
    def rows(self, about=None, since=None):
        return (dataclasses.replace(row, number=row.number - 1) for row in super().rows(about, since))


class KeepsEveryTelling(MemoryLedger):
    def append(self, entries):
        for entry in entries:
            self._add(entry.text())


class ForgetsNewsBesideTheKnown(MemoryLedger):
    def append(self, entries):
        known = {entry.key for entry in self.entries}
        if not any(entry.key in known for entry in entries):
            super().append(entries)


class KnowsNamesAlone(MemoryLedger):
    def rows(self, about=None, since=None):
        found = super().rows(None, since)
        return found if about is None else (row for row in found if json.loads(row.entry)["name"] == about.name)


class LeavesTheMomentOut(MemoryLedger):
    def rows(self, about=None, since=None):
        told = {entry.text(): entry.at for entry in self.entries}
        return (row for row in super().rows(about) if since is None or told[row.entry] > since)


class KeepsTheLastDocument(MemoryLedger):
    def releases(self, namespace, name):
        return super().releases(namespace, name)[-1:]


class AlwaysComplains(MemoryLedger):
    def fault(self):
        return follow([Row(1, "", "", "")])


class LooksAway(MemoryLedger):
    def fault(self):
        return None


class NamesTheLast(MemoryLedger):
    def fault(self):
        faults = (follow([row], before) for before, row in zip([None, *self.kept], self.kept, strict=False))
        return max((fault for fault in faults if fault), key=lambda fault: fault.number, default=None)


class LetsWritersIn(MemoryLedger):
    """Two may look at the end at once."""

    def append(self, entries):
        known = {entry.key for entry in self.entries}
        for entry in entries:
            if entry.key not in known:
                last = self.kept[-1] if self.kept else None
                time.sleep(0.0005)
                previous = last.hash if last else "0" * 64
                number = last.number + 1 if last else 1
                self.kept.append(Row(number, entry.text(), previous, link(previous, entry.text())))


TO_THE_LETTER = "test_what_was_told_is_there_to_the_letter"
CHAINED = "test_rows_are_numbered_and_chained_from_the_beginning"
TWICE = "test_telling_twice_changes_nothing"
OWN_HISTORY = "test_one_resource_has_a_history_of_its_own"
SINCE = "test_what_happened_before_is_left_out"
RELEASES = "test_a_release_is_kept_as_it_was_each_time"
WHOLE = "test_nothing_is_broken_in_what_nobody_touched"
NAMED = "test_a_changed_row_is_named"
MANY = "test_many_writers_lose_nothing_and_break_nothing"

LIARS = {
    WritesItsOwnWay: {TO_THE_LETTER, CHAINED, TWICE, OWN_HISTORY, SINCE, MANY},
    CountsFromNothing: {CHAINED},
    KeepsEveryTelling: {TWICE, MANY},
    ForgetsNewsBesideTheKnown: {TWICE, MANY},
    KnowsNamesAlone: {OWN_HISTORY},
    LeavesTheMomentOut: {SINCE},
    KeepsTheLastDocument: {RELEASES},
    AlwaysComplains: {WHOLE, NAMED},
    LooksAway: {NAMED},
    NamesTheLast: {NAMED},
    LetsWritersIn: {MANY},
}
