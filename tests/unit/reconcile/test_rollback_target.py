"""Which Release a rollback goes back to, and what it is refused for."""

from __future__ import annotations

import re

import pytest

from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.api.v1alpha1.resource import Event
from cdl.reconcile.release import APPROVED_DIGEST
from cdl.reconcile.rollback import NoWayBackError, changes, let_latest, target
from cdl.testing.builders import deployment, release
from tests.unit.reconcile.facts import AT, changed, deleting


def decided(version, state=ApprovalState.APPROVED, model="news", **parts):
    made = release(model, version, git={"commit": str(version)}, labels={"rows": 3})
    approval = ApprovalStatus(**{"state": state, "by": "eve", "digest": made.spec.digest} | parts)
    noted = made.metadata.model_copy(update={"annotations": {APPROVED_DIGEST: made.spec.digest}})
    return changed(made, metadata=noted, status=made.status.model_copy(update={"approval": approval}))


def serving(now="news-3", before="news-2", **spec):
    made = deployment("shop", **({"model": {"name": "news"}} | spec))
    return changed(made, status=made.status.model_copy(update={"release": now, "previous_release": before}))


RELEASES = (decided(3), decided(1), decided(2), decided(1, model="other"))


def test_without_a_version_it_is_the_one_before():
    assert target(serving(), RELEASES, None, AT).metadata.name == "news-2"


def test_servers_that_were_away_for_a_while_are_not_another_release():
    resource = serving("news-3", "news-3")
    told = (Event(at=AT, what=f"serving news-{n}") for n in (1, 2, 3))
    history = (*told, Event(at=AT, what="stopped serving news-3"), Event(at=AT, what="serving news-3"))
    resource = changed(resource, status=resource.status.model_copy(update={"history": history}))
    assert target(resource, RELEASES, None, AT).metadata.name == "news-2"


def test_a_version_is_one_of_the_model_that_is_served():
    assert target(serving(), RELEASES, 1, AT).metadata.name == "news-1"


def test_what_serves_nothing_yet_can_still_be_told_a_version():
    assert target(serving("", ""), RELEASES, 1, AT).metadata.name == "news-1"


@pytest.mark.parametrize(
    ("resource", "releases", "version", "sentence"),
    [
        (serving(), RELEASES, 9, "model news: found no version 9, there are: 1, 2, 3"),
        (serving(), (), 9, "model news: found no version 9, there are: none"),
        (serving(), RELEASES, 3, "ModelDeployment shop serves news-3 already"),
        (serving("news-1", ""), RELEASES, None, "ModelDeployment shop: serves news-1 and served nothing before it"),
        (serving("", ""), RELEASES, None, "ModelDeployment shop: never served anything"),
        (serving(before="news-7"), RELEASES, None, "news-7 was served before, but there is no such Release any more"),
        (
            serving(),
            (decided(2, ApprovalState.REJECTED),),
            2,
            "news-2 is not approved (rejected by eve); only approved releases",
        ),
        (serving(), (release("news", 2),), 2, "news-2 is not approved (nobody decided about it yet); only"),
        (
            serving(),
            (decided(2, ApprovalState.VOID),),
            None,
            "news-2 is not approved (its approval by eve is void: the members were changed afterwards)",
        ),
        (
            serving(),
            (decided(2, digest="sha256:0"),),
            2,
            "news-2 is not approved (its approval by eve is void: the members were changed afterwards)",
        ),
        (
            serving(),
            (decided(2, expires_at=AT),),
            2,
            "news-2 is not approved (its approval by eve was good until 2026-01",
        ),
        (serving(suspend=True), RELEASES, 1, "ModelDeployment shop is suspended"),
        (deleting(serving()), RELEASES, 1, "ModelDeployment shop is being deleted"),
    ],
)
def test_what_cannot_be_gone_back_to_is_one_sentence(resource, releases, version, sentence):
    with pytest.raises(NoWayBackError, match=f"^{re.escape(sentence)}"):
        target(resource, releases, version, AT)


def test_a_rollback_ends_once():
    pinned = serving(model={"name": "news", "policy": "Pinned", "version": 1})
    let_latest(pinned)
    with pytest.raises(NoWayBackError, match="follows the latest approval already; it serves news-3"):
        let_latest(serving())
    with pytest.raises(NoWayBackError, match="suspended"):
        let_latest(serving(suspend=True))


def test_only_values_that_differ_are_named_and_an_address_is_none():
    (change,) = changes(decided(3), decided(1))
    assert (change.place, change.before, change.after) == ("git.commit", "3", "1")
    assert changes(decided(3), decided(3)) == ()
    assert changes(release(code={"uri": "a"}), release(code={"uri": "b"})) == ()


def test_what_only_one_of_them_has_is_named_too():
    before, after = release(evaluation={"metrics": {"f1": 1}}), release(evaluation={"metrics": {"accuracy": 1}})
    found = [(c.place, c.before, c.after) for c in changes(before, after)]
    assert found == [("evaluation.metrics.accuracy", None, 1), ("evaluation.metrics.f1", 1, None)]
    assert {c.before for c in changes(None, after)} == {None}
