"""What the ledger is told: everything, in order, once, whatever happens between the telling and the doing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import APPLIED_BY_ANNOTATION, AUTHORS_ANNOTATION, REQUESTED_AT_ANNOTATION, REVISION_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.loop import Reconciler
from cdl.loop.datapipeline import controller
from cdl.loop.release import AT_ONCE, Releases
from cdl.ports.errors import Unreadable
from cdl.reconcile.chain import follow
from cdl.reconcile.history import stood
from cdl.reconcile.record import ABSENT, PLATFORM, UNKNOWN, Verb
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, DECISION_REASON
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.memory import MemoryResources
from cdl.testing.weather import Crash
from cdl.testing.world import World

NEWS = Key("DataPipeline", "default", "news")
DOCUMENTS = {
    DataPipeline: pipeline_document(),
    Experiment: experiment_document(),
    ModelDeployment: deployment_document(),
}
NOTES = {APPLIED_BY_ANNOTATION: "ada", AUTHORS_ANNOTATION: "ada@x,bo@x", REVISION_ANNOTATION: "f00"}


def put(world, kind, **notes):
    document = DOCUMENTS[kind]
    return world.resources.put(kind.read(document | {"metadata": document["metadata"] | {"annotations": notes}}))


def approve(world):
    """Let somebody approve every Release, and the platform take that over."""
    for made in world.resources.list(Release):
        said = {APPROVED_DIGEST: made.spec.digest, DECIDED_BY: "maria", DECISION_REASON: "better"}
        notes = made.metadata.annotations | said | {DECIDED_AT: "2026-01-02T00:00:00+00:00"}
        world.resources.put(
            made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": notes})})
        )
        drive = Releases(world.engines, lambda: world.now)
        while drive.turn("default", made.metadata.name) == AT_ONCE:
            pass


def story(world, **notes):
    """From nothing to a model that is served."""
    for kind in DOCUMENTS:
        put(world, kind, **notes)
    world.settle()
    approve(world)
    world.settle()


def paths(world):
    """Each condition's answers one after the other, as the ledger has them; without what never came true."""
    found = defaultdict(list)
    for entry in stood(world.ledger.entries):
        if entry.verb is Verb.BECAME:
            found[entry.about, entry.details["condition"]].append((entry.details["from"], entry.details["to"]))
    return found


def unbroken(world):
    """Every answer begins where the one before ended, and the last is what the resource says."""
    told = paths(world)
    for place, steps in told.items():
        assert steps[0][0] == [ABSENT, ""], place
        assert [after for _, after in steps[:-1]] == [before for before, _ in steps[1:]], place
        assert all(before != after for before, after in steps), place
    for key in world.keys():  # noqa: SIM118 - a world is no dictionary
        for condition in world.get(key).status.conditions:
            assert told[key, condition.type][-1][1] == [condition.status, condition.reason], condition
    assert max(Counter(entry.key for entry in world.ledger.entries).values()) == 1
    assert follow(world.ledger.kept) is None


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_model_on_its_way_to_production_leaves_an_unbroken_trace(world):
    story(world, **NOTES)
    unbroken(world)
    ends = {(key.kind, steps[-1][1][0]) for (key, condition), steps in paths(world).items() if condition == "Ready"}
    assert ends == {(kind.__name__, "True") for kind in DOCUMENTS}
    actions = [entry.what for entry in world.ledger.entries if entry.verb is Verb.ASKED]
    assert actions.index("StartRun") < actions.index("WriteRelease") < actions.index("Serve")


def test_it_says_who_wished_for_what(world):
    story(world, **NOTES)
    applied = [entry for entry in world.ledger.entries if entry.verb is Verb.APPLIED]
    assert {(e.kind, e.who, e.what, e.revision) for e in applied} == {
        (kind.__name__, "ada", "generation 1", "f00") for kind in DOCUMENTS
    }
    assert all(entry.details["authors"] == ["ada@x", "bo@x"] for entry in applied)
    assert all(entry.digest.startswith("sha256:") for entry in applied)


def test_who_wished_is_not_made_up(world):
    put(world, DataPipeline)
    world.settle()
    (applied,) = (entry for entry in world.ledger.entries if entry.verb is Verb.APPLIED)
    assert (applied.who, applied.details.keys()) == (UNKNOWN, {"spec"})


def test_what_no_person_did_was_done_by_the_platform(world):
    story(world, **NOTES)
    by_verb = defaultdict(set)
    for entry in world.ledger.entries:
        by_verb[entry.verb].add(entry.who)
    assert by_verb[Verb.BECAME] == by_verb[Verb.ASKED] == by_verb[Verb.RELEASED] == {PLATFORM}


def test_a_decision_says_who_and_why_and_keeps_the_release_as_it_was(world):
    story(world)
    (made,) = world.resources.list(Release)
    by_policy, decided = (entry for entry in world.ledger.entries if entry.verb is Verb.DECIDED)
    assert by_policy.who.startswith("policy/")
    assert (decided.who, decided.what, decided.why, decided.digest) == ("maria", "Approved", "better", made.spec.digest)
    assert decided.at == made.status.approval.at
    kept = world.ledger.releases("default", made.metadata.name)
    assert len(kept) == 3, "when it was written, and at each decision"
    assert all(made.spec.digest in document for document in kept)
    assert ["maria" in document for document in kept] == [False, False, True]


