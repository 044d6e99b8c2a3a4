"""The lease on a real API server: candidates that die, an API server that hangs, a leader that leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cdl.kube.client import Api
from cdl.kube.election import Election
from cdl.kube.lease import Terms

TERMS = Terms(duration=4, renew_deadline=2.5, retry_period=0.3)
PATIENT = Terms(duration=60, renew_deadline=50, retry_period=0.3)
"""For what must not depend on how busy the machine is."""
NAME = "cdl-operator"
CANDIDATE = """
import os, pathlib, sys, threading
from cdl.kube.client import Api
from cdl.kube.election import Election
from cdl.kube.lease import Terms
election = Election(Api.connect(pathlib.Path(sys.argv[1])), sys.argv[2], "cdl-operator", Terms(4, 2.5, 0.3))
assert election.acquire(threading.Event())
print(election.me, flush=True)
election.lost.wait()
os._exit(3)
"""


SUPERVISED = """
import os, pathlib, sys, threading
from cdl.kube.client import Api
from cdl.kube.election import Election, identity
from cdl.kube.lease import Terms
from cdl.kube.supervisor import Patience, supervise
me = identity()

def main():
    terms = Terms(duration=3600, renew_deadline=60, retry_period=0.3)
    election = Election(Api.connect(pathlib.Path(sys.argv[1])), sys.argv[2], "cdl-operator", terms, me=me)
    assert election.acquire(threading.Event())
    print(os.getpid(), flush=True)
    election.lost.wait()
    return 3

sys.exit(supervise(main, name="candidate", patience=Patience(first_pause=0.05)))
"""


class Candidate(threading.Thread):
    """Waits for the lease in a thread, and remembers when it led."""

    def __init__(self, cluster, namespace, terms=TERMS):
        super().__init__(daemon=True)
        self.election = Election(Api.connect(cluster.kubeconfig), namespace, NAME, terms)
        self.stop = threading.Event()
        self.led = threading.Event()

    def run(self):
        if self.election.acquire(self.stop):
            self.led.set()

    def leave(self):
        self.stop.set()
        self.join(60)
        self.election.release()


@pytest.fixture
def enter(cluster, namespace):
    entered = []

    def begin(terms=TERMS):
        entered.append(Candidate(cluster, namespace, terms))
        entered[-1].start()
        return entered[-1]

    yield begin
    for candidate in entered:
        candidate.leave()


def holder(cluster, namespace):
    return cluster.kubectl("get", "lease", NAME, "-n", namespace, "-o", "jsonpath={.spec.holderIdentity}")


def transitions(cluster, namespace):
    return int(cluster.kubectl("get", "lease", NAME, "-n", namespace, "-o", "jsonpath={.spec.leaseTransitions}") or 0)


def waits(candidate, seconds=1.0):
    """Give it time to be wrong."""
    return not candidate.led.wait(seconds) and not candidate.election.held()


def test_the_second_leads_when_the_first_is_killed(cluster, namespace, enter):
    command = [sys.executable, "-c", CANDIDATE, str(cluster.kubeconfig), namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        me = first.stdout.readline().strip()
        assert me.split("_")[1] == str(first.pid)
        second = enter()
        assert waits(second)
        assert holder(cluster, namespace) == me
        first.kill()
    assert waits(second, TERMS.renew_deadline - TERMS.retry_period), "the dead one's term was not waited for"
    assert second.led.wait(60)
    assert second.election.held()
    assert holder(cluster, namespace) == second.election.me
    assert transitions(cluster, namespace) == 1


def test_the_second_leads_at_once_when_the_first_leaves(cluster, namespace, enter):
    first = enter(PATIENT)
    assert first.led.wait(60)
    second = enter(PATIENT)
    assert waits(second)
    first.leave()
    assert not first.election.held()
    assert not first.election.lost.is_set()
    assert second.led.wait(60)
    assert holder(cluster, namespace) == second.election.me


def test_a_supervised_leader_that_is_killed_leads_again_without_waiting_for_its_own_term(cluster, namespace):
    command = [sys.executable, "-c", SUPERVISED, str(cluster.kubeconfig), namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        try:
            me = None
            for _ in range(3):
                child = int(parent.stdout.readline())
                assert me in {None, holder(cluster, namespace)}
                me = holder(cluster, namespace)
                os.kill(child, signal.SIGKILL)
        finally:
            parent.kill()
    assert transitions(cluster, namespace) == 0


def test_nobody_leads_while_the_api_server_hangs(cluster, namespace, enter):
    first = enter()
    assert first.led.wait(60)
    second = enter()
    assert waits(second)
    server = cluster.stack.running()["kube-apiserver"].pid
    os.kill(server, signal.SIGSTOP)
    try:
        assert first.election.lost.wait(60)
        assert not first.election.held()
        assert waits(second, TERMS.duration), "a candidate that hears nothing must not lead"
    finally:
        os.kill(server, signal.SIGCONT)
    assert second.led.wait(60)
    assert second.election.held()
    assert not first.election.held()


def test_who_was_overthrown_by_hand_stops(cluster, namespace, enter):
    first = enter(PATIENT)
    assert first.led.wait(60)
    patch = '{"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60}}'
    cluster.kubectl("patch", "lease", NAME, "-n", namespace, "--type=merge", "-p", patch)
    assert first.election.lost.wait(60)
    assert not first.election.held()
    assert holder(cluster, namespace) == "somebody"


def test_never_two_while_leases_change_hands(cluster, namespace, enter):
    both, over = [], threading.Event()
    candidates = [enter(PATIENT) for _ in range(3)]

    def watch():
        while not over.wait(0.005):
            held = [c.election.me for c in candidates if c.election.held()]
            if len(held) > 1:
                both.append(held)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        left = list(candidates)
        while left:
            deadline = time.monotonic() + 60
            while not (leader := next((c for c in left if c.led.is_set()), None)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            leader.leave()
            left.remove(leader)
    finally:
        over.set()
        watcher.join()
    assert both == []
    assert transitions(cluster, namespace) == 2
    assert holder(cluster, namespace) == ""
