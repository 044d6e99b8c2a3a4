"""Steps that were renamed or removed: their old pipelines go, once nobody needs what they made."""

from __future__ import annotations

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.datapipeline import Side, SideStatus
from cdl.reconcile.datapipeline import EnsureStep, ForgetData, RemoveStray, StraySeen, decide, wishes
from cdl.reconcile.decision import SOON
from cdl.testing.builders import pipeline
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import PROGRAMS, condition, data_seen, said

# news had the steps old and older, read by nobody any more; each comes before those it reads
STRAYS = tuple(
    StraySeen(f"news-{step}-{side}", f"news-{reads}-{side}")
    for step, reads in (("old", "older"), ("older", "oldest"))
    for side in Side
)
NAMES = tuple(s.name for s in STRAYS)
OLD_OUTPUT = frozenset({"news-old-train", "news-old-test"})


def removed(decision):
    assert all(isinstance(a, RemoveStray) for a in decision.actions)
    return tuple(a.name for a in decision.actions)


def with_old_dataset(resource):
    old = facts.dataset(
        train=SideStatus(repo="news-old-train", commit="t", files=3),
        test=SideStatus(repo="news-old-test", commit="e", files=1),
    )
    return facts.changed(resource, status=resource.status.model_copy(update={"dataset": old}))


def test_strays_are_removed_in_their_order_when_the_wished_steps_are_done():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, strays=STRAYS))
    assert removed(decision) == NAMES
    assert said(decision) == ("Unknown", "Transforming")
    assert condition(decision).message == f"removing {', '.join(NAMES)}: no step asks for it any more"
    assert decision.look_again_after == SOON


def test_the_new_dataset_is_said_when_the_strays_are_gone():
    resource = with_old_dataset(pipeline())
    before = decide(resource, data_seen(resource, strays=STRAYS)).status
    after = decide(facts.changed(resource, status=before), data_seen(resource)).status
    assert before.dataset == resource.status.dataset
    assert after.dataset.train.repo == "news-clean-train"
    assert after.condition(ConditionType.READY).status == "True"


@pytest.mark.parametrize("parts", [{"wish": "older"}, {"done": False}, {"input": "c-older"}, {"failure": "boom"}])
def test_nothing_is_removed_while_a_wished_step_is_not_done(parts):
    resource = pipeline()
    (wish,) = wishes(resource.spec, PROGRAMS)
    steps = (facts.step(wish, Side.TRAIN, **parts), facts.step(wish, Side.TEST))
    decision = decide(resource, data_seen(resource, steps=steps, strays=STRAYS))
    assert not [a for a in decision.actions if not isinstance(a, EnsureStep)]
    assert said(decision)[0] != "True"


def test_nothing_is_removed_before_the_result_is_read():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, manifests=(), strays=STRAYS))
    assert (said(decision), decision.actions) == (("Unknown", "Transforming"), ())


def test_what_a_release_names_stays_with_everything_it_reads():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, strays=STRAYS, pinned=frozenset({"news-old-train"})))
    assert removed(decision) == ("news-old-test", "news-older-test")
    assert said(decision) == ("Unknown", "Transforming")


def test_a_step_after_the_one_a_release_names_is_removed():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, strays=STRAYS, pinned=frozenset({"news-older-train"})))
    assert removed(decision) == ("news-old-train", "news-old-test", "news-older-test")


def test_strays_that_stay_are_not_waited_for():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, strays=STRAYS, pinned=OLD_OUTPUT | {"someone-else"}))
    assert (said(decision), decision.actions) == (("True", "Succeeded"), ())
    assert decision == decide(resource, data_seen(resource))


def test_a_dataset_that_is_not_replaced_keeps_its_files():
    resource = with_old_dataset(pipeline(checks=[{"name": "enough", "rows": {"min": 1000}}]))
    other = StraySeen("news-other-train", "news-train")
    first = decide(resource, data_seen(resource, strays=(*STRAYS, other)))
    assert removed(first) == ("news-other-train",)
    then = decide(facts.changed(resource, status=first.status), data_seen(resource, strays=STRAYS))
    assert (said(then), then.actions) == (("False", "ChecksFailed"), ())
    assert then.status.dataset == resource.status.dataset


def test_strays_go_although_the_first_dataset_breaks_a_check():
    resource = pipeline(checks=[{"name": "enough", "rows": {"min": 1000}}])
    assert removed(decide(resource, data_seen(resource, strays=STRAYS))) == NAMES
    assert said(decide(resource, data_seen(resource))) == ("False", "ChecksFailed")


def test_a_suspended_pipeline_keeps_its_strays():
    resource = pipeline(suspend=True)
    assert decide(resource, data_seen(resource, strays=STRAYS)).actions == ()


def test_deleting_removes_everything_at_once():
    resource = facts.deleting(pipeline())
    assert decide(resource, data_seen(resource, strays=STRAYS, pinned=OLD_OUTPUT)).actions == (ForgetData(),)
