"""Candidates against a small API server, in played time: at no instant do two believe that they may write."""

from __future__ import annotations

import copy
import itertools
import random
import threading
from datetime import UTC, datetime, timedelta

import pytest

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

    def candidate(self, leases, offset=0.0, me=""):
        """Each candidate's clocks show something else; they only run equally fast."""
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset * 7)
        return Election(
            leases,
            "cdl-system",
            NAME,
            TERMS,
            me=me,
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


def test_a_term_counts_from_before_it_was_asked_for(leases, time):
    a = time.candidate(leases)
    assert a.step()

    def slowly():
        time.now += 3

    time.now, leases.between = 2, slowly
    assert a.step()
    time.now = 11.9
    assert a.held()
    time.now = 12
    assert not a.held()


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


def test_who_takes_a_dead_ones_place_under_its_name_goes_on_with_its_term(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    assert not b.step()
    time.now = 14
    heir = time.candidate(leases, me=a.me)
    assert heir.step()
    assert heir.held()
    time.now = 16
    assert not b.step()
    assert leases.stored["spec"]["leaseTransitions"] == 0


def test_an_heir_that_comes_too_late_waits_like_anybody(leases, time):
    a, b = time.candidate(leases), time.candidate(leases)
    assert a.step()
    assert not b.step()
    time.now = 16
    assert b.step()
    heir = time.candidate(leases, me=a.me)
    assert not heir.step()
    assert (heir.held(), b.held()) == (False, True)


def test_who_was_told_to_stop_does_not_lead(leases, time):
    stop = threading.Event()
    stop.set()
    assert time.candidate(leases).acquire(stop) is False
    assert leases.stored is None


def test_no_two_candidates_have_one_name():
    assert len({identity() for _ in range(100)}) == 100


def test_the_clock_goes_on():
    assert uptime() <= uptime()


class Line:
    """One candidate's way to the API server; it can be cut, and what is said can be slow or lost."""

    def __init__(self, leases, between, lose_reply):
        self.leases, self.between, self.lose_reply, self.cut = leases, between, lose_reply, False

    def get(self, path):
        return self.send(self.leases.get, path)

    def create(self, path, body):
        return self.send(self.leases.create, path, body)

    def update(self, path, body):
        return self.send(self.leases.update, path, body)

    def send(self, call, *what):
        self.between()
        if self.cut:
            raise Unavailable("the API server does not answer")
        answer = call(*what)
        self.between()
        if self.lose_reply():
            raise Unavailable("the reply was lost")
        return answer


class Play:
    """Drawn from a seed: what happens next, also in the middle of everybody's requests."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.time, self.leases, self.quiet, self.busy = Time(), Leases(), False, set()
        self.candidates = [self.enter() for _ in range(self.random.randint(2, 4))]
        self.terms = 0

    def enter(self):
        line = Line(self.leases, self.meanwhile, lambda: not self.quiet and self.random.random() < 0.05)
        return line, self.time.candidate(line, self.random.uniform(-1000, 1000))

    def meanwhile(self):
        while not self.quiet and self.random.random() < 0.3 and len(self.busy) < len(self.candidates):
            self.one()

    def one(self):
        what = self.random.choices(("pass", "step", "cut", "leave", "die"), (30, 60, 4, 1, 1))[0]
        place = self.random.randrange(len(self.candidates))
        line, candidate = self.candidates[place]
        if what == "pass":
            self.time.now += self.random.choice((0.1, 0.5, 1, 2, 2, 4))
        elif what == "cut":
            line.cut = not line.cut
        elif candidate.me not in self.busy:
            self.busy.add(candidate.me)
            if what == "step":
                led = candidate.held()
                self.terms += candidate.step() and not led
            if what == "leave":
                candidate.release()
            if what in {"leave", "die"} or candidate.lost.is_set():
                self.candidates[place] = self.enter()
            self.busy.discard(candidate.me)
        leaders = [c.me for _, c in self.candidates if c.held()]
        assert len(leaders) <= 1, leaders


def test_never_two_leaders_whatever_happens_in_whatever_order():
    terms = 0
    for seed in range(100):
        play = Play(seed)
        for _ in range(250):
            play.one()
        terms += play.terms
    assert terms > 200, "a play in which nobody leads shows nothing"


def test_once_nothing_goes_wrong_somebody_leads():
    for seed in range(100):
        play = Play(seed)
        for _ in range(80):
            play.one()
        play.quiet = True
        play.candidates = [play.enter() for _ in play.candidates]
        for _ in range(12):
            play.time.now += TERMS.retry_period
            for _, candidate in play.candidates:
                candidate.step()
        assert [c.me for _, c in play.candidates if c.held()] == [play.leases.holder], seed
