"""What really happened, held against the flow chart: taken, skipped, out of order, by the wrong person."""

from __future__ import annotations

import json

import pytest

from cdl.api.meta import APPLIED_BY_ANNOTATION, AUTHORS_ANNOTATION, REVISION_ANNOTATION
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.loop.release import AT_ONCE, Releases
from cdl.reconcile.conformance import CHART, State, compare, released
from cdl.reconcile.record import Verb
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, DECISION_REASON
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World

CHECKS = [{"name": "enough", "rows": {"min": 2}, "onFail": "fail"}]
GIT = {REVISION_ANNOTATION: "f00d", AUTHORS_ANNOTATION: "ada@example.test"}


def put(world, kind, document, who):
    notes = GIT | {APPLIED_BY_ANNOTATION: who}
    world.resources.put(kind.read(document | {"metadata": document["metadata"] | {"annotations": notes}}))


def attend(world):
    for made in world.resources.list(Release):
        drive = Releases(world.engines, lambda: world.now)
        while drive.turn("default", made.metadata.name) == AT_ONCE:
            pass


def decide(world, who):
    for made in world.resources.list(Release):
        said = {APPROVED_DIGEST: made.spec.digest, DECIDED_BY: who, DECISION_REASON: "good figures"}
        notes = made.metadata.annotations | said | {DECIDED_AT: world.now.isoformat()}
        world.resources.put(
            made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": notes})})
        )
    attend(world)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The ledger of a team that does as the chart says."""
    world = World(tmp_path_factory.mktemp("world"))
    put(world, DataPipeline, pipeline_document(checks=CHECKS), "dora")
    put(world, Experiment, experiment_document(approval={"policy": "Manual"}), "ada")
    put(world, ModelDeployment, deployment_document(), "olga")
    world.settle()
    attend(world)
    decide(world, "vera")
    world.settle()
    return world.ledger.entries


def held(entries, **roles):
    (release,) = released(entries)
    return {one.step.name: one for one in compare(entries, release, {k: frozenset(v) for k, v in roles.items()}).steps}


def states(entries, **roles):
    return {name: one.state for name, one in held(entries, **roles).items()}


def test_a_team_that_keeps_to_the_chart_only_misses_what_cdl_cannot_do_yet(told):
    found = states(told)
    assert [
        name for name, state in found.items() if state in {State.SKIPPED, State.OUT_OF_ORDER, State.WRONG_PERSON}
    ] == ["model-monitoring"]
    assert {name for name, state in found.items() if state is State.UNSEEN} == {
        "data-analysis",
        "data-preprocessing",
        "validation-split",
    }
    assert {name for name, state in found.items() if state is State.LEFT_OUT} == {
        "hp-optimization",
        "model-compression",
        "model-revision",
    }


def test_each_step_was_taken_by_whoever_wished_for_it(told):
    who = {name: one.who for name, one in held(told).items() if one.state is State.TAKEN}
    assert {who[name] for name in who if name.startswith("data-")} == {"dora"}
    assert {who["model-training"], who["model-submission"], who["model-packaging"]} == {"ada"}
    assert {who["model-review"], who["model-promotion"], who["implementation-review"]} == {"vera"}
    assert {who["deployment-manifest"], who["model-deployment"]} == {"olga"}


def test_every_step_of_the_chart_is_told_once_in_its_order(told):
    assert list(held(told)) == [step.name for step in CHART]
    assert len({step.name for step in CHART}) == len(CHART)
    known = {step.name for step in CHART}
    assert all(set(step.after) <= known for step in CHART)
    assert all(step.signs or step.unseen or step.optional for step in CHART)


def without(entries, **facts):
    return [e for e in entries if any(getattr(e, name) != value for name, value in facts.items())]


def spec_without(entries, kind, field):
    """The same story, had nobody wished for that."""
    changed = []
    for entry in entries:
        plain = json.loads(entry.text())
        if entry.kind == kind and entry.verb is Verb.APPLIED:
            *path, last = field.split(".")
            place = plain["details"]["spec"]
            for name in path:
                place = place[name]
            place.pop(last, None)
        changed.append(type(entry).model_validate(plain))
    return changed


@pytest.mark.parametrize(
    ("change", "skipped"),
    [
        (lambda e: without(e, what="EnsureStep"), {"data-cleaning"}),
        (lambda e: without(e, what="Ingest"), {"data-ingestion", "data-versioning"}),
        (lambda e: spec_without(e, "DataPipeline", "checks"), {"data-validation"}),
        (lambda e: spec_without(e, "DataPipeline", "labels"), {"data-labeling"}),
        (lambda e: spec_without(e, "Experiment", "code.serve"), {"model-implementation", "model-packaging"}),
        (lambda e: spec_without(e, "Experiment", "retrain.onData"), {"model-maintenance"}),
        (lambda e: without(e, verb=Verb.DECIDED), {"model-review", "model-promotion", "implementation-review"}),
        (lambda e: without(e, what="Serve"), {"model-deployment"}),
    ],
)
def test_what_did_not_happen_is_skipped_and_nothing_else(told, change, skipped):
    found = {name for name, state in states(change(told)).items() if state is State.SKIPPED}
    assert found - {"model-monitoring"} == skipped


def test_a_splitting_that_nobody_asked_for_was_optional(told):
    assert states(spec_without(told, "DataPipeline", "split"))["data-splitting"] is State.LEFT_OUT


def test_code_that_was_not_committed_was_not_submitted(told):
    bare = [entry.model_copy(update={"revision": ""}) for entry in told]
    assert states(bare)["model-submission"] is State.SKIPPED


def test_a_model_that_was_served_before_it_was_approved_is_out_of_order(told):
    approval = next(entry for entry in told if entry.verb is Verb.DECIDED)
    late = [*(entry for entry in told if entry is not approval), approval]
    found = held(late)["model-deployment"]
    assert (found.state, found.why) == (State.OUT_OF_ORDER, "before Model Promotion")


def test_data_that_was_checked_after_the_training_is_out_of_order(told):
    checked = [e for e in told if e.kind == "DataPipeline" and e.what in {"DataReady True", "Ready True"}]
    place = next(n for n, e in enumerate(told) if e.what == "WriteRelease")
    rest = [e for e in told[:place] if e not in checked]
    assert states([*rest, *checked, *told[place:]])["model-training"] is State.OUT_OF_ORDER


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("policy/Automatic", "policy/Automatic decided, a model validator should"),
        ("ada", "ada worked on it, somebody else should decide"),
        ("ada@example.test", "ada@example.test worked on it, somebody else should decide"),
    ],
)
def test_a_policy_or_an_author_is_the_wrong_one_to_decide(told, who, why):
    decided = [e.model_copy(update={"who": who}) if e.verb is Verb.DECIDED else e for e in told]
    found = held(decided)["model-promotion"]
    assert (found.state, found.why) == (State.WRONG_PERSON, why)


def test_who_has_which_role_is_checked_where_it_was_said(told):
    right = {"data engineer": ["dora"], "model validator": ["vera"]}
    assert State.WRONG_PERSON not in states(told, **right).values()
    wrong = states(told, **{"data engineer": ["olga"]})
    assert {name for name, state in wrong.items() if state is State.WRONG_PERSON} == {
        step.name for step in CHART if step.role == "data engineer"
    }


def test_releases_are_found_by_their_name_and_by_their_model(told):
    assert [entry.name for entry in released(told, "news")] == ["news-1"]
    assert [entry.name for entry in released(told, "news-1")] == ["news-1"]
    assert released(told, "other") == ()
    assert released([]) == ()
