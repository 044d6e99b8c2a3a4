"""What a resource takes from its neighbours, and what it refuses to take."""

from __future__ import annotations

import pytest

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import REVISION_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop import stamp_of
from cdl.loop.experiment import controller as experiments
from cdl.loop.modeldeployment import controller as deployments
from cdl.loop.modeldeployment import mark_served
from cdl.loop.release import record_approval
from cdl.ports.errors import Rejected
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release_document
from cdl.testing.world import World

DATA = Key("DataPipeline", "default", "news")
LEARN = Key("Experiment", "default", "news")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def engines(world):
    return world.engines


def put(world, kind, document):
    return world.resources.put(kind.read(document))


def waiting_for(world, key=LEARN):
    ready = world.get(key).status.condition(ConditionType.READY)
    assert ready.reason is Reason.WAITING_FOR_DATA
    return ready.message


def look_twice(world, key=LEARN):
    """The first look makes it stay; the second works."""
    world.turn(key)
    world.turn(key)


def test_an_experiment_without_its_pipeline_waits(world):
    put(world, Experiment, experiment_document())
    look_twice(world)
    assert "there is no such DataPipeline" in waiting_for(world)
    assert world.training.runs == []


def test_a_pipeline_that_nobody_looked_at_gives_no_dataset(world):
    put(world, DataPipeline, pipeline_document())
    put(world, Experiment, experiment_document())
    look_twice(world)
    assert "it was not looked at yet" in waiting_for(world)


def test_the_dataset_of_an_older_spec_is_not_trained_on(world):
    put(world, DataPipeline, pipeline_document())
    world.settle()
    put(world, DataPipeline, pipeline_document(split={"test": 0.5, "seed": 7}))
    put(world, Experiment, experiment_document())
    look_twice(world)
    assert "it was not looked at yet" in waiting_for(world)
    assert world.training.runs == []


def test_a_dataset_that_breaks_its_checks_is_not_trained_on(world):
    put(world, DataPipeline, pipeline_document())
    world.settle()
    check = {"name": "enough", "rows": {"min": 1000}, "onFail": "fail"}
    put(world, DataPipeline, pipeline_document(checks=[check]))
    world.settle()
    assert world.get(DATA).status.dataset is not None
    put(world, Experiment, experiment_document())
    look_twice(world)
    assert "check enough: found 24 rows" in waiting_for(world)


def test_a_suspended_pipeline_that_never_ran_says_so_to_who_waits(world):
    put(world, DataPipeline, pipeline_document(suspend=True))
    world.settle()
    put(world, Experiment, experiment_document())
    look_twice(world)
    assert "spec.suspend is true" in waiting_for(world)


def test_a_release_notes_the_commit_it_was_asked_for_by(world):
    document = experiment_document()
    document["metadata"]["annotations"] = {REVISION_ANNOTATION: "c0ffee"}
    put(world, DataPipeline, pipeline_document())
    put(world, Experiment, document)
    world.settle()
    (release,) = world.resources.list(Release)
    assert release.metadata.revision == "c0ffee"


def test_a_release_of_that_number_with_other_members_stalls_and_is_left_alone(world):
    there = put(world, Release, release_document("news", 1, git={"commit": "old"}))
    put(world, DataPipeline, pipeline_document())
    world.settle()
    put(world, Experiment, experiment_document())
    world.settle()
    stalled = world.get(LEARN).status.condition(ConditionType.STALLED)
    assert stalled.reason is Reason.ENGINE_REFUSED
    assert stalled.message.startswith(f"Release news-1 exists with digest {there.spec.digest}, not sha256:")
    assert [r.spec for r in world.resources.list(Release)] == [there.spec]


def approval(release, at, **changed):
    said = {"state": ApprovalState.APPROVED, "by": "policy/Automatic", "at": at, "digest": release.spec.digest}
    return ApprovalStatus(**said | changed)


def test_a_decision_about_other_members_is_refused(world):
    release = put(world, Release, release_document())
    other = approval(release, world.now, digest=digest("something else"))
    with pytest.raises(Rejected, match=r"the decision is about sha256:.*, the release is sha256:"):
        record_approval(world.engines, "default", "news-1", other)
    with pytest.raises(Rejected, match="release news-9: not found in namespace default"):
        record_approval(world.engines, "default", "news-9", other)
    assert world.resources.list(Release) == (release,)


