"""A Release that was rejected, or is not any more what was approved, answers nobody: each way to it, a test.

Also what may look like one of these and must go on: an approval whose time is over.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import AUTHORS_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.modeldeployment import controller as deployments
from cdl.loop.release import record_approval
from cdl.ports.errors import Conflict
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, REJECTED_DIGEST
from cdl.reconcile.rollback import NoWayBackError, target
from cdl.reconcile.summary import fact
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit.deciding import attend, decide, forge, leave, note

SHOP = Key("ModelDeployment", "default", "news")
LEARN = Key("Experiment", "default", "news")


@pytest.fixture
def world(tmp_path):
    """Two Releases of ada's that wait for somebody, and a ModelDeployment that waits for one of them."""
    world = World(tmp_path)
    put(world, DataPipeline, pipeline_document())
    for rate in (0.2, 0.1):
        learn(world, rate)
        settle(world)
    put(world, ModelDeployment, deployment_document())
    settle(world)
    return world


def put(world, kind, document, **metadata):
    return world.resources.put(kind.read(document | {"metadata": document["metadata"] | metadata}))


def learn(world, rate, **approval):
    document = experiment_document("news", rate, approval={"policy": "Manual"} | approval)
    put(world, Experiment, document, annotations={AUTHORS_ANNOTATION: "ada@example.org"})


def serve(world, **spec):
    put(world, ModelDeployment, deployment_document("news", **spec))


def settle(world):
    for release in world.resources.list(Release):
        attend(world, release.metadata.name, release.metadata.namespace)
    world.settle()


def answering(world, key=SHOP):
    return world.serving.answering(key)


def status(world):
    return world.get(SHOP).status


def served(world, name="news-2"):
    """Approve a Release and see it served."""
    assert decide(world, name).state is ApprovalState.APPROVED
    settle(world)
    assert answering(world) == name
    return world


def rejected(world, name="news-2"):
    """Reject a Release, and let everybody look."""
    world.now += timedelta(minutes=1)
    assert decide(world, name, approve=False, reason="biased").state is ApprovalState.REJECTED
    settle(world)


def pinned(version=2):
    return {"name": "news", "policy": "Pinned", "version": version}


# --- one that was never served ----------------------------------------------------------------------------------------


def test_the_latest_approved_is_not_the_rejected_one(world):
    decide(world, "news-1")
    rejected(world)
    assert answering(world) == "news-1"


def test_nothing_is_served_when_the_only_release_is_rejected(world):
    rejected(world, "news-1")
    rejected(world)
    assert answering(world) == ""
    assert status(world).condition(ConditionType.READY).message == (
        "model news: no release is approved, there are: news-1 (rejected by maria: biased),"
        " news-2 (rejected by maria: biased)"
    )


def test_pinned_to_a_rejected_release_serves_nothing(world):
    decide(world, "news-1")
    rejected(world)
    serve(world, model=pinned())
    settle(world)
    assert world.serving.served == [] or {r.name for r in world.serving.served} == {"news-1"}
    stalled = status(world).condition(ConditionType.STALLED)
    assert (stalled.reason, stalled.message) == (
        Reason.NOT_APPROVED,
        "news-2 is not approved (rejected by maria: biased); only approved releases are served",
    )


def test_the_policy_does_not_approve_what_a_person_rejected(world):
    rejected(world)
    learn(world, 0.1, policy="Automatic")
    settle(world)
    assert world.resources.get(Release, "default", "news-2").status.approval.state is ApprovalState.REJECTED
    assert answering(world) == ""


def test_a_policy_that_looked_before_the_rejection_does_not_overrule_it(world):
    digest = leave(world, "news-2", approve=False).spec.digest
    late = ApprovalStatus(state=ApprovalState.APPROVED, by="policy/Automatic", at=world.now, digest=digest)
    for _ in range(2):
        with pytest.raises(Conflict, match="news-2: rejected by maria"):
            record_approval(world.engines, "default", "news-2", late)
        attend(world, "news-2")


def test_what_was_rejected_after_it_was_chosen_is_not_rolled_out(world):
    decide(world, "news-2")
    drive, deployment = deployments(world.engines), world.get(SHOP)
    (serve_it,) = drive.decide(deployment, drive.look(deployment, world.now)).actions
    decide(world, "news-2", approve=False)
    with pytest.raises(Conflict, match="news-2: is not approved any more"):
        drive.act(deployment, serve_it)
    assert world.serving.deployed == {}


