"""After trouble a resource is tried again when it should be, whatever its engine's beat says; found by tests/chaos."""

import threading
from datetime import timedelta

import pytest

from cdl.api.meta import Key
from cdl.loop import Runner, Stamp
from cdl.loop.reconciler import FIRST_RETRY, LAST_RETRY, Retry
from cdl.ports.errors import Unavailable
from cdl.reconcile.decision import PATIENT, SOON

A = Key("Experiment", "default", "a")
AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize("wait", [SOON, PATIENT, FIRST_RETRY, LAST_RETRY])
def test_a_retry_is_not_stretched_even_if_it_is_as_long_as_a_patient_wait(wait):
    """I4: the second retry takes two seconds, as PATIENT does, and so came after five minutes."""
    runner = Runner({"Experiment": None})
    runner._beating.add("Experiment")
    assert runner._after(A, Retry(seconds=wait.total_seconds())) <= wait * 1.1


class Told:
    """A feed of one resource."""

    def run(self, saw, stop):
        saw(A, Stamp("1", "1", None, frozenset()))
        stop.wait()


class Recovering:
    """An engine that is away for some beats, and does not change otherwise."""

    def __init__(self, away):
        self.away = away

    def beat(self):
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("nobody answers")
        return {A: "the same as ever"}


class Turner:
    """A reconciler whose first look meets trouble that is to be tried again in an hour."""

    def __init__(self, stop):
        self.stop, self.turns = stop, 0

    def turn(self, namespace, name):
        assert (namespace, name) == (A.namespace, A.name)
        self.turns += 1
        if self.turns == 2:
            self.stop.set()
            return AN_HOUR
        return Retry(hours=1)


@pytest.mark.timeout(30)
def test_who_is_in_trouble_is_looked_at_when_the_engine_is_back():
    """I4: after a long outage the last retry is up to a minute away, and nothing may take longer than that."""
    stop = threading.Event()
    turner = Turner(stop)
    Runner({"Experiment": turner}, {"Experiment": Recovering(3)}, workers=1, beat=timedelta(milliseconds=50)).run(
        Told(), stop
    )
    assert turner.turns == 2
