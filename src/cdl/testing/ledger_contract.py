"""What every Ledger must keep; subclass it, give it a ledger, and run it with pytest."""

from __future__ import annotations

import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cdl.api.canonical import digest
from cdl.api.meta import Key
from cdl.reconcile.chain import BEGINNING, follow
from cdl.reconcile.record import RELEASE_DETAIL, Entry, Verb

if TYPE_CHECKING:
    from cdl.ports.ledger import Ledger
    from cdl.reconcile.chain import Row

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WRITERS, EACH = 4, 10
NEWS = Key("Experiment", "default", "news")


def entry(number: int, name: str = "news", **more: object) -> Entry:
    """Give an entry that happened so many minutes after noon."""
    fields: dict[str, object] = {
        "key": digest([name, number]),
        "at": NOON + timedelta(minutes=number),
        "who": "cdl",
        "verb": Verb.BECAME,
        "kind": "Experiment",
        "namespace": "default",
        "name": name,
        "uid": "u1",
        "generation": 1,
        "what": f"Ready {number}",
        "why": "Zürich said so — twice",
        "details": {"number": number, "half": number / 2},
    }
    return Entry.model_validate({**fields, **more})


def texts(rows: tuple[Row, ...]) -> list[str]:
    """Give the entries of rows, as they were written."""
    return [row.entry for row in rows]


class LedgerContract:
    """One test a promise of `cdl.ports.ledger`."""

    @pytest.fixture
    def engine(self) -> Ledger:
        """Give the ledger under test, empty; a subclass knows which."""
        raise NotImplementedError

    def change(self, engine: Ledger, number: int, entry: str) -> None:
        """Write another entry into a row, behind the ledger's back."""
        raise NotImplementedError

    def test_what_was_told_is_there_to_the_letter(self, engine: Ledger) -> None:
        """Text, numbers and order come back as they were written."""
        told = [entry(n) for n in range(3)]
        engine.append(told[:1])
        engine.append(told[1:])
        assert texts(tuple(engine.rows())) == [one.text() for one in told]

    def test_rows_are_numbered_and_chained_from_the_beginning(self, engine: Ledger) -> None:
        """The first follows nothing, each other the one before."""
        engine.append([entry(n) for n in range(3)])
        rows = tuple(engine.rows())
        assert [row.number for row in rows] == [1, 2, 3]
        assert rows[0].previous == BEGINNING
        assert all(b.previous == a.hash for a, b in itertools.pairwise(rows))
        assert follow(rows) is None

    def test_telling_twice_changes_nothing(self, engine: Ledger) -> None:
        """Not even when the second telling has another time, or comes with news."""
        engine.append([entry(1)])
        engine.append([entry(1, at=NOON + timedelta(days=1)), entry(2)])
        assert texts(tuple(engine.rows())) == [entry(1).text(), entry(2).text()]

    def test_one_resource_has_a_history_of_its_own(self, engine: Ledger) -> None:
        """Kind, namespace and name all count."""
        engine.append([entry(1), entry(2, "other"), entry(3, namespace="away"), entry(4, kind="Release"), entry(5)])
        assert texts(tuple(engine.rows(about=NEWS))) == [entry(1).text(), entry(5).text()]

    def test_what_happened_before_is_left_out(self, engine: Ledger) -> None:
        """The very moment counts as since."""
        engine.append([entry(n) for n in range(4)])
        since = NOON + timedelta(minutes=2)
        assert texts(tuple(engine.rows(since=since))) == [entry(2).text(), entry(3).text()]

    def test_a_release_is_kept_as_it_was_each_time(self, engine: Ledger) -> None:
        """One document when it was written, one for each decision; of this Release alone."""
        written, approved = (
            {"spec": {"version": 1}, "approval": None},
            {"spec": {"version": 1}, "approval": {"by": "a"}},
        )
        one = {"kind": "Release", "name": "news-1"}
        engine.append([entry(1, **one, details={RELEASE_DETAIL: written}), entry(2)])
        engine.append([entry(3, **one, details={RELEASE_DETAIL: approved}), entry(4, kind="Release", name="news-2")])
        assert [json.loads(document) for document in engine.releases("default", "news-1")] == [written, approved]
        assert engine.releases("away", "news-1") == ()

    def test_nothing_is_broken_in_what_nobody_touched(self, engine: Ledger) -> None:
        """Nor in nothing at all."""
        assert engine.fault() is None
        engine.append([entry(n) for n in range(3)])
        assert engine.fault() is None

    def test_a_changed_row_is_named(self, engine: Ledger) -> None:
        """The first of them."""
        engine.append([entry(n) for n in range(1, 6)])
        for number in (4, 2):
            self.change(engine, number, entry(number, why="nobody knows").text())
        fault = engine.fault()
        assert fault is not None
        assert fault.number == 2

    def test_many_writers_lose_nothing_and_break_nothing(self, engine: Ledger) -> None:
        """Everybody's own order is kept."""

        def write(writer: int) -> None:
            for n in range(EACH):
                engine.append([entry(n, f"writer-{writer}"), entry(n, "shared")])

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = tuple(engine.rows())
        assert follow(rows) is None
        for writer in range(WRITERS):
            own = tuple(engine.rows(about=Key("Experiment", "default", f"writer-{writer}")))
            assert texts(own) == [entry(n, f"writer-{writer}").text() for n in range(EACH)]
        assert len(rows) == WRITERS * EACH + EACH
