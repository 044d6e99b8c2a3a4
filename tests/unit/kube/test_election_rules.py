"""Candidates against a small API server, in played time: at no instant do two believe that they may write."""

from __future__ import annotations

import copy
import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdl.kube.election import Election, identity, uptime
from cdl.kube.lease import Terms
from cdl.ports.errors import Conflict, Unavailable

TERMS = Terms()
NAME = "cdl-operator"


class Leases:
    """One object behind compare-and-swap, as an API server keeps it; `between` is what else happens during a call."""

    def __init__(self):
        self.stored = None
        self.requests = []
        self.down = False
        self._versions = itertools.count(1)
        self.between = lambda: None
        self.lose_reply = lambda: False

    def get(self, path):
        return copy.deepcopy(self._answer("get", path, lambda: self.stored))

    def create(self, path, body):
        assert path == "/apis/coordination.k8s.io/v1/namespaces/cdl-system/leases"
        return self._answer("create", path, lambda: self._store(body, None))

    def update(self, path, body):
        return self._answer("update", path, lambda: self._store(body, body["metadata"]["resourceVersion"]))

    def _answer(self, verb, path, work):
        if self.down:
            raise Unavailable("the API server does not answer")
        self.requests.append((verb, path))
        self.between()
        answer = copy.deepcopy(work())
        self.between()
        if self.lose_reply():
            raise Unavailable("the reply was lost")
        return answer

    def _store(self, body, version):
        if version != (self.stored and self.stored["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified")
        version = str(next(self._versions))
        self.stored = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self.stored

    @property
    def holder(self):
        return self.stored["spec"]["holderIdentity"]


class Time:
    def __init__(self):
        self.now = 0.0

    def candidate(self, leases, offset=0.0):
        """Each candidate's clocks show something else; they only run equally fast."""
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset * 7)
        return Election(
            leases,
            "cdl-system",
            NAME,
            TERMS,
            clock=lambda: self.now + offset,
            wall=lambda: start + timedelta(seconds=self.now),
        )


@pytest.fixture
def leases():
    return Leases()


@pytest.fixture
def time():
    return Time()


def test_the_first_candidate_leads_and_the_second_waits(leases, time):
    a, b = time.candidate(leases), time.candidate(leases, 500)
    assert a.step()
    assert not b.step()
    assert (a.held(), b.held(), leases.holder) == (True, False, a.me)


def test_a_leader_that_renews_goes_on_by_one_request_a_time(leases, time):
    a = time.candidate(leases)
    assert a.step()
    leases.requests.clear()
    for _ in range(20):
        time.now += TERMS.retry_period
        assert a.step()
        assert a.held()
    assert [verb for verb, _ in leases.requests] == ["update"] * 20
    assert leases.stored["spec"]["leaseTransitions"] == 0


def test_a_leader_that_cannot_renew_stops_before_another_may_begin(leases, time):
    a, b = time.candidate(leases), time.candidate(leases, -200)
    assert a.step()
    assert not b.step()
    time.now = 9.99
    assert a.held()
    time.now = 10
    assert not a.held()
    time.now = 14.99
    assert not b.step()
    time.now = 15
    assert b.step()
    assert (a.held(), b.held(), leases.holder) == (False, True, b.me)
    assert leases.stored["spec"]["leaseTransitions"] == 1


def test_a_leader_that_renews_too_late_has_lost(leases, time):
    a = time.candidate(leases)
    assert a.step()
    time.now = 10.5
    assert not a.step()
    assert a.lost.is_set()
    assert not a.held()
    time.now = 11
    assert not a.step()


