"""Who stands for several Leases: in which order, and what is seen of the others meanwhile."""

from __future__ import annotations

import copy
import logging
import threading

import pytest

from cdl.kube.election import Election
from cdl.kube.leadership import Leadership
from cdl.kube.lease import Terms
from cdl.ports.errors import Unavailable

KINDS = ("Experiment", "DataPipeline", "ModelDeployment")
NAMES = tuple(f"cdl-{kind.lower()}" for kind in sorted(KINDS))
TERMS = Terms(duration=15, renew_deadline=10, retry_period=2)


class Leases:
    """A few Leases by their names, and who was asked for which."""

    def __init__(self):
        self.stored, self.asked, self.heard, self.down = {}, [], threading.Event(), ""

    def get(self, path):
        if self.down:
            raise Unavailable(self.down)
        self.asked.append(path.rpartition("/")[2])
        if {*self.asked} == {*NAMES}:
            self.heard.set()
        return copy.deepcopy(self.stored.get(self.asked[-1]))

    def create(self, path, body):
        self.stored[body["metadata"]["name"]] = body
        return body

    def update(self, path, body):
        return self.create(path, body)


@pytest.fixture
def leases():
    return Leases()


def test_who_waits_for_one_sees_the_others(leases):
    leases.stored[NAMES[0]] = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}}
    stop, leadership = threading.Event(), Leadership(leases, "cdl-system", KINDS)
    waiting = threading.Thread(target=leadership.acquire, args=(stop,))
    waiting.start()
    assert leases.heard.wait(60)
    stop.set()
    waiting.join()
    assert {*leases.stored} == {NAMES[0]}
    assert not leadership.held()


def test_a_record_that_was_seen_to_grow_old_is_had_at_once(leases):
    now = [0.0]
    leases.stored["a"] = {"spec": {"holderIdentity": "dead", "leaseDurationSeconds": 15}}
    watching, late = (Election(leases, "cdl-system", "a", TERMS, clock=lambda: now[0]) for _ in range(2))
    watching.glance()
    assert leases.stored["a"]["spec"]["holderIdentity"] == "dead"
    now[0] = TERMS.duration
    assert not late.step()
    assert watching.step()


def test_an_outage_is_told_once_and_the_next_one_again(leases, caplog):
    election = Election(leases, "cdl-system", "a", TERMS)
    with caplog.at_level(logging.WARNING, "cdl.kube.election"):
        leases.down = "nobody answers"
        for _ in range(3):
            assert not election.step()
        assert len(caplog.records) == 1
        leases.down = "it says no"
        assert not election.step()
        assert len(caplog.records) == 2
        leases.down = ""
        assert election.step()
        election._mine, leases.down = None, "it says no"
        assert not election.step()
        assert len(caplog.records) == 3
    leases.down = ""
    election.glance()


def test_a_glance_at_nobody_raises_nothing(leases):
    leases.down = "nobody answers"
    candidate = Election(leases, "cdl-system", "a", TERMS)
    candidate.glance()
    assert not candidate.held()
