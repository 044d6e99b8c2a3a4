"""Watching the loop changes nothing about it."""

from __future__ import annotations

import inspect
import threading

import pytest

from cdl.api.meta import Key
from cdl.loop.context import Subject, about, subject
from cdl.loop.observer import SILENT, Observer, Outcome, timed
from cdl.ports.errors import Unavailable

NEWS = Key("Experiment", "default", "news")


class Heard:
    def __init__(self):
        self.calls = []

    def turn(self, kind, outcome, seconds, error_class=None):
        raise AssertionError

    def waited(self, kind, seconds):
        raise AssertionError

    def called(self, engine, call, seconds, error_class):
        self.calls.append((engine, call, seconds, error_class))

    def queue(self, kind, depth, oldest):
        raise AssertionError


class Engine:
    address = "grpc://127.0.0.1:1"

    def look(self, owner, *, deep=False):
        """Look."""
        return owner, deep

    def fail(self):
        raise Unavailable("nobody answers")

    def leave(self):
        raise SystemExit(3)

    def __getattr__(self, name):
        raise AttributeError(f"an engine has no {name}")


def ticking():
    """A clock that stands half a second further at every look."""
    times = iter(range(1000))
    return lambda: next(times) / 2


@pytest.fixture
def heard():
    return Heard()


def test_a_call_passes_through_and_is_heard(heard):
    engine = timed(Engine(), "pachyderm", heard, ticking())
    assert engine.look(NEWS, deep=True) == (NEWS, True)
    assert heard.calls == [("pachyderm", "look", 0.5, None)]


@pytest.mark.parametrize(("call", "error"), [("fail", Unavailable), ("leave", SystemExit)])
def test_an_error_passes_through_and_its_class_is_heard(heard, call, error):
    engine = timed(Engine(), "determined", heard, ticking())
    with pytest.raises(error):
        getattr(engine, call)()
    assert heard.calls == [("determined", call, 0.5, error.__name__)]


def test_what_is_no_method_is_no_call(heard):
    engine = timed(Engine(), "seldon", heard)
    assert engine.address == Engine.address
    with pytest.raises(AttributeError, match="an engine has no wheel"):
        engine.wheel  # noqa: B018 - the reading is the test
    assert heard.calls == []


def test_a_timed_method_still_says_what_it_is(heard):
    look = timed(Engine(), "seldon", heard).look
    assert (look.__name__, look.__doc__) == ("look", "Look.")
    assert list(inspect.signature(look).parameters) == ["owner", "deep"]


def test_silence_answers_everything_an_observer_is_told():
    told = [name for name in vars(Observer) if not name.startswith("_")]
    assert told
    assert all(inspect.signature(getattr(SILENT, name)) is not None for name in told)
    SILENT.turn("Experiment", Outcome.TROUBLE, 1.0, "Unavailable")
    SILENT.waited("Experiment", 1.0)
    SILENT.queue("Experiment", lambda: 1 // 0, lambda: 1 / 0)
    assert timed(Engine(), "seldon", SILENT).look(NEWS) == (NEWS, False)


def test_work_is_about_a_resource_until_it_ends():
    assert subject() is None
    with about(NEWS):
        assert subject() == Subject(NEWS, 0)
        with about(NEWS, 7):
            assert subject() == Subject(NEWS, 7)
        assert subject() == Subject(NEWS, 0)
    assert subject() is None


def test_work_that_fails_is_over_too():
    with pytest.raises(Unavailable), about(NEWS):
        raise Unavailable("nobody answers")
    assert subject() is None


def test_two_workers_are_about_two_resources():
    seen, both = {}, threading.Barrier(2)

    def work(name):
        with about(Key("Experiment", "default", name)):
            both.wait(10)
            seen[name] = subject().key.name
            both.wait(10)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {"a": "a", "b": "b"}
