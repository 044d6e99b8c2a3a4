"""When a resource is looked at: at once when it or what it depends on changed, else when its own last look says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cdl.api.meta import Key
from cdl.loop import PolledFeed, Runner, Stamp
from cdl.loop.runner import STRETCHED, _Neighbours
from cdl.ports.errors import Unavailable
from cdl.reconcile.decision import PATIENT, SOON

A, B = Key("Experiment", "default", "a"), Key("Experiment", "default", "b")
DATA = Key("DataPipeline", "default", "data")
AN_HOUR = timedelta(hours=1)
AT_ONCE = timedelta()


def stamp(version="1", wish="1", key=None, reads=()):
    return Stamp(wish, version, key, frozenset(reads))


@dataclass
class Told:
    """A feed that says what a test says."""

    first: dict[Key, Stamp]
    saw: object = None

    def run(self, saw, stop):
        self.saw = saw
        for key, state in self.first.items():
            saw(key, state)
        stop.wait()


@dataclass
class Looker:
    """Stands for a kind's reconciler: answers as told, and ends the day after so many turns."""

    answers: dict[str, list]
    enough: int
    stop: threading.Event
    turned: list[str] = field(default_factory=list)
    before: dict[int, object] = field(default_factory=dict)

    def turn(self, namespace, name):
        assert namespace == "default"
        self.turned.append(name)
        act = self.before.get(len(self.turned))
        if act is not None:
            act()
        if len(self.turned) == self.enough:
            self.stop.set()
        answer = self.answers[name].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Beats:
    """An engine that tells one beat after another, then the last for ever."""

    told: list
    asked: int = 0

    def beat(self):
        self.asked += 1
        beat = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(beat, Exception):
            raise beat
        return beat


@pytest.fixture
def stop():
    event = threading.Event()
    timer = threading.Timer(30, event.set)
    timer.start()
    yield event
    timer.cancel()


def run(feed, stop, pulses=None, **lookers):
    runner = Runner(lookers, pulses, workers=1, beat=timedelta(milliseconds=100))
    runner.run(feed, stop)
    return runner


def test_a_resource_is_turned_until_it_is_gone(stop):
    looker = Looker({"a": [AT_ONCE, None], "b": [AT_ONCE] * 4}, 6, stop)
    run(Told({A: stamp(), B: stamp()}), stop, Experiment=looker)
    assert sorted(looker.turned) == ["a", "a", "b", "b", "b", "b"]


def test_nothing_is_turned_after_the_stop(stop):
    looker = Looker({"a": [AN_HOUR]}, 1, stop)
    run(Told({A: stamp(), B: stamp()}), stop, Experiment=looker)
    assert looker.turned == ["a"]


def test_a_fault_of_ours_ends_no_worker(stop, caplog):
    looker = Looker({"a": [ZeroDivisionError("one by nought")], "b": [AN_HOUR]}, 2, stop)
    run(Told({A: stamp(), B: stamp()}), stop, Experiment=looker)
    assert looker.turned == ["a", "b"]
    assert "one by nought" in caplog.text


def test_a_change_of_what_is_read_wakes_who_reads_it_and_nobody_else(stop):
    feed = Told({DATA: stamp(key=DATA), A: stamp(reads=[DATA], key=A), B: stamp(key=B)})
    experiments = Looker({"a": [AN_HOUR, AN_HOUR], "b": [AN_HOUR]}, 3, stop)
    experiments.before[2] = lambda: feed.saw(DATA, stamp("2", key=DATA))
    pipelines = Looker({"data": [AN_HOUR]}, 0, stop)
    run(feed, stop, Experiment=experiments, DataPipeline=pipelines)
    assert experiments.turned == ["a", "b", "a"]
    assert len(pipelines.turned) <= 1, "its own status is no reason for another look"


def test_while_its_engine_tells_what_changed_a_look_waits_for_the_beat(stop):
    pulse = Beats([{A: "queued"}] * 30 + [{A: "running"}])
    looker = Looker({"a": [SOON] * 99}, 99, stop)
    looker.before = {n: (lambda: stop.set() if len(pulse.told) == 1 else None) for n in range(99)}
    run(Told({A: stamp()}), stop, {"Experiment": pulse}, Experiment=looker)
    assert pulse.asked == 31, "the change woke it"
    assert len(looker.turned) <= 4, "the first look, the first beat, the change"


def test_a_beat_about_strangers_wakes_nobody(stop):
    looker = Looker({"a": [AN_HOUR]}, 9, stop)
    timer = threading.Timer(1, stop.set)
    timer.start()
    run(Told({A: stamp()}), stop, {"Experiment": Beats([{B: "1"}, {B: "2"}, {B: "3"}])}, Experiment=looker)
    timer.join()
    assert looker.turned == ["a"]