def test_an_author_overturns_no_rejection(world):
    rejected(world)
    world.now += timedelta(minutes=1)
    assert decide(world, "news-2", by="ada").state is ApprovalState.REJECTED
    settle(world)
    assert answering(world) == ""


# --- one that was served ----------------------------------------------------------------------------------------------


def test_the_servers_of_a_rejected_release_make_room_for_the_latest_other_one(world):
    decide(world, "news-1")
    world.now += timedelta(minutes=1)
    served(world)
    rejected(world)
    assert answering(world) == status(world).release == "news-1"
    assert [e.what for e in status(world).history][-2:] == ["stopped serving news-2", "serving news-1"]
    assert [r.status.served_by for r in world.resources.list(Release)] == [("news",), ()]


def test_the_rejected_one_does_not_answer_while_its_successor_comes_up(world):
    """A successor that never comes up must not keep alive what nobody wants."""
    decide(world, "news-1")
    world.now += timedelta(minutes=1)
    served(world)
    decide(world, "news-2", approve=False)
    world.turn(SHOP)
    assert answering(world) == ""
    assert status(world).condition(ConditionType.READY).message == "news-1 is starting"


@pytest.mark.parametrize("model", [{"name": "news"}, pinned()], ids=["LatestApproved", "Pinned"])
def test_without_another_one_the_servers_are_stopped_and_the_condition_says_why(world, model):
    served(world)
    serve(world, model=model)
    settle(world)
    rejected(world)
    assert (answering(world), world.serving.deployed) == ("", {})
    now = status(world)
    assert (now.release, now.url, now.traffic, now.previous_release) == ("", "", (), "news-2")
    assert now.condition(ConditionType.SERVING).status == "False"
    assert "news-2" in now.condition(ConditionType.READY).message
    assert "rejected by maria: biased" in now.condition(ConditionType.READY).message


def test_a_suspended_deployment_stops_serving_it_too(world):
    served(world)
    serve(world, suspend=True)
    settle(world)
    assert answering(world) == "news-2"
    rejected(world)
    assert answering(world) == ""
    assert (status(world).release, status(world).condition(ConditionType.READY).reason) == ("", Reason.SUSPENDED)
    serve(world)
    settle(world)
    assert answering(world) == ""


def test_rejected_while_no_operator_ran_it_stops_at_the_first_look(world):
    served(world)
    leave(world, "news-2", approve=False)  # nobody takes the note over yet
    world.restart()
    world.turn(SHOP)
    assert answering(world) == ""


def test_a_deployment_that_was_for_this_model_before_stops_serving_it(world):
    served(world)
    serve(world, model={"name": "weather"})
    settle(world)
    assert answering(world) == "news-2", "it is approved, and nothing else is"
    rejected(world)
    assert answering(world) == ""


def test_a_deployment_that_leaves_its_servers_behind_does_not_leave_these(world):
    served(world)
    serve(world, deletionPolicy="Orphan")
    settle(world)
    leave(world, "news-2", approve=False)
    world.resources.delete(SHOP)
    settle(world)
    assert world.serving.deployed == {}


def test_any_other_change_of_the_deployment_brings_it_back_to_nobody(world):
    served(world)
    rejected(world)
    for spec in ({"predictor": {"replicas": 2}}, {"model": pinned()}, {"backend": "local"}, {"interval": "1m"}):
        serve(world, **spec)
        settle(world)
        assert answering(world) == "", spec


def test_there_is_no_rolling_back_to_it(world):
    decide(world, "news-1")
    world.now += timedelta(minutes=1)
    served(world)
    rejected(world)
    releases = world.resources.list(Release)
    for version in (2, None):  # asked for, and as the one that was served before
        with pytest.raises(NoWayBackError, match=r"news-2 is not approved \(rejected by maria: biased\)"):
            target(world.get(SHOP), releases, version, world.now)


# --- by forgery -------------------------------------------------------------------------------------------------------


