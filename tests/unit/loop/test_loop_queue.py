"""When a resource is looked at: at once when it or what it depends on changed, else when its own last look says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

from cdl.api.meta import Key
from cdl.loop import Runner, Stamp
from cdl.loop.runner import _Queue
from cdl.ports.errors import Unavailable

A, B = Key("Experiment", "default", "a"), Key("Experiment", "default", "b")
DATA = Key("DataPipeline", "default", "data")
AN_HOUR = timedelta(hours=1)


def stamps(**wishes):
    return {Key("Experiment", "default", name): Stamp(wish, "1") for name, wish in wishes.items()}


def test_what_is_new_is_due_at_once():
    queue = _Queue()
    queue.learn(stamps(a="1", b="1"), {}, now=5)
    assert queue.due == {A: 5, B: 5}


def test_a_changed_wish_is_due_and_the_others_keep_their_time():
    queue = _Queue()
    queue.learn(stamps(a="1", b="1"), {}, now=0)
    queue.due = {A: 100, B: 200}
    queue.learn(stamps(a="2", b="1"), {}, now=7)
    assert queue.due == {A: 7, B: 200}
    queue.due[A] = 300
    queue.learn(stamps(a="2", b="1"), {}, now=8)
    assert queue.due == {A: 300, B: 200}


def test_its_own_status_is_no_reason_to_look_again():
    queue = _Queue()
    queue.learn({A: Stamp("1", "1")}, {}, now=0)
    queue.due = {A: 100}
    queue.learn({A: Stamp("1", "2")}, {}, now=7)
    assert queue.due == {A: 100}


def test_a_changed_status_of_another_kind_makes_everything_due():
    queue = _Queue()
    queue.learn(stamps(a="1", b="1"), {"DataPipeline": {DATA: Stamp("1", "1")}}, now=0)
    queue.due = {A: 100, B: 200}
    queue.learn(stamps(a="1", b="1"), {"DataPipeline": {DATA: Stamp("1", "2")}}, now=7)
    assert queue.due == {A: 7, B: 7}
    queue.due = {A: 100, B: 200}
    queue.learn(stamps(a="1", b="1"), {"DataPipeline": {DATA: Stamp("1", "2")}}, now=9)
    assert queue.due == {A: 100, B: 200}


def test_what_is_gone_is_not_due_and_is_new_when_it_comes_back():
    queue = _Queue()
    queue.learn(stamps(a="1", b="1"), {}, now=0)
    queue.learn(stamps(b="1"), {}, now=1)
    assert queue.due == {B: 0}
    queue.learn(stamps(a="1", b="1"), {}, now=2)
    assert queue.due == {A: 2, B: 0}


@dataclass
class Told:
    """A feed that holds what a test puts there, and counts how often it is read."""

    held: dict[str, dict[Key, Stamp]] = field(default_factory=dict)
    number: int = 0
    reads: int = 0
    down: int = 0
    """How often it does not answer from now on."""

    def put(self, key, stamp):
        self.held.setdefault(key.kind, {})[key] = stamp
        self.number += 1

    def version(self):
        return self.number

    def stamps(self, kind):
        self.reads += 1
        if self.down:
            self.down -= 1
            message = "the disk does not answer"
            raise Unavailable(message)
        return dict(self.held.get(kind, {}))


@dataclass
class Looker:
    """Stands for a kind's reconciler: answers as told, and hangs up the phone after so many turns."""

    answers: dict[str, list]
    enough: int
    stop: threading.Event
    watches: frozenset[str] = frozenset()
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
        return self.answers[name].pop(0)


def run(feed, **lookers):
    Runner(lookers, feed).run(next(iter(lookers.values())).stop)


def test_a_resource_is_turned_until_it_is_gone():
    feed, stop = Told(), threading.Event()
    feed.put(A, Stamp("1", "1"))
    feed.put(B, Stamp("1", "1"))
    now = timedelta()
    looker = Looker({"a": [now, None], "b": [now, now, now, now]}, 6, stop)
    run(feed, Experiment=looker)
    assert looker.turned == ["a", "b", "a", "b", "b", "b"]


def test_nothing_is_turned_after_the_stop():
    feed, stop = Told(), threading.Event()
    feed.put(A, Stamp("1", "1"))
    feed.put(B, Stamp("1", "1"))
    looker = Looker({"a": [AN_HOUR], "b": [AN_HOUR]}, 1, stop)
    run(feed, Experiment=looker)
    assert looker.turned == ["a"]


def test_a_stopped_runner_turns_nothing():
    feed, stop = Told(), threading.Event()
    feed.put(A, Stamp("1", "1"))
    stop.set()
    looker = Looker({"a": []}, 0, stop)
    run(feed, Experiment=looker)
    assert (looker.turned, feed.reads) == ([], 0)


def test_a_change_of_what_is_watched_wakes_who_watches():
    feed, stop = Told(), threading.Event()
    feed.put(A, Stamp("1", "1"))
    feed.put(DATA, Stamp("1", "1"))
    experiments = Looker({"a": [AN_HOUR, AN_HOUR]}, 2, stop, frozenset({"DataPipeline"}))

    def change():
        feed.put(DATA, Stamp("1", "2"))

    pipelines = Looker({"data": [timedelta(milliseconds=300), AN_HOUR]}, 0, stop, before={2: change})
    run(feed, Experiment=experiments, DataPipeline=pipelines)
    assert experiments.turned == ["a", "a"]
    assert pipelines.turned == ["data", "data"]


def test_a_store_where_nothing_changes_is_not_read_through_again():
    feed, stop = Told(), threading.Event()
    feed.put(A, Stamp("1", "1"))
    looker = Looker({"a": [timedelta()] * 3}, 3, stop)
    run(feed, Experiment=looker)
    assert looker.turned == ["a"] * 3
    assert feed.reads == 1


def test_a_store_that_does_not_answer_for_a_while_ends_nothing(caplog):
    feed, stop = Told(down=2), threading.Event()
    feed.put(A, Stamp("1", "1"))
    looker = Looker({"a": [AN_HOUR]}, 1, stop)
    run(feed, Experiment=looker)
    assert looker.turned == ["a"]
    assert caplog.text.count("Experiment: changes cannot be read: the disk does not answer") == 2
