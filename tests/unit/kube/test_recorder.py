"""Events are posted once, counted when they are said again, and dropped before they flood anybody."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.kube.events import Note
from cdl.kube.recorder import BURST, MESSAGE_BYTES, OBJECT_BURST, Bucket, Recent, Recorder, cut
from cdl.ports.errors import NotPermitted, Unavailable

START = datetime(2026, 3, 1, tzinfo=UTC)
READY = Note("Normal", "Succeeded", "it is what its spec asks for")


class Events:
    """The collection of events of an API server."""

    def __init__(self):
        self.stored = {}
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def create(self, path, body):
        self.gate.wait(30)
        if self.error:
            raise self.error
        key = f"{path}/{body['metadata']['name']}"
        assert key not in self.stored
        self.stored[key] = body
        return body

    def merge_patch(self, path, body):
        if self.error:
            raise self.error
        if path not in self.stored:
            return None
        self.stored[path] = {**self.stored[path], **body}
        return self.stored[path]

    @property
    def counts(self):
        return [(event["involvedObject"]["name"], event["message"], event["count"]) for event in self.stored.values()]


class World:
    def __init__(self):
        self.events, self.now, self.dropped = Events(), 0.0, 0
        self.recorder = Recorder(
            self.events,
            "cdl-operator",
            lambda: START + timedelta(seconds=self.now),
            steady=lambda: self.now,
            dropped=self.drop,
            hidden=["canary-of-the-forge"],
        )

    def drop(self):
        self.dropped += 1

    def say(self, *notes, name="news", wait=True):
        self.recorder.record(resource(name), notes)
        if wait:
            self.settle()

    def settle(self):
        """Wait until what was said is dealt with."""
        self.recorder._queue.join()


@pytest.fixture
def world():
    made = World()
    yield made
    made.events.gate.set()
    made.recorder.close()
    assert not made.recorder._thread.is_alive()


def resource(name="news", **status):
    meta = {"name": name, "namespace": "team", "uid": f"uid-of-{name}", "resourceVersion": "7", "generation": 2}
    return {"apiVersion": "cdl.dev/v1alpha1", "kind": "Experiment", "metadata": meta, "status": status}


def test_an_event_says_whom_it_is_about_and_who_says_so(world):
    world.say(READY)
    ((path, event),) = world.events.stored.items()
    assert path.startswith("/api/v1/namespaces/team/events/news.")
    assert event["involvedObject"] == {
        "apiVersion": "cdl.dev/v1alpha1",
        "kind": "Experiment",
        "namespace": "team",
        "name": "news",
        "uid": "uid-of-news",
        "resourceVersion": "7",
    }
    assert event["source"] == {"component": "cdl-operator"}
    assert event["reportingComponent"] == "cdl-operator"
    assert (event["type"], event["reason"], event["count"]) == ("Normal", "Succeeded", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-03-01T00:00:00Z"


def test_an_event_shows_no_secret(world):
    world.say(
        Note("Warning", "Refused", "cannot fetch https://me:hunter2hunter2@git.example/team.git: canary-of-the-forge"),
        Note("Warning", "EngineRefused", "401: the header was Authorization: Bearer abcdefabcdefabcdef"),
    )
    said = [message for _, message, _ in world.events.counts]
    assert len(said) == 2
    for canary in ("hunter2hunter2", "canary-of-the-forge", "abcdefabcdefabcdef"):
        assert canary not in "".join(said)
    assert said[0].startswith("cannot fetch https://")


def test_events_of_one_moment_are_named_in_order(world):
    world.say(*(Note("Normal", "Succeeded", str(number)) for number in range(20)))
    named = sorted((path, event["message"]) for path, event in world.events.stored.items())
    assert [message for _, message in named] == [str(number) for number in range(20)]


def test_what_is_said_again_is_counted(world):
    world.say(READY)
    world.now = 599
    world.say(READY)
    ((_, event),) = world.events.stored.items()
    assert (event["count"], event["firstTimestamp"]) == (2, "2026-03-01T00:00:00Z")
    assert event["lastTimestamp"] == "2026-03-01T00:09:59Z"


def test_what_is_said_again_much_later_is_news(world):
    world.say(READY)
    world.now = 600
    world.say(READY)
    assert world.events.counts == [("news", READY.message, 1)] * 2


def test_what_is_said_of_another_or_otherwise_is_another_event(world):
    world.say(READY)
    world.say(READY, name="weather")
    world.say(Note("Normal", "Succeeded", "otherwise"))
    assert sorted(world.events.counts) == [
        ("news", READY.message, 1),
        ("news", "otherwise", 1),
        ("weather", READY.message, 1),
    ]


def test_an_event_that_the_server_forgot_is_posted_anew(world):
    world.say(READY)
    world.events.stored.clear()
    world.say(READY)
    assert world.events.counts == [("news", READY.message, 1)]


def test_one_resource_cannot_flood(world):
    for number in range(OBJECT_BURST + 5):
        world.now += 1
        world.say(Note("Warning", "RunFailed", f"run {number}"))
    assert (len(world.events.stored), world.dropped) == (OBJECT_BURST, 5)
    world.say(READY, name="weather")
    assert world.events.counts[-1] == ("weather", READY.message, 1)
    world.now += 300
    world.say(READY)
    assert world.events.counts[-1] == ("news", READY.message, 1)


def test_all_of_them_together_cannot_flood(world):
    for number in range(BURST + 5):
        world.say(READY, name=f"news-{number}")
    assert (len(world.events.stored), world.dropped) == (BURST, 5)
    world.now += 1
    for number in range(10):
        world.say(READY, name=f"weather-{number}")
    assert (len(world.events.stored), world.dropped) == (BURST + 5, 10)


def test_a_slow_server_holds_nobody_up(world):
    world.events.gate.clear()
    for number in range(1200):
        world.say(READY, name=f"news-{number}", wait=False)
    assert 190 <= world.dropped <= 200
    world.events.gate.set()


@pytest.mark.parametrize("error", [Unavailable("away"), NotPermitted("no"), ValueError("not JSON")])
def test_an_event_that_cannot_be_posted_is_lost_and_the_next_one_is_not(world, error):
    world.events.error = error
    world.say(READY)
    assert (world.events.stored, world.dropped) == ({}, 1)
    world.events.error = None
    world.say(READY)
    assert world.events.counts == [("news", READY.message, 1)]


def test_a_written_status_becomes_its_events(world):
    condition = Condition(type=ConditionType.STALLED, status="True", reason=Reason.INVALID_SPEC, message="spec.a: no")
    world.recorder.told(resource(), resource(conditions=[condition.model_dump(mode="json", by_alias=True)]))
    world.settle()
    assert world.events.counts == [("news", "spec.a: no", 1)]


def test_what_waits_is_posted_before_the_end(world):
    world.events.gate.clear()
    for number in range(5):
        world.say(READY, name=f"news-{number}", wait=False)
    world.events.gate.set()
    world.recorder.close()
    assert len(world.events.stored) == 5


@given(st.text(min_size=MESSAGE_BYTES // 4, max_size=MESSAGE_BYTES * 2))
def test_a_message_is_cut_between_letters(message):
    shown = cut(message)
    assert len(shown.encode()) <= MESSAGE_BYTES
    assert shown == message or (shown.endswith("…") and message.startswith(shown[:-1]))


def test_a_short_message_is_left_alone():
    assert cut("x" * MESSAGE_BYTES) == "x" * MESSAGE_BYTES
    assert cut("x" * (MESSAGE_BYTES + 1)) == "x" * (MESSAGE_BYTES - 3) + "…"


@given(st.lists(st.floats(0, 30), max_size=80), st.integers(1, 5), st.floats(0.1, 2))
def test_a_bucket_never_gives_more_than_it_gets(pauses, burst, per_second):
    now, bucket, taken = 0.0, Bucket(burst, per_second, 0.0), 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= burst + now * per_second + 1e-6


def test_a_clock_that_goes_back_gives_nothing():
    bucket = Bucket(1, 1, 100.0)
    assert bucket.take(100)
    assert not bucket.take(50)
    assert not bucket.take(50.5)
    assert bucket.take(51)


def test_the_longest_unused_is_forgotten_first():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (1, None, 3, 2)