def test_an_approving_note_beside_the_rejecting_one_counts_for_nothing(world):
    rejected(world)
    digest = world.resources.get(Release, "default", "news-2").spec.digest
    note(world, "news-2", **{APPROVED_DIGEST: digest, DECIDED_BY: "maria", DECIDED_AT: world.now.isoformat()})
    settle(world)
    assert answering(world) == ""


def test_an_approving_note_that_nobody_signed_overturns_no_rejection(world):
    rejected(world)
    digest = world.resources.get(Release, "default", "news-2").spec.digest
    note(world, "news-2", **{APPROVED_DIGEST: digest, REJECTED_DIGEST: None, DECIDED_AT: None, DECIDED_BY: None})
    settle(world)
    assert answering(world) == ""


def test_the_signed_note_of_an_older_approval_does_not_come_back_to_life(world):
    old = leave(world, "news-2").metadata.annotations
    rejected(world)
    note(world, "news-2", **old | {REJECTED_DIGEST: None})
    settle(world)
    assert answering(world) == ""


@pytest.mark.parametrize("forged", [{}, {"by": "ada@example.org"}], ids=["of a stranger", "of an author"])
def test_a_status_that_says_approved_is_not_believed(world, forged):
    rejected(world)
    forge(world, "news-2", **forged)
    world.settle()  # the deployment looks first
    assert answering(world) == ""
    settle(world)
    assert answering(world) == ""


def test_a_release_with_another_spec_is_not_what_was_approved(world):
    served(world)
    there = world.resources.get(Release, "default", "news-2")
    world.resources.put(there.model_copy(update={"spec": there.spec.model_copy(update={"version": 7})}))
    world.turn(SHOP)
    assert answering(world) == ""
    settle(world)
    assert answering(world) == ""
    assert attend(world, "news-2").status.approval.state is ApprovalState.VOID


def test_the_same_release_under_another_name_is_one_that_nobody_approved(world):
    rejected(world)
    there = world.resources.get(Release, "default", "news-2")
    copied = there.metadata.model_copy(update={"name": "news-3", "annotations": {}})
    spec = there.spec.model_copy(update={"version": 3})
    world.resources.create(there.model_copy(update={"metadata": copied, "spec": spec}))
    serve(world, model=pinned(3))
    settle(world)
    assert answering(world) == ""


@pytest.mark.parametrize("policy", ["Manual", "Automatic"])
def test_a_rejected_release_that_is_deleted_and_written_again_is_not_approved_by_itself(world, policy):
    served(world)
    rejected(world)
    learn(world, 0.1, policy=policy)
    settle(world)
    world.resources.delete(Key("Release", "default", "news-2"))
    settle(world)
    again = world.resources.get(Release, "default", "news-2")
    assert again.status.approval.state is ApprovalState.PENDING
    waits = world.get(LEARN).status.condition(ConditionType.READY)
    assert (waits.reason, answering(world)) == (Reason.WAITING_FOR_APPROVAL, "")


def test_an_approval_in_one_namespace_is_none_in_another(world):
    there = decide(world, "news-2") and world.resources.get(Release, "default", "news-2")
    elsewhere = there.metadata.model_copy(update={"namespace": "b", "annotations": {}})
    world.resources.create(there.model_copy(update={"metadata": elsewhere}))
    put(world, ModelDeployment, deployment_document(), namespace="b")
    settle(world)
    assert (answering(world), answering(world, Key("ModelDeployment", "b", "news"))) == ("news-2", "")
    decide(world, "news-2", namespace="b", approve=False)
    settle(world)
    assert (answering(world), answering(world, Key("ModelDeployment", "b", "news"))) == ("news-2", "")


# --- by what becomes of it --------------------------------------------------------------------------------------------


def broken(world, name="news-2", reason=Reason.MEMBER_CHANGED):
    """Let verification find that a member is not what it was."""
    there = world.resources.get(Release, "default", name)
    said = fact(ConditionType.VERIFIED, holds=False, reason=reason, message="checkpoint: model.keras has changed")
    said = there.status.model_copy(update={"conditions": (*there.status.conditions, said)})
    world.resources.write_status(there.key, said, there.metadata.resource_version)