def test_an_engine_that_does_not_answer_is_asked_again(stop, caplog, monkeypatch):
    monkeypatch.setitem(STRETCHED, SOON, timedelta(seconds=1))
    pulse = Beats([{A: "1"}, Unavailable("the line is dead"), {A: "2"}])
    looker = Looker({"a": [SOON] * 99}, 60, stop)
    looker.before = {n: (lambda: stop.set() if pulse.asked > 4 else None) for n in range(60)}
    run(Told({A: stamp()}), stop, {"Experiment": pulse}, Experiment=looker)
    assert pulse.asked > 3
    assert caplog.text.count("the line is dead") == 1


@pytest.mark.parametrize("again", [SOON, PATIENT])
def test_without_a_beat_nothing_is_stretched(again, stop):
    runner = Runner({"Experiment": None})
    assert runner._after(A, again) == again
    runner._beating.add("Experiment")
    assert runner._after(A, again) == STRETCHED[again]
    assert runner._after(A, AT_ONCE) == AT_ONCE
    assert runner._after(A, None) is None


def test_regular_looks_do_not_come_in_herds():
    runner = Runner({"Experiment": None})
    waits = {runner._after(Key("Experiment", "default", f"e{n}"), timedelta(minutes=10)) for n in range(200)}
    assert len(waits) > 150
    assert timedelta(minutes=9) <= min(waits)
    assert max(waits) <= timedelta(minutes=11)


def test_a_new_wish_concerns_the_resource_a_status_only_its_readers():
    who = _Neighbours()
    assert who.learn(A, stamp(reads=[DATA], key=A)) == {A}
    assert who.learn(DATA, stamp(key=DATA)) == {DATA, A}
    assert who.learn(DATA, stamp("2", key=DATA)) == {A}
    assert who.learn(DATA, stamp("2", key=DATA)) == frozenset()
    assert who.learn(DATA, stamp("3", wish="2", key=DATA)) == {DATA, A}
    assert who.learn(A, stamp("2", wish="2", key=A)) == {A}
    assert who.learn(DATA, stamp("4", wish="2", key=DATA)) == frozenset()
    assert who.learn(A, None) == {A}
    assert not who.knows(A)


@dataclass
class Shelf:
    """A store that can only be asked."""

    held: dict[Key, int] = field(default_factory=dict)
    version: int = 1
    reads: int = 0
    down: int = 0

    def changed_since(self, version):
        if self.down:
            self.down -= 1
            raise Unavailable("the disk does not answer")
        return self.version, ()

    def documents(self):
        self.reads += 1
        return [
            {"kind": k.kind, "metadata": {"name": k.name, "namespace": k.namespace, "resourceVersion": str(v)}}
            for k, v in self.held.items()
        ]


def told(shelf, enough, between=lambda seen: None):
    seen, stop = [], threading.Event()

    def saw(key, state):
        seen.append((key, state and state.version))
        between(seen)
        if len(seen) >= enough:
            stop.set()

    PolledFeed(shelf).run(saw, stop)
    return seen


def test_a_polled_store_tells_what_is_there_what_changes_and_what_goes():
    shelf = Shelf({A: 1})

    def between(seen):
        if len(seen) == 1:
            shelf.held, shelf.version = {B: 2}, 2

    assert told(shelf, 3, between) == [(A, "1"), (A, None), (B, "2")]


def test_a_polled_store_where_nothing_changes_is_not_read_through_again():
    shelf, stop = Shelf({A: 1}), threading.Event()
    threading.Timer(0.7, stop.set).start()
    PolledFeed(shelf).run(lambda key, state: None, stop)
    assert shelf.reads == 1


def test_a_polled_store_that_does_not_answer_for_a_while_ends_nothing(caplog):
    assert told(Shelf({A: 1}, down=2), 1) == [(A, "1")]
    assert caplog.text.count("changes cannot be read: the disk does not answer") == 2


def test_a_feed_that_ends_in_a_fault_ends_the_work(stop, caplog):
    class Broken:
        def run(self, saw, stop):
            saw(A, stamp())
            raise KeyError("metadata")

    with pytest.raises(RuntimeError, match="nothing is heard"):
        run(Broken(), stop, Experiment=Looker({"a": [AN_HOUR]}, 9, stop))
    assert "KeyError: 'metadata'" in caplog.text


def test_a_beat_nobody_understands_is_asked_again(stop, caplog, monkeypatch):
    monkeypatch.setitem(STRETCHED, SOON, timedelta(seconds=1))
    pulse = Beats([{A: "1"}, KeyError("state"), {A: "2"}])
    looker = Looker({"a": [SOON] * 99}, 60, stop)
    looker.before = {n: (lambda: stop.set() if pulse.asked > 3 else None) for n in range(60)}
    run(Told({A: stamp()}), stop, {"Experiment": pulse}, Experiment=looker)
    assert pulse.asked > 3
    assert "cannot be understood" in caplog.text