def test_what_was_decided_past_the_loop_is_told_when_it_is_seen(world):
    story(world)
    (made,) = world.resources.list(Release)
    approval = made.status.approval.model_copy(update={"state": ApprovalState.REJECTED, "by": "otto", "reason": "no"})
    world.resources.write_status(
        made.key, made.status.model_copy(update={"approval": approval}), made.metadata.resource_version
    )
    (drive := Releases(replace(world.engines), lambda: world.now)).turn("default", made.metadata.name)
    drive.turn("default", made.metadata.name)
    told = [(e.who, e.what) for e in world.ledger.entries if e.verb is Verb.DECIDED and e.who == "otto"]
    assert told == [("otto", "Rejected")]


def test_a_second_wish_and_a_deletion_are_told(world):
    put(world, DataPipeline)
    world.settle()
    world.resources.put(DataPipeline.read(pipeline_document(interval="3m")))
    world.settle()
    world.resources.delete(NEWS)
    world.settle()
    told = [(e.verb, e.what) for e in world.ledger.entries if e.verb in {Verb.APPLIED, Verb.DELETED}]
    assert told == [(Verb.APPLIED, "generation 1"), (Verb.APPLIED, "generation 2"), (Verb.DELETED, "deletion")]


def test_a_reason_that_comes_and_goes_is_told_each_time(world):
    """The answer stays `Unknown`, and so does its time: only the count of changes tells the two outages apart."""
    put(world, DataPipeline)
    world.turn(NEWS)
    for _ in range(2):
        world.weather["data"].down = True
        world.turn(NEWS)
        world.clear_up()
        world.turn(NEWS)
    outages = [to for _, to in paths(world)[NEWS, "Ready"] if to[1] == Reason.ENGINE_UNAVAILABLE]
    assert len(outages) == 2


@pytest.mark.parametrize("where", ["ledger", "resources"])
def test_an_operator_that_dies_at_any_moment_tells_all_of_it_once(tmp_path, where):
    calm = World(tmp_path / "calm")
    story(calm)
    wanted = {place: steps[-1] for place, steps in paths(calm).items()}
    moment = 0
    while True:
        world = World(tmp_path / str(moment))
        world.weather[where].crash_in = moment
        try:
            story(world)
        except Crash:
            world.restart()
            story(world)
            unbroken(world)
            assert {place: steps[-1][1] for place, steps in paths(world).items()} == {
                place: step[1] for place, step in wanted.items()
            }, moment
            moment += 7
            continue
        break
    assert moment > 30


def test_somebody_who_writes_between_the_telling_and_the_status_makes_no_second_telling(tmp_path):
    moment, disturbed = 0, 0
    while True:
        world = World(tmp_path / str(moment))
        before = []

        def annotate(world=world, before=before):
            for kind in DOCUMENTS:
                if world.resources._stored.get(Key(kind.__name__, "default", "news")) is not None:
                    put(world, kind, **{REQUESTED_AT_ANNOTATION: "now"})
                    before.append(kind)

        world.weather["ledger"].crash_in, world.weather["ledger"].meanwhile = moment, annotate
        story(world)
        if not before:
            break
        disturbed += 1
        unbroken(world)
        moment += 7
    assert disturbed > 5


def test_while_the_ledger_takes_nothing_nothing_is_said_that_it_does_not_know(world):
    put(world, DataPipeline)
    world.weather["ledger"].down = True
    again = world.turn(NEWS)
    again = world.turn(NEWS)
    assert world.get(NEWS).status.conditions == ()
    assert again <= timedelta(minutes=1)
    world.clear_up()
    world.settle()
    assert world.get(NEWS).status.condition(ConditionType.READY).status == "True"
    unbroken(world)


class Spoilt(MemoryResources):
    """Somebody wrote a spec past every check."""

    def get(self, kind, namespace, name):
        plain = super().get(kind, namespace, name).plain()
        raise Unreadable("spec.interval: found 'soon'", plain | {"spec": {"interval": "soon"}})


def test_what_is_wrong_with_a_spec_is_told_of_the_resource_it_is_in(world):
    put(world, DataPipeline, **NOTES)
    world.settle()
    store = Spoilt(world.weather["resources"])
    store._stored = world.resources._stored
    reconciler = Reconciler(controller(world.engines), store, lambda: world.now, ledger=world.ledger)
    reconciler.turn("default", "news")
    reconciler.turn("default", "news")
    unbroken(world)
    told = [entry for entry in world.ledger.entries if "InvalidSpec" in entry.why]
    assert {entry.what for entry in told} == {"Ready False", "Stalled True"}
    assert {entry.uid for entry in told} == {world.get(NEWS).metadata.uid}
