"""ModelDeployment: state in, state out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdl.api.conditions import ConditionType
from cdl.reconcile.decision import PATIENT, SOON
from cdl.reconcile.modeldeployment import (
    LetServingGo,
    MarkServed,
    ReleaseSeen,
    Seen,
    Serve,
    ServingPhase,
    ServingSeen,
    ServingWish,
    StopServing,
    decide,
)
from cdl.testing.builders import deployment
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import AT, condition, said

ONE = ReleaseSeen("news-1", 1, "sha256:1", approved=True, document="file:///1.json", attestation="file:///1.dsse")
TWO = ReleaseSeen("news-2", 2, "sha256:2", approved=True, document="file:///2.json", attestation="file:///2.dsse")
WAITING = ReleaseSeen("news-3", 3, "sha256:3", approved=False, document="file:///3.json")
PINNED = {"name": "news", "policy": "Pinned"}


def wished(release, spec):
    """The wish of a resource that takes its servers along."""
    return ServingWish(release, spec, "u-1")


def running(release, phase=ServingPhase.AVAILABLE, resource=None, **parts):
    wish = wished(release, (resource or deployment()).spec)
    ready = int(phase is ServingPhase.AVAILABLE)
    given = {"url": "http://here", "desired": 1, "ready": ready} | parts
    return ServingSeen(wish.key, release.name, phase, **given)


def seen(*releases, serving=None):
    """What serves already says so on its release, and no other release does."""
    by = {serving.release: ("news",)} if serving and serving.phase is ServingPhase.AVAILABLE else {}
    marked = tuple(replace(r, served_by=by.get(r.name, r.served_by)) for r in releases)
    return Seen(at=AT, releases=marked, serving=serving)


def test_a_release_learns_that_it_is_served_and_that_it_is_not_any_more():
    releases = (replace(ONE, served_by=("news", "other")), replace(TWO, served_by=("other",)))
    decision = decide(deployment(), Seen(at=AT, releases=releases, serving=running(TWO)))
    assert decision.actions == (MarkServed("news-1", serves=False), MarkServed("news-2", serves=True))
    assert said(decision) == ("Unknown", "Deploying")


def test_a_deleted_deployment_serves_nothing_any_more():
    decision = decide(facts.deleting(deployment()), Seen(at=AT, releases=(replace(ONE, served_by=("news",)), TWO)))
    assert decision.actions == (StopServing(), MarkServed("news-1", serves=False))


def test_the_newest_approved_release_is_served():
    decision = decide(deployment(), seen(ONE, TWO, WAITING))
    assert said(decision) == ("Unknown", "Deploying")
    assert decision.actions == (Serve(wished(TWO, deployment().spec)),)
    assert decision.look_again_after == SOON
    assert condition(decision).message == "bringing news-2 up"


@pytest.mark.parametrize(
    ("releases", "message"),
    [((), "there is no release yet"), ((WAITING,), "no release is approved, there are: news-3")],
)
def test_without_an_approved_release_it_waits(releases, message):
    decision = decide(deployment(), seen(*releases))
    assert said(decision) == ("Unknown", "WaitingForRelease")
    assert condition(decision).message == f"model news: {message}"
    assert (decision.actions, decision.look_again_after) == ((), PATIENT)


def test_a_pinned_release_is_served_though_there_is_a_newer_one():
    resource = deployment(model=PINNED | {"version": 1})
    decision = decide(resource, seen(TWO, ONE))
    assert decision.actions == (Serve(wished(ONE, resource.spec)),)


@pytest.mark.parametrize(("releases", "known"), [((TWO, ONE), "1, 2"), ((), "none")], ids=["others", "none"])
def test_a_pinned_version_that_does_not_exist_needs_a_person(releases, known):
    decision = decide(deployment(model=PINNED | {"version": 9}), seen(*releases))
    assert said(decision) == ("False", "NoSuchVersion")
    assert condition(decision).message == f"model news: found no version 9, there are: {known}"
    assert (decision.actions, decision.look_again_after) == ((), None)


def test_a_pinned_version_that_is_not_approved_is_never_served():
    decision = decide(deployment(model=PINNED | {"version": 3}), seen(ONE, WAITING))
    assert said(decision) == ("False", "NotApproved")
    assert condition(decision).message == "news-3 is not approved; only approved releases are served"
    assert decision.actions == ()


@pytest.mark.parametrize(("message", "shown"), [("", "news-1 is starting"), ("loading", "loading")])
def test_a_release_that_comes_up_is_waited_for(message, shown):
    decision = decide(deployment(), seen(ONE, serving=running(ONE, ServingPhase.CREATING, message=message)))
    assert said(decision) == ("Unknown", "Deploying")
    assert (condition(decision).message, decision.actions, decision.look_again_after) == (shown, (), SOON)


def test_a_release_that_does_not_come_up_needs_a_person():
    decision = decide(deployment(), seen(ONE, serving=running(ONE, ServingPhase.FAILED, message="out of memory")))
    assert said(decision) == ("False", "DeploymentFailed")
    assert condition(decision).message == "news-1: out of memory"
    assert (decision.actions, decision.look_again_after) == ((), None)


def test_a_release_that_answers_is_the_end():
    decision = decide(deployment(), seen(ONE, serving=running(ONE)))
    status = decision.status
    assert said(decision) == ("True", "Succeeded")
    assert condition(decision, ConditionType.SERVING).message == "news-1 answers at http://here"
    assert (status.url, status.release, status.digest, status.progress) == ("http://here", "news-1", "sha256:1", "1/1")
    assert [(t.release, t.weight) for t in status.traffic] == [("news-1", 100)]
    assert (status.replicas.desired, status.replicas.ready, status.previous_release) == (1, 1, "")
    assert [(e.what, e.digest) for e in status.history] == [("serving news-1", "sha256:1")]
    assert (decision.actions, decision.look_again_after) == ((), None)


def test_what_served_is_reported_until_its_successor_answers():
    first = decide(deployment(), seen(ONE, serving=running(ONE))).status
    coming = decide(facts.changed(deployment(), status=first), seen(ONE, TWO, serving=running(ONE)))
    assert said(coming) == ("Unknown", "Deploying")
    assert (coming.status.release, coming.status.url) == ("news-1", "http://here")
    assert condition(coming, ConditionType.SERVING).status == "True"
    there = decide(facts.changed(deployment(), status=coming.status), seen(ONE, TWO, serving=running(TWO)))
    assert (there.status.release, there.status.previous_release) == ("news-2", "news-1")
    assert [e.what for e in there.status.history] == ["serving news-1", "serving news-2"]


def test_the_revision_is_applied_once_the_release_answers():
    resource = facts.noted(deployment())
    before = facts.changed(resource, status=resource.status.model_copy(update={"last_applied_revision": "old"}))
    working, done = (decide(before, seen(ONE, serving=s)).status for s in (None, running(ONE)))
    assert (working.last_attempted_revision, working.last_applied_revision) == ("abc", "old")
    assert (done.last_attempted_revision, done.last_applied_revision) == ("abc", "abc")
    assert (done.observed_generation, done.history[-1].revision) == (9, "abc")


def test_the_same_release_is_remembered_once():
    first = decide(deployment(), seen(ONE, serving=running(ONE))).status
    again = decide(facts.changed(deployment(), status=first), seen(ONE, serving=running(ONE))).status
    assert again == first


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"interval": "1m"}, True),
        ({"rollout": {"strategy": "recreate"}}, True),
        ({"predictor": {"replicas": 2}}, False),
        ({"interface": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}]}}, False),
        ({"backend": "local"}, False),
    ],
    ids=str,
)
def test_only_what_changes_the_servers_changes_the_wish(other, same):
    changed = deployment(**other)
    assert (ServingWish(ONE, changed.spec).key == ServingWish(ONE, deployment().spec).key) is same
    decision = decide(changed, seen(ONE, serving=running(ONE)))
    assert (decision.actions == ()) is same


def test_whether_the_servers_go_with_the_resource_is_part_of_the_wish():
    orphan = deployment(deletionPolicy="Orphan")
    (serve,) = decide(orphan, seen(ONE, serving=running(ONE))).actions
    assert (serve.wish.release.name, serve.wish.owner) == ("news-1", "")


@pytest.mark.parametrize(("policy", "actions"), [("Delete", (StopServing(),)), ("Orphan", (LetServingGo(),))])
def test_deleting_stops_what_the_policy_says(policy, actions):
    resource = facts.deleting(deployment(deletionPolicy=policy, suspend=True))
    decision = decide(resource, seen(ONE, serving=running(ONE)))
    assert said(decision) == ("Unknown", "Deleting")
    assert decision.actions == (*actions, MarkServed("news-1", serves=False))


def test_a_suspended_deployment_goes_on_serving_what_it_served():
    first = decide(deployment(), seen(ONE, serving=running(ONE))).status
    decision = decide(facts.changed(deployment(suspend=True), status=first), seen(ONE, TWO, serving=running(ONE)))
    assert said(decision) == ("True", "Suspended")
    assert decision.status.release == "news-1"
    assert (decision.actions, decision.look_again_after) == ((), None)
