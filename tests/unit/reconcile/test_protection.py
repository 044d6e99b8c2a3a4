"""What a Release needs is not deleted before it, and what is served is not deleted at all."""

from __future__ import annotations

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.reconcile.datapipeline import ForgetData, decide
from cdl.reconcile.decision import HELD
from cdl.reconcile.protection import data_is_kept, pinned_by, release_is_kept
from cdl.testing.builders import pipeline, release
from tests.unit.reconcile.facts import condition, data_seen, deleting, said


def made_from(name, model="news", version=1):
    return release(model, version, data={"pipeline": name})


def test_a_pipeline_is_pinned_by_the_releases_made_from_it_oldest_first():
    releases = [made_from("news", version=n) for n in (10, 9)] + [made_from("other", "shop"), made_from("news", "a")]
    assert pinned_by("news", releases) == ("a-1", "news-9", "news-10")
    assert pinned_by("new", releases) == ()


@pytest.mark.parametrize("data", [None, "news", {"train": {"repo": "news-train"}}, {"pipeline": None}])
def test_a_release_that_names_no_pipeline_pins_none(data):
    assert pinned_by("news", [release(data=data)]) == ()


def test_a_pinned_pipeline_stays_and_says_what_for():
    resource = deleting(pipeline())
    decision = decide(resource, data_seen(resource, pinned_by=("news-1", "news-2")))
    assert (decision.actions, decision.holds, decision.look_again_after) == ((), True, HELD)
    assert said(decision) == ("False", "PinnedByRelease")
    stalled = condition(decision, ConditionType.STALLED)
    assert (stalled.status, stalled.reason) == ("True", Reason.PINNED_BY_RELEASE)
    assert stalled.message == (
        "news-1, news-2 were made from commits of its repositories; delete these Releases first, "
        "or set spec.deletionPolicy to Orphan, which leaves the repositories where they are"
    )


def test_it_goes_with_everything_once_no_release_is_left():
    resource = deleting(pipeline())
    decision = decide(resource, data_seen(resource))
    assert (decision.actions, decision.holds) == ((ForgetData(),), False)


def test_it_goes_alone_when_it_leaves_its_data_behind():
    resource = deleting(pipeline(deletionPolicy="Orphan"))
    decision = decide(resource, data_seen(resource, pinned_by=("news-1",)))
    assert (decision.actions, decision.holds) == ((), False)


def test_a_suspended_pipeline_is_held_too():
    resource = deleting(pipeline(suspend=True))
    assert decide(resource, data_seen(resource, pinned_by=("news-1",))).holds


@pytest.mark.parametrize(
    ("count", "beginning"),
    [
        (1, "r1 was made from commits of its repositories; delete that Release first"),
        (5, "r1, r2, r3, r4, r5 were made"),
        (6, "r1, r2, r3, r4, r5, r6 were made"),
        (9, "r1, r2, r3, r4, r5 and 4 more were made"),
    ],
)
def test_a_sentence_names_a_few(count, beginning):
    names = tuple(f"r{n}" for n in range(1, count + 1))
    assert data_is_kept(pipeline(), names).startswith(beginning)


def test_a_release_is_kept_by_what_serves_it():
    sentence = "it is served by shop, till; delete what serves it first, or let that serve another Release"
    assert release_is_kept(("shop", "till")) == sentence
    assert release_is_kept(()) == ""
