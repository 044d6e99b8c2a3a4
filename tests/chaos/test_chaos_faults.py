"""Everything but a death at a call: lost replies, refusals, conflicts, lying watches, engines and API servers away."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from tests.chaos import invariants
from tests.chaos.conftest import NAMESPACE
from tests.chaos.course import DOORS, ENGINE, Course, Scenario
from tests.chaos.kube import condition, is_ready
from tests.chaos.load import Load
from tests.chaos.sweep import Sweep, disturbances

KINDS = tuple(DOORS)
RUNS = 10
RATE = 20


def together(work, items):
    """Do the same with each item at the same time; give the results, or raise the first trouble."""
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


def begun(place, kind, name):
    """A resource that is ready."""
    it = Scenario(place, kind, NAMESPACE, name)
    it.prepare()
    place.kube.create(it.document())
    place.kube.until(kind, NAMESPACE, name, is_ready)
    return it


def ready_again(it, body):
    """Change a spec and wait until the status speaks of it and is well."""
    kube = it.rig.kube
    wanted = kube.patch(it.kind, it.namespace, it.name, body)["metadata"]["generation"]
    return kube.until(
        it.kind, it.namespace, it.name, lambda d: is_ready(d) and d["status"]["observedGeneration"] >= wanted
    )


def ended(it):
    """Delete a resource, wait until it is gone, and give what is wrong then."""
    document = it.get()
    it.rig.kube.delete(it.kind, it.namespace, it.name)
    it.rig.kube.until(it.kind, it.namespace, it.name, lambda d: d is None, seconds=30)
    problems = list(invariants.nothing_left(it.rig.eyes, it.rig.kube, document))
    it.tidy()
    return problems


@pytest.mark.timeout(600)
def test_lost_replies_refusals_conflicts_and_cut_watches_at_every_write(place, journal):
    startup = {}
    sweeps = {
        kind: Sweep(f"{{{kind.lower()}}}", DOORS[kind], disturbances, journal, shared=startup, blunt=True)
        for kind in KINDS
    }
    place.gate.plan = lambda call: next(filter(None, (sweep.plan(call) for sweep in sweeps.values())), None)
    place.gate.answered = lambda call, status: [sweep.answered(call, status) for sweep in sweeps.values()]

    def course(kind):
        for run in range(RUNS):
            sweeps[kind].quiet = run == 0
            Course(Scenario(place, kind, NAMESPACE, f"{kind.lower()[:3]}-upset-{run}"), sweeps[kind], stir=True).run()
            if run and not sweeps[kind].fresh:
                return

    together(course, KINDS)
    for kind, sweep in sweeps.items():
        assert not sweep.fresh, "no run without a fault of its own"
        lacking = [line for line in sweep.lacking(usual=True) if " WATCH " not in line]  # one uncut comes but once
        assert not lacking, "\n".join([kind, sweep.table(), "never disturbed:", *lacking])
        assert {f for done in sweep.covered.values() for f in done} >= {"lost-reply", "conflict"}, sweep.table()


def says_it_waits(document):
    """Its status speaks of the deletion, and of the engine that is away."""
    generation = document["metadata"]["generation"]
    told = condition(document)
    return told["reason"] == "EngineUnavailable" and told["observedGeneration"] == generation


@pytest.mark.timeout(180)
def test_a_deletion_waits_for_an_engine_that_is_away_and_says_so(place, journal):
    scenarios = together(lambda kind: begun(place, kind, f"{kind.lower()[:3]}-away"), KINDS)
    for it in scenarios:
        place.gate.partition(ENGINE[it.kind], 8)
        journal.fault("partition", ENGINE[it.kind], seconds=8)

    def deleted(it):
        kube, document = place.kube, it.get()
        kube.delete(it.kind, it.namespace, it.name)
        waiting = kube.until(it.kind, NAMESPACE, it.name, says_it_waits, seconds=7)
        assert waiting["metadata"]["finalizers"] == ["cdl.dev/engines"]
        kube.until(it.kind, NAMESPACE, it.name, lambda d: d is None, seconds=8 + 30)
        left = list(invariants.nothing_left(place.eyes, kube, document))
        it.tidy()
        return left

    assert list(chain.from_iterable(together(deleted, scenarios))) == []


@pytest.mark.timeout(180)
def test_models_answer_while_operator_api_server_and_storage_die(place, journal):
    it = begun(place, "ModelDeployment", "mod-loaded")
    uid = it.get()["metadata"]["uid"]
    lives = place.gate.life
    with Load(it.get()["status"]["url"], RATE) as load:
        for _ in range(3):
            place.kill()
            journal.fault("kill-random", "operator")
            time.sleep(0.3)
        place.kube.patch(it.kind, NAMESPACE, it.name, it.edited())
        place.kill()
        ready_again(it, {})
        for victim in ("kube-apiserver", "etcd"):
            battered = journal.fault("kill", victim)
            place.cluster.kill(victim)
            time.sleep(1)
            place.cluster.start()
            began = time.monotonic()
            ready_again(it, it.edited())
            battered["converged_s"] = round(time.monotonic() - began, 3)
        place.gate.partition("seldon", 2)
        journal.fault("partition", "seldon", seconds=2)
        ready_again(it, it.edited())
    answers = load.answers
    assert len(answers) > 100, "too few requests to say anything"
    problems = [
        *invariants.available(answers),
        *invariants.served(answers, place.kube, NAMESPACE, it.name),
        *invariants.at_most_one(place.eyes, it.get()),
        *invariants.quiet(place.gate, place.kube, it.get(), 3),
        *invariants.forward(place.recorder, uid, lives=place.gate.life - lives, calm=False),
    ]
    assert problems == [], invariants.shown(problems, place.operator.last_words())
    assert {a.digest for a in answers} == {
        r["spec"]["digest"] for r in place.kube.list("Release", NAMESPACE) if r["spec"]["model"] == it.name
    }
    assert ended(it) == []


def test_events_that_a_watch_swallows_are_told_again(place, journal):
    it = begun(place, "DataPipeline", "dat-swallowed")
    place.proxies["api"].events = lambda _line: ()
    journal.fault("swallowed-events", "api")
    place.kube.patch(it.kind, NAMESPACE, it.name, it.edited())
    time.sleep(2)
    deaf = it.get()
    place.proxies["api"].events = lambda line: (line,)
    place.gate.cut()
    assert deaf["status"]["observedGeneration"] < deaf["metadata"]["generation"], "nothing was swallowed"
    assert is_ready(ready_again(it, {}))
    assert ended(it) == []


def test_events_told_twice_and_late_change_nothing(place, journal):
    before = {}

    def twice_and_late(line):
        """Each event, then the one before it of the same object, then itself again."""
        said = json.loads(line)
        uid = said.get("object", {}).get("metadata", {}).get("uid", "")
        late = (before[uid],) if uid in before and said["type"] != "DELETED" else ()
        before[uid] = line
        return (line, *late, line)

    place.proxies["api"].events = twice_and_late
    place.gate.cut()
    journal.fault("doubled-and-stale-events", "api")
    it = begun(place, "ModelDeployment", "mod-echoed")
    document = ready_again(it, it.edited())
    assert list(invariants.quiet(place.gate, place.kube, document, 3)) == []
    assert ended(it) == []
