"""Who judges must be able to say no: the invariants, the sweep and the figures, on worlds made up for the purpose."""

import json
from functools import partial

import pytest

from tests.chaos import invariants, words
from tests.chaos.calls import KILL_AFTER, KILL_BEFORE, Call, Gate
from tests.chaos.journal import Journal, figures
from tests.chaos.kube import History, Sighting, is_ready, is_settled
from tests.chaos.load import Answered
from tests.chaos.sweep import Sweep, disturbances, is_passing, kills

T1, T2, T3 = (f"2026-01-01T00:00:0{n}Z" for n in (1, 2, 3))


def state(*conditions, observed=1, generation=1, deleting=False):
    meta = {"name": "a", "namespace": "n", "uid": "u", "generation": generation, "resourceVersion": "1"}
    if deleting:
        meta["deletionTimestamp"] = T3
    told = [{"type": t, "status": s, "reason": r, "lastTransitionTime": at} for t, s, r, at in conditions]
    return {"kind": "Experiment", "metadata": meta, "status": {"observedGeneration": observed, "conditions": told}}


READY = ("Ready", "True", "Succeeded", T2)
BUSY = ("Ready", "Unknown", "Training", T1)
FAILED = (("Ready", "False", "RunFailed", T2), ("Stalled", "True", "RunFailed", T2))


class Told:
    """A recorder that was told what to have seen."""

    def __init__(self, *documents, events=()):
        self._seen, self._events = documents, events

    def history(self, uid):
        return History([Sighting(0.0, "MODIFIED", document) for document in self._seen])

    def events(self, uid):
        return list(self._events)


def found(*documents, calm=True, events=()):
    return list(invariants.forward(Told(*documents, events=events), "u", lives=0, calm=calm))


def test_a_history_that_goes_forward_is_fine():
    later = state(("Ready", "Unknown", "Training", T3), observed=2, generation=2)
    assert found(state(BUSY), state(READY), state(READY, generation=2), later) == []


@pytest.mark.parametrize(
    ("documents", "complaint"),
    [
        ((state(READY), state(("Ready", "Unknown", "Training", T1))), "went back"),
        ((state(("Ready", "True", "Succeeded", T1)), state(READY)), "moved"),
        ((state(READY, observed=2, generation=2), state(READY, observed=1, generation=2)), "back to 1"),
        ((state(READY), state(("Ready", "False", "RunFailed", T3))), "ended as True/Succeeded and became False"),
        ((state(*FAILED), state(("Ready", "True", "Succeeded", T3))), "ended as False/RunFailed"),
    ],
)
def test_a_history_that_does_not_is_named(documents, complaint):
    assert complaint in " ".join(found(*documents))


def test_what_happens_while_it_is_deleted_is_no_change_of_an_end():
    assert found(state(READY), state(("Ready", "Unknown", "Deleting", T3), generation=2, deleting=True)) == []


def test_an_event_that_is_repeated_without_a_change_is_named():
    event = {"reason": "Succeeded", "message": "well", "count": 9}
    assert "came 9 times" in " ".join(found(state(READY), events=[event]))


def test_settled_is_ready_or_a_named_failure_of_this_generation():
    assert is_settled(state(READY))
    assert is_settled(state(*FAILED))
    assert not is_ready(state(*FAILED))
    assert not is_settled(state(BUSY))
    assert not is_settled(state(READY, generation=2))
    assert list(invariants.settled(state(BUSY)))


class Shelf:
    """An API server with one release."""

    def __init__(self, approved):
        state = "Approved" if approved else "Pending"
        self.release = {
            "metadata": {"name": "m-1"},
            "spec": {"model": "m", "digest": "sha256:1"},
            "status": {"approval": {"state": state, "digest": "sha256:1"}},
        }

    def list(self, kind, namespace):
        return [self.release]


def test_an_answer_of_an_unapproved_release_is_named():
    answers = [Answered(0.0, ok=True, digest="sha256:1")]
    assert list(invariants.served(answers, Shelf(approved=True), "n", "m")) == []
    assert list(invariants.served(answers, Shelf(approved=False), "n", "m"))
    assert list(invariants.served([Answered(0.0, ok=True, digest="")], Shelf(approved=True), "n", "m"))


def test_one_failed_request_is_one_too_many():
    fine = Answered(0.0, ok=True, digest="d")
    assert list(invariants.available([fine])) == []
    assert "1 of 2" in " ".join(invariants.available([fine, Answered(0.0, ok=False, why="503")]))


# --- the sweep


@pytest.fixture
def gate():
    made = Gate()
    made.names, made.subjects = {"k7": "{thing}"}, {"k7"}
    return made


def sweep_of(**more):
    menu = partial(kills, reads_twice=False)
    made = Sweep("{thing}", frozenset({"api", "pachd"}), menu, Journal(1), **more)
    made.enter("create")
    return made


def happens(gate, *call):
    """A call comes by and is answered, unless its caller died before it left."""
    made, fault = gate.arrive(*call)
    if fault.kind != KILL_BEFORE:
        gate.reply(made, fault, "OK")


def look(gate):
    happens(gate, "pachd", "RPC", "/pfs_v2.API/InspectRepo", "k7-train")


