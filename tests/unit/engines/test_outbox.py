"""What a ledger cannot be told is kept, in order, until it can: also by whoever comes after a crash."""

from __future__ import annotations

import threading
import time

import pytest

from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.outbox import REFUSED, Outbox
from cdl.testing.ledger_contract import LedgerContract, entry, texts
from cdl.testing.memory import MemoryLedger

AGAIN = 0.01


def until(true):
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert true()


@pytest.fixture
def ledger():
    return MemoryLedger()


@pytest.fixture
def outbox(tmp_path, ledger):
    return Outbox(tmp_path / "outbox", ledger, again=AGAIN)


class TestOutbox(LedgerContract):
    @pytest.fixture
    def engine(self, outbox, ledger):
        outbox.behind = ledger
        return outbox

    def change(self, engine, number, entry):
        row = engine.behind.kept[number - 1]
        engine.behind.kept[number - 1] = type(row)(row.number, entry, row.previous, row.hash)


def test_what_was_told_during_an_outage_comes_in_its_order_and_before_what_came_later(outbox, ledger):
    outbox.append([entry(1)])
    ledger.weather.down = True
    for n in range(2, 8):
        outbox.append([entry(n), entry(n, "other")])
    assert outbox.waiting == 12
    ledger.weather.down = False
    outbox.append([entry(8)])
    until(lambda: not outbox.waiting)
    wanted = [entry(1).text()]
    for n in range(2, 8):
        wanted += [entry(n).text(), entry(n, "other").text()]
    assert texts(tuple(outbox.rows())) == [*wanted, entry(8).text()]
    assert ledger.fault() is None


def test_who_comes_after_a_crash_sends_what_was_left(tmp_path, outbox, ledger):
    ledger.weather.down = True
    outbox.append([entry(n) for n in range(3)])
    after = MemoryLedger()
    second = Outbox(tmp_path / "outbox", after, again=AGAIN)
    until(lambda: not second.waiting)
    assert texts(tuple(after.rows())) == [entry(n).text() for n in range(3)]


def test_two_may_send_from_one_outbox(tmp_path, outbox, ledger):
    ledger.weather.down = True
    outbox.append([entry(n) for n in range(40)])
    others = [Outbox(tmp_path / "outbox", MemoryLedger(), again=AGAIN) for _ in range(3)]
    until(lambda: not outbox.waiting)
    ledger.weather.down = False
    outbox.append([entry(40)])
    assert texts(tuple(outbox.rows())) == [entry(40).text()], "the sender is alive, and nothing waits"
    assert all(not other.waiting for other in others)


def test_an_answer_that_was_lost_makes_no_double(outbox, ledger):
    ledger.weather.lose_reply = True
    outbox.append([entry(1), entry(2)])
    until(lambda: not outbox.waiting)
    assert texts(tuple(outbox.rows())) == [entry(1).text(), entry(2).text()]


def test_many_tell_while_it_comes_and_goes(outbox, ledger):
    done = threading.Event()

    def weather():
        while not done.is_set():
            ledger.weather.down = not ledger.weather.down
            time.sleep(0.002)
        ledger.weather.down = False

    def tell(who):
        for n in range(40):
            outbox.append([entry(n, f"teller-{who}")])
            time.sleep(0.001)

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(3)]
    changing = threading.Thread(target=weather)
    changing.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    changing.join()
    until(lambda: not outbox.waiting)
    for who in range(3):
        own = [one.text() for one in ledger.entries if one.name == f"teller-{who}"]
        assert own == [entry(n, f"teller-{who}").text() for n in range(40)]
    assert ledger.fault() is None


class Picky(MemoryLedger):
    """Takes nothing about `odd`, or nothing at all."""

    tables = True

    def rows(self, about=None, since=None):
        if not self.tables:
            raise Rejected("there are no tables")
        return super().rows(about, since)

    def append(self, entries):
        if not self.tables or any(one.name == "odd" for one in entries):
            raise Rejected("not that")
        super().append(entries)


def test_what_will_never_be_taken_is_put_aside_and_holds_up_nobody(tmp_path):
    ledger = Picky()
    outbox = Outbox(tmp_path / "outbox", ledger, again=AGAIN)
    outbox.append([entry(1), entry(2, "odd"), entry(3)])
    until(lambda: not outbox.waiting)
    assert texts(tuple(ledger.rows())) == [entry(1).text(), entry(3).text()]
    (aside,) = (tmp_path / "outbox" / REFUSED).iterdir()
    assert aside.read_text() == entry(2, "odd").text()


def test_where_the_tables_are_missing_everything_waits_for_them(tmp_path):
    ledger = Picky()
    ledger.tables = False
    outbox = Outbox(tmp_path / "outbox", ledger, again=AGAIN)
    outbox.append([entry(1)])
    time.sleep(AGAIN * 5)
    assert outbox.waiting == 1
    ledger.tables = True
    until(lambda: not outbox.waiting)
    assert not (tmp_path / "outbox" / REFUSED).exists()
    assert texts(tuple(ledger.rows())) == [entry(1).text()]


def test_where_nothing_can_be_kept_it_says_so(tmp_path, ledger):
    (tmp_path / "outbox").write_text("a file where a folder belongs")
    ledger.weather.down = True
    with pytest.raises(Unavailable, match="neither the ledger nor its outbox"):
        Outbox(tmp_path / "outbox", ledger).append([entry(1)])
