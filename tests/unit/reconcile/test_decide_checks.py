"""DataPipeline: checks about the whole dataset, and the report of all of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.datapipeline import Side
from cdl.checks.prints import Overlap, Twin
from cdl.checks.profile import Profile
from cdl.reconcile.datapipeline import KeepReport, Report, decide, wishes
from cdl.testing.builders import pipeline
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import PROGRAMS, condition, data_seen, said

STEPS = [{"name": "validate", "uses": "checks"}]
SHELF = "file:///shelf/"
LEAK = Overlap(3, 1, 1, (Twin("/a", "/b", 1.0),))


def profile(**values):
    made = Profile()
    made.add(values)
    return made.document()


def checking(on_fail="fail", **rule):
    return pipeline(steps=STEPS, checks=[{"name": "rule", "onFail": on_fail, **rule}])


def seen_of(resource, report=None, **parts):
    (wish,) = wishes(resource.spec, PROGRAMS)
    steps = tuple(facts.step(wish, s, report=report or Report(3)) for s in Side)
    return data_seen(resource, steps=steps, **parts)


def other_files():
    return (facts.manifest(Side.TRAIN, digest="sha256:" + "0" * 64), facts.manifest(Side.TEST))


def told(resource, seen):
    """The resource after a turn of the loop: what was asked to be kept is kept."""
    decision = decide(resource, seen)
    for action in decision.actions:
        kept = [f"{SHELF}{hashlib.sha256(raw).hexdigest()}" for raw in (action.document, action.page)]
        seen = dataclasses.replace(seen, kept=frozenset({f"{kept[0]}.json", f"{kept[1]}.html"}))
    return facts.changed(resource, status=decide(resource, seen).status), seen


def test_items_on_both_sides_are_too_many():
    resource = checking(duplicates={"maxFraction": 0.5, "near": 0.8})
    decision = decide(resource, seen_of(resource, overlap=LEAK))
    assert said(decision) == ("False", "ChecksFailed")
    assert condition(decision).message == (
        "check rule: 2 of 3 test items are on the train side too (1 equal, 1 nearly equal; 66.7%), as /a and /b,"
        " allowed: at most 50.0%"
    )
    allowed = checking(duplicates={"maxFraction": 0.7})
    assert said(decide(allowed, seen_of(allowed, overlap=LEAK))) == ("True", "Succeeded")


def test_nobody_passes_for_clean_whose_fingerprints_were_not_taken():
    resource = checking(duplicates={})
    assert said(decide(resource, seen_of(resource))) == ("False", "ChecksFailed")


def test_rows_of_tables_count_where_a_step_counted_them():
    resource = checking(rows={"min": 20, "max": 20})
    assert said(decide(resource, seen_of(resource, Report(10, items=10)))) == ("True", "Succeeded")


def test_the_fields_of_a_dataset_are_remembered_and_compared_with_the_next():
    resource = checking(schema="same")
    first, _ = told(resource, seen_of(resource, Report(3, fields=profile(price="1"))))
    assert first.status.fields == {"price": "integer"}
    drifted = seen_of(resource, Report(3, fields=profile(price="cheap")), manifests=other_files())
    decision = decide(first, drifted)
    assert said(decision) == ("False", "ChecksFailed")
    assert condition(decision).message == "check rule: field price is text, allowed: integer, as in the last version"
    assert decision.status.dataset == first.status.dataset
    assert decision.status.fields == {"price": "integer"}


def test_a_drift_that_only_warns_is_said_for_as_long_as_the_version_lasts():
    resource = checking("warn", schema="same")
    first, _ = told(resource, seen_of(resource, Report(3, fields=profile(price="1"))))
    drifted = seen_of(resource, Report(3, fields=profile(price="cheap")), manifests=other_files())
    second = decide(first, drifted)
    assert said(second) == ("True", "Succeeded")
    assert second.status.fields == {"price": "text"}
    again = decide(facts.changed(first, status=second.status), drifted)
    assert again.status == second.status
    assert "field price is text" in condition(again, ConditionType.DATA_READY).message


@pytest.mark.parametrize(("rows", "outcome"), [(1, ("True", "Succeeded")), (99, ("False", "ChecksFailed"))])
def test_a_report_is_kept_before_anything_is_said(rows, outcome):
    resource = checking(rows={"min": rows})
    report = Report(3, {"rule": 2}, examples=({"path": "/x", "reason": "rule", "found": "y"},), fields=profile(a="1"))
    seen = seen_of(resource, report, shelf=SHELF)
    decision = decide(resource, seen)
    assert said(decision) == ("Unknown", "Transforming")
    (action,) = decision.actions
    assert isinstance(action, KeepReport)
    document = json.loads(action.document)
    assert document["dataset"] == decision.status.checked.version
    assert document["sides"]["train"]["rejected"] == {"rule": 2}
    assert document["checks"][0]["verdict"] == ("kept" if rows == 1 else "broken")
    assert b"<title>Checks of news</title>" in action.page
    assert decision.status.checked.page == f"{SHELF}{hashlib.sha256(action.page).hexdigest()}.html"
    after, kept = told(resource, seen)
    assert said(decide(resource, kept)) == outcome
    assert decide(after, kept).actions == ()
    assert after.status.checked == decision.status.checked


def test_a_report_that_is_lost_is_written_again():
    resource = checking(rows={"min": 1})
    after, kept = told(resource, seen_of(resource, shelf=SHELF))
    lost = dataclasses.replace(kept, kept=frozenset(list(kept.kept)[:1]))
    assert [type(a) for a in decide(after, lost).actions] == [KeepReport]


def test_the_page_of_a_report_that_says_the_same_is_not_drawn_again_by_a_newer_version():
    """An upgrade that draws pages otherwise would else keep a new page for every dataset there is."""
    resource = checking(rows={"min": 1})
    after, kept = told(resource, seen_of(resource, shelf=SHELF))
    drawn = after.status.checked.model_copy(update={"page": f"{SHELF}drawn-otherwise.html"})
    after = facts.changed(after, status=after.status.model_copy(update={"checked": drawn}))
    both = dataclasses.replace(kept, kept=frozenset({drawn.page, drawn.document}))
    assert decide(after, both).actions == ()
    assert decide(after, both).status.checked == drawn


def test_without_checks_or_without_a_shelf_nothing_is_reported():
    for resource in (pipeline(), checking(rows={"min": 1})):
        shelf = "" if resource.spec.checks else SHELF
        steps = data_seen(resource, shelf=shelf)
        assert said(decide(resource, steps)) == ("True", "Succeeded")
        assert decide(resource, steps).status.checked is None