@pytest.mark.parametrize("reason", [Reason.MEMBER_CHANGED, Reason.MEMBER_MISSING])
def test_a_release_whose_member_changed_stops_answering_and_stays_stopped(world, reason):
    decide(world, "news-1")
    world.now += timedelta(minutes=1)
    served(world)
    broken(world, reason=reason)
    world.turn(SHOP)
    assert answering(world) == ""
    settle(world)
    assert answering(world) == "news-1"
    approval = world.resources.get(Release, "default", "news-2")
    assert approval.status.approval.state is ApprovalState.VOID
    assert approval.status.condition(ConditionType.VERIFIED).status == "False", "what was found stays said"
    assert approval.status.condition(ConditionType.APPROVED).reason is reason
    assert world.get(LEARN).status.condition(ConditionType.STALLED).reason is reason


def test_a_push_makes_another_release_that_nobody_approved(world):
    served(world)
    learn(world, 0.05)
    settle(world)
    third = world.resources.get(Release, "default", "news-3")
    assert (third.status.approval.state, answering(world)) == (ApprovalState.PENDING, "news-2")


def test_a_push_that_changes_no_member_keeps_release_and_approval(world):
    served(world)
    before = world.resources.list(Release)
    document = experiment_document("news", 0.1, approval={"policy": "Manual"})
    put(world, Experiment, document, annotations={AUTHORS_ANNOTATION: "bob@example.org", "cdl.dev/revision": "f00"})
    settle(world)
    assert world.resources.list(Release) == before
    assert (answering(world), world.get(LEARN).status.last_applied_revision) == ("news-2", "f00")


# --- an approval whose time is over -----------------------------------------------------------------------------------


@pytest.fixture
def expired(world):
    """A Release that is served, whose approval was good for an hour."""
    learn(world, 0.05, expires="1h")
    settle(world)
    approval = decide(world, "news-3")
    assert approval.expires_at == approval.at + timedelta(hours=1)
    settle(world)
    assert answering(world) == "news-3"
    world.now = approval.expires_at
    settle(world)
    return world


def test_what_serves_goes_on_and_says_that_its_time_is_over(expired):
    assert attend(expired, "news-3").status.approval.state is ApprovalState.VOID
    assert answering(expired) == "news-3"
    ready = status(expired).condition(ConditionType.READY)
    assert ready.status == "True"
    assert "nothing new is rolled out with it: its approval by maria was good until" in ready.message
    assert expired.get(LEARN).status.condition(ConditionType.STALLED).reason is Reason.APPROVAL_EXPIRED


def test_nothing_new_is_rolled_out_with_it(expired):
    serve(expired, predictor={"replicas": 2})
    settle(expired)
    assert (answering(expired), expired.serving.deployed[SHOP].wish.spec.predictor.replicas) == ("news-3", 1)
    assert status(expired).condition(ConditionType.STALLED).reason is Reason.APPROVAL_EXPIRED
    put(expired, ModelDeployment, deployment_document("late", model={"name": "news"}))
    settle(expired)
    assert answering(expired, Key("ModelDeployment", "default", "late")) == ""


def test_who_begins_to_serve_takes_one_whose_time_is_not_over(expired):
    expired.resources.delete(SHOP)
    settle(expired)
    expired.now -= timedelta(minutes=90)  # so that this approval is the older one
    decide(expired, "news-1")
    expired.now += timedelta(minutes=90)
    put(expired, ModelDeployment, deployment_document())
    settle(expired)
    assert answering(expired) == "news-1"
    serve(expired, model=pinned(3))
    settle(expired)
    assert answering(expired) == "news-1"
    assert "news-3 is not approved (its approval by maria was good until" in (
        status(expired).condition(ConditionType.STALLED).message
    )


def test_an_earlier_release_does_not_take_over_from_it_and_a_later_approval_does(expired):
    decide(expired, "news-1")
    settle(expired)
    assert answering(expired) == "news-1"


def test_approved_again_it_is_rolled_out_again(expired):
    serve(expired, predictor={"replicas": 2})
    settle(expired)
    assert decide(expired, "news-3").state is ApprovalState.APPROVED
    settle(expired)
    assert expired.serving.deployed[SHOP].wish.spec.predictor.replicas == 2


def test_expired_and_then_rejected_it_stops(expired):
    rejected(expired, "news-3")
    assert answering(expired) == ""