@pytest.mark.parametrize(
    ("state", "by", "answer", "reason"),
    [
        (ApprovalState.APPROVED, "ada", "True", Reason.APPROVED_BY_PERSON),
        (ApprovalState.APPROVED, "policy/Automatic", "True", Reason.APPROVED_BY_POLICY),
        (ApprovalState.REJECTED, "ada", "False", Reason.REJECTED),
    ],
)
def test_a_decision_is_a_condition_with_its_time(world, state, by, answer, reason):
    release = put(world, Release, release_document())
    record_approval(world.engines, "default", "news-1", approval(release, world.now, state=state, by=by))
    (there,) = world.resources.list(Release)
    approved = there.status.condition(ConditionType.APPROVED)
    assert (approved.status, approved.reason, approved.last_transition_time) == (answer, reason, world.now)
    assert there.approved is (answer == "True")


def test_an_approval_of_other_members_is_void(world):
    document = release_document()
    release = put(world, Release, document)
    record_approval(world.engines, "default", "news-1", approval(release, world.now))
    (there,) = world.resources.list(Release)
    forged = there.status.approval.model_copy(update={"digest": digest("something else")})
    status = there.status.model_copy(update={"approval": forged})
    world.resources.write_status(there.key, status, there.metadata.resource_version)
    learner = put(world, Experiment, experiment_document())
    (seen,) = experiments(engines(world)).look(learner, world.now).releases
    assert (seen.approval, seen.void) == (ApprovalState.VOID, Reason.MEMBER_CHANGED)


def test_only_releases_of_its_model_count(world):
    for model in ("news", "weather"):
        put(world, Release, release_document(model))
    far = release_document("news", 2)
    far["metadata"]["namespace"] = "team-a"
    put(world, Release, far)
    learner = put(world, Experiment, experiment_document())
    server = put(world, ModelDeployment, deployment_document())
    for kind, resource in ((experiments, learner), (deployments, server)):
        seen = kind(engines(world)).look(resource, world.now)
        assert [r.name for r in seen.releases] == ["news-1"]


def test_a_release_that_is_gone_cannot_be_marked(world):
    server = put(world, ModelDeployment, deployment_document())
    mark_served(world.resources, server.key, "news-1", serves=True)
    assert world.resources.list(Release) == ()


def test_a_release_lists_who_serves_it_once_and_in_order(world):
    put(world, Release, release_document())
    for name in ("b", "a", "b"):
        server = put(world, ModelDeployment, deployment_document(name))
        mark_served(world.resources, server.key, "news-1", serves=True)
    assert world.resources.list(Release)[0].status.served_by == ("a", "b")
    mark_served(world.resources, Key("ModelDeployment", "default", "b"), "news-1", serves=False)
    assert world.resources.list(Release)[0].status.served_by == ("a",)


def test_who_depends_on_whom_is_said(world):
    """An Experiment waits for data and decisions, a ModelDeployment for decisions; a DataPipeline for nobody."""
    pipeline = stamp_of(put(world, DataPipeline, pipeline_document()).plain())
    learner = stamp_of(put(world, Experiment, experiment_document()).plain())
    server = stamp_of(put(world, ModelDeployment, deployment_document()).plain())
    release = stamp_of(put(world, Release, release_document("news", 7)).plain())
    decisions = Key("Release", "default", "news")
    assert learner.reads == {pipeline.subject, decisions}
    assert server.reads == {decisions}
    assert pipeline.reads == release.reads == frozenset()
    assert release.subject == decisions


@pytest.mark.parametrize("spec", [None, [], {"data": None, "model": "text"}, {"data": {"pipeline": 7}, "model": []}])
def test_a_document_that_is_no_resource_still_has_a_stamp(spec):
    meta = {"name": "odd", "namespace": "team", "resourceVersion": "4"}
    for kind in ("DataPipeline", "Experiment", "ModelDeployment"):
        assert stamp_of({"kind": kind, "metadata": meta, "spec": spec}).subject == Key(kind, "team", "odd")


def test_an_experiment_that_is_suspended_keeps_the_data_it_works_with_until_it_takes_the_next(world):
    put(world, DataPipeline, pipeline_document())
    gate = {"gates": [{"metric": "accuracy", "min": 1}]}
    put(world, Experiment, experiment_document(evaluation=gate))
    world.settle()
    assert world.get(LEARN).status.data.train.repo == "news-clean-train"
    put(world, Experiment, experiment_document(evaluation=gate, suspend=True))
    put(world, DataPipeline, pipeline_document(steps=[{"name": "tidy", "uses": "text/clean"}]))
    world.settle()
    assert {s.name for s in world.data.look(DATA, world.get(DATA).spec).strays} == {
        "news-clean-train",
        "news-clean-test",
    }
    put(world, Experiment, experiment_document(evaluation=gate))
    world.settle()
    assert world.get(LEARN).status.data.train.repo == "news-tidy-train"
    assert world.data.look(DATA, world.get(DATA).spec).strays == ()