def make(gate):
    happens(gate, "pachd", "RPC", "/pfs_v2.API/CreateRepo", "k7-train")


def tell(gate, reason):
    happens(gate, "api", "PATCH", "/apis/x/namespaces/n/things/k7/status", f"Unknown/{reason}")


def test_every_call_is_a_victim_until_a_run_meets_nothing_new(gate):
    sweep = sweep_of()
    gate.plan, gate.answered = sweep.plan, sweep.answered
    for _ in range(4):
        sweep.begin()
        sweep.enter("create")
        look(gate)
        make(gate)
        tell(gate, "Working")
        look(gate)
    assert sweep.fresh == 0
    assert sweep.lacking() == []
    falls = [(line["fault"], line["target"].split()[2]) for line in sweep.journal.lines]
    assert falls.count((KILL_BEFORE, "/pfs_v2.API/CreateRepo")) >= 1
    assert falls.count((KILL_AFTER, "/pfs_v2.API/CreateRepo")) >= 1
    assert falls.count((KILL_AFTER, "/pfs_v2.API/InspectRepo")) == 2, "the status has told something else meanwhile"
    assert gate.life == len(falls)


def test_a_call_that_was_not_a_victim_of_everything_is_named(gate):
    sweep = sweep_of()
    gate.plan, gate.answered = sweep.plan, sweep.answered
    make(gate)
    assert "CreateRepo" in " ".join(sweep.lacking())
    assert "kill-after" in " ".join(sweep.lacking())
    make(gate)
    assert sweep.lacking() == []


def test_a_quiet_run_shows_which_calls_must_have_been_victims(gate):
    sweep = sweep_of()
    gate.plan, gate.answered = sweep.plan, sweep.answered
    sweep.quiet = True
    make(gate)
    assert gate.life == 0
    sweep.quiet = False
    look(gate)
    assert "CreateRepo" in " ".join(sweep.lacking(usual=True))
    make(gate)
    make(gate)
    assert sweep.lacking(usual=True) == []
    happens(gate, "pachd", "RPC", "/pfs_v2.API/DeleteRepo", "k7-train")
    assert sweep.lacking(usual=True) == [], "it came of a fault"
    assert "DeleteRepo" in " ".join(sweep.lacking())


def test_what_a_release_was_told_before_makes_no_other_call_of_it(gate):
    sweep = sweep_of()
    gate.plan = sweep.plan
    path = "/apis/x/namespaces/n/releases/k7/status"
    for told in ("served by ", "served by ", "served by  Approved"):
        happens(gate, "api", "PATCH", path, told)
    assert sweep.lacking() == []
    happens(gate, "api", "PATCH", path.replace("releases", "others"), "served by ")
    assert "kill-after" in " ".join(sweep.lacking())


def test_polling_is_one_point_and_other_peoples_calls_are_none(gate):
    sweep = sweep_of()
    gate.plan = sweep.plan
    for _ in range(5):
        look(gate)
    gate.arrive("determined", "GET", "/api/v1/experiments")
    gate.arrive("api", "GET", "/apis/x/namespaces/n/things/other")
    assert len(sweep.covered) == len(sweep.journal.lines) == 1


def test_what_belongs_to_no_resource_is_a_point_once_for_all_sweeps(gate):
    shared = {}
    for _ in range(2):
        gate.plan = sweep_of(shared=shared).plan
        happens(gate, "api", "LIST", "/apis/x/things")
    assert gate.life == 1
    assert len(shared) == 1


def test_disturbances_fit_the_call():
    status = Call(1, 0, "api", "PATCH", "/things/{thing}/status", "True/Succeeded")
    assert [f.kind for f in disturbances(status)] == ["lost-reply", "refuse", "conflict"]
    assert [f.code for f in disturbances(Call(1, 0, "pachd", "RPC", "/x/CreateRepo"))] == ["", "UNAVAILABLE"]
    assert disturbances(Call(1, 0, "pachd", "RPC", "/x/InspectRepo")) == ()
    assert [f.kind for f in disturbances(Call(1, 0, "api", "WATCH", "/things"))] == ["cut-watch", "gone"]
    assert is_passing(Call(1, 0, "api", "PATCH", "/things/{thing}/status", "Unknown/Training"))
    assert not is_passing(status)


def test_a_write_says_in_a_word_what_it_says():
    body = json.dumps(state(READY)).encode()
    assert words.of_kubernetes("PATCH", "/x/status", body) == "True/Succeeded"
    assert words.of_kubernetes("PATCH", "/x", b'{"metadata": {"finalizers": []}}') == "no finalizers"
    assert words.of_kubernetes("POST", "/e", b'{"reason": "Ok", "involvedObject": {"name": "a"}}') == "Ok a"
    assert words.of_determined("GET", "/api/v1/experiments?labels=cdl-owner%3Dn.a", b"") == "n.a"


def test_the_figures_are_what_they_are_called():
    assert figures([]) == {}
    assert figures([3.0, 1.0, 2.0]) == {"count": 3, "p50": 2.0, "p95": 3.0, "max": 3.0}
    journal = Journal(5)
    journal.fault("kill", "etcd", took_effect=False)
    assert journal.summary()["took_effect"] == 0
    assert journal.summary()["kinds"] == {"kill": 1}