def test_a_leader_that_sees_another_name_has_lost_at_once(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    leases.stored = None
    assert b.step()  # it never saw a record: to it the cluster is new
    assert not a.step()  # its version is an old one
    assert not a.step()
    assert (a.lost.is_set(), a.held(), b.held()) == (True, False, True)


def test_a_leader_writes_a_deleted_record_again(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    assert not b.step()
    leases.stored = None
    assert not b.step()  # somebody may still believe in it
    time.now += 2
    assert not a.step()
    assert a.step()
    assert (a.held(), leases.holder) == (True, a.me)


def test_a_claim_whose_reply_was_lost_is_a_claim(leases, time):
    a = time.candidate(leases)
    leases.lose_reply = lambda: leases.requests[-1][0] == "create"
    assert not a.step()
    assert not a.held()
    assert leases.holder == a.me
    leases.lose_reply = lambda: False
    assert a.step()
    assert a.held()


def test_a_renewal_whose_reply_was_lost_is_made_again(leases, time):
    a = time.candidate(leases)
    assert a.step()
    leases.lose_reply = lambda: leases.requests[-1][0] == "update"
    time.now += 2
    assert not a.step()
    leases.lose_reply = lambda: False
    time.now += 2
    assert a.step()
    time.now += 9
    assert a.held()


def test_a_claim_that_took_longer_than_a_term_is_not_counted_on(leases, time):
    a = time.candidate(leases)

    def slowly():
        time.now += 6

    leases.between = slowly
    assert not a.step()
    assert not a.held()
    assert not a.lost.is_set()
    leases.between = lambda: None
    assert a.step()


def test_an_outage_shorter_than_the_deadline_changes_nothing(leases, time):
    a = time.candidate(leases)
    assert a.step()
    leases.down = True
    for _ in range(4):
        time.now += 2
        assert not a.step()
        assert a.held()
    leases.down = False
    time.now += 1.5
    assert a.step()
    assert a.held()


def test_a_released_lease_is_anybodys_at_once(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    assert not b.step()
    a.release()
    assert (a.held(), a.lost.is_set(), leases.holder) == (False, False, "")
    assert b.step()
    assert leases.stored["spec"]["leaseTransitions"] == 1


def test_a_lease_that_changed_since_is_released_all_the_same(leases, time):
    a = time.candidate(leases)
    assert a.step()
    leases.update("", {**leases.stored, "metadata": {**leases.stored["metadata"], "labels": {"seen": "yes"}}})
    a.release()
    assert (leases.holder, leases.stored["metadata"]["labels"]) == ("", {"seen": "yes"})


def test_a_release_that_cannot_be_said_is_no_error(leases, time):
    a = time.candidate(leases)
    assert a.step()
    leases.down = True
    a.release()
    assert (a.held(), leases.holder) == (False, a.me)


def test_who_does_not_lead_releases_nothing(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    assert not b.step()
    b.release()
    assert leases.holder == a.me
    time.now = 12
    a.release()  # its term is over: the record is perhaps somebody's by now
    assert leases.holder == a.me


def test_who_was_told_to_stop_does_not_lead(leases, time):
    stop = threading.Event()
    stop.set()
    assert time.candidate(leases).acquire(stop) is False
    assert leases.stored is None


def test_no_two_candidates_have_one_name():
    assert len({identity() for _ in range(100)}) == 100


def test_the_clock_goes_on():
    assert uptime() <= uptime()


class Play:
    """What happens next is drawn, also in the middle of everybody's requests."""

    def __init__(self, data, count):
        self.data, self.time, self.leases = data, Time(), Leases()
        self.leases.between = lambda: self.happen(3)
        self.leases.lose_reply = lambda: data.draw(st.integers(0, 5), "lost reply") == 0
        self.candidates = [self.time.candidate(self.leases, i * 1000.0) for i in range(count)]
        self.busy = set()
        self.left = 120

    def happen(self, most):
        for _ in range(self.data.draw(st.integers(0, most), "how much")):
            if self.left <= 0:
                return
            self.left -= 1
            self.one()
            self.check()

    def one(self):
        idle = [c for c in self.candidates if c.me not in self.busy]
        what = self.data.draw(st.sampled_from(["pass", "step", "step", "down", "restart", "release"]), "what")
        if what == "pass":
            self.time.now += self.data.draw(st.sampled_from([0.1, 1.0, 2.0, 4.9, 5.1, 9.9, 10.0, 15.0]), "seconds")
        elif what == "down":
            self.leases.down = not self.leases.down
        elif idle:
            candidate = self.data.draw(st.sampled_from(idle), "who")
            self.busy.add(candidate.me)
            if what == "step":
                candidate.step()
            elif what == "release":
                candidate.release()
            if what != "step":  # its process ends, or dies, and another takes its place
                place = self.candidates.index(candidate)
                self.candidates[place] = self.time.candidate(self.leases, self.time.now * 3 + place)
            self.busy.discard(candidate.me)

    def check(self):
        leaders = [c.me for c in self.candidates if c.held()]
        assert len(leaders) <= 1, leaders


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(2, 4))
def test_never_two_leaders_whatever_happens_in_whatever_order(data, count):
    play = Play(data, count)
    while play.left > 0:
        play.left -= 1
        play.one()
        play.check()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(1, 3))
def test_once_nothing_goes_wrong_somebody_leads(data, count):
    play = Play(data, count)
    play.happen(60)
    play.leases.down, play.leases.between, play.leases.lose_reply = False, lambda: None, lambda: False
    play.candidates = [play.time.candidate(play.leases, 31.0 * i) for i in range(count)]
    for _ in range(12):
        play.time.now += TERMS.retry_period
        for candidate in play.candidates:
            candidate.step()
        play.check()
    assert [c.me for c in play.candidates if c.held()] == [play.leases.holder]
