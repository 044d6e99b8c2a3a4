"""A Release that was made from exactly this is adopted: production and reverts train nothing."""

from __future__ import annotations

import pytest

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import Release
from cdl.testing.builders import experiment_document
from cdl.testing.weather import Crash

from .merge_rig import DIGEST, MAIN, Town, preview, waits


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


WORSE = {"config": {"hyperparameters": {"learning_rate": 0.2}}}


def test_a_revert_goes_back_to_the_old_release_and_trains_nothing(town):
    for number, spec in ((1, {}), (2, WORSE)):
        town.propose(f"branch-{number}", **spec)
        town.settle()
        town.approve(number)
        town.settle()
        town.merge(number)
        town.settle()
        town.drop(preview(number))
        town.settle()
    assert town.experiment().status.release == "news-2"
    runs = len(town.world.training.runs)
    town.propose("revert")
    town.settle()
    assert town.says(preview(3), ConditionType.TRAINED)[0] == "Adopted"
    town.approve(3)
    town.settle()
    town.merge(3)
    town.settle()
    assert len(town.world.training.runs) == runs
    assert town.experiment().status.release == "news-1"
    latest = max((r for r in town.releases() if r.approved), key=lambda r: r.status.approval.at)
    assert (latest.metadata.name, latest.status.approval.merge_request.number) == ("news-1", 3)
    assert len(town.releases()) == 2


def test_a_preview_that_is_gone_leaves_what_was_adopted_from_it_whole(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.settle()
    town.drop(preview(1))
    town.settle()
    [promoted] = town.releases()
    assert town.broken(promoted) == []
    assert town.experiment(preview(1)) is None
    assert town.says()[0] == "Succeeded"


def test_gates_are_judged_again_by_the_spec_that_adopts(town):
    town.propose("tune", evaluation={"gates": [{"metric": "accuracy", "min": 0.5}]})
    town.settle()
    town.approve(1)
    merged = town.forge.merge(1, town.forge.reviews[1].seen.sha)
    town.said[merged] = {"evaluation": {"gates": [{"metric": "accuracy", "min": 0.95}]}}
    town.apply(MAIN, merged)
    town.settle()
    assert town.says()[0] == "BelowGate"
    assert town.says()[1] == "gate accuracy: found 0.9000, allowed: at least 0.95"
    assert town.releases() == ()
    assert town.trained(MAIN) == []
    assert not town.experiment().status.evaluation.gates[0].passed


def test_a_changed_gate_alone_trains_nothing_and_keeps_the_release(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.settle()
    town.propose("stricter", evaluation={"gates": [{"metric": "accuracy", "min": 0.85}]})
    town.settle()
    town.merge(2)
    town.settle()
    assert [r.metadata.name for r in town.releases()] == ["news-1"]
    assert town.experiment().status.evaluation.gates[0].min == 0.85
    assert len(town.world.training.runs) == 2


def test_code_that_answers_otherwise_costs_no_training(town):
    """Neither in the preview nor in production: decision 5 holds across namespaces."""
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.settle()
    other = experiment_document()["spec"]["code"]
    town.propose("answer", code={**other, "serve": {**other["serve"], "sha256": "cd" * 32}})
    town.settle()
    town.approve(2)
    town.merge(2)
    town.settle()
    assert len(town.world.training.runs) == 2
    first, second = (r.spec.members for r in town.releases())
    assert second["checkpoint"] == first["checkpoint"]
    assert second["code"]["serve"]["digest"] == "sha256:" + "cd" * 32
    assert second["code"]["model"] == first["code"]["model"]
    assert town.approvals() == [("news-1", "validator"), ("news-2", "validator")]
    assert town.experiment().status.release == "news-2"


@pytest.mark.parametrize("edit", ["rejected", "changed", "checkpoint gone"])
def test_what_is_not_whole_is_not_adopted(town, edit):
    town.propose("tune")
    town.settle()
    if edit == "rejected":
        town.note(namespace=preview(1), rejected=DIGEST, by="vera")
        town.settle()
    elif edit == "changed":
        town.rewrite(preview(1))
    else:
        town.world.training.runs.clear()
    town.drop(preview(1))
    town.merge(1)
    town.settle()
    assert len(town.trained(MAIN)) == 2
    assert town.says(kind=ConditionType.TRAINED)[0] == "TrainingDone"


def test_data_that_went_with_a_preview_are_no_reason_to_train_again(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    town.void(preview(1), "MemberMissing")
    town.merge(1)
    town.settle()
    assert town.trained(MAIN) == []
    assert town.approvals() == [("news-1", "validator")]


def test_other_data_are_no_reason_to_adopt(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.other_data()
    town.merge(1)
    town.settle()
    assert len(town.trained(MAIN)) == 2


@pytest.mark.parametrize("policy", ["Manual", "Automatic"])
def test_with_another_policy_nothing_is_adopted(town, policy):
    town.propose("tune")
    town.settle()
    sha = town.commit("main", approval={"policy": policy})
    town.apply(MAIN, sha)
    town.settle()
    assert len(town.trained(MAIN)) == 2


def test_a_policy_that_changes_later_keeps_what_was_adopted(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.settle()
    town.apply(MAIN, town.commit("main", approval={"policy": "Manual"}))
    town.settle()
    assert town.trained(MAIN) == []
    assert town.says()[0] == "Succeeded"
    assert town.experiment().status.release == "news-1"


def test_a_run_that_is_not_done_gives_way_to_what_another_has_trained(town):
    town.propose("first")
    town.settle_for(7)
    assert town.says(preview(1))[0] == "Evaluating"
    second = town.propose("second")
    town.settle()
    assert {r.metadata.namespace for r in town.world.resources.list(Release)} == {preview(1), preview(2)}
    assert town.says(preview(2), ConditionType.TRAINED)[0] == "Adopted"
    assert not [r for r in town.trained(preview(2)) if r.live]
    assert second.number == 2


def test_of_two_the_one_that_the_merge_request_showed_is_taken(town):
    """The first was trained before adoption was asked for, so that equal wishes have two releases."""
    town.propose("older", approval={"policy": "Automatic"})
    town.propose("newer", approval={"policy": "Automatic"})
    town.settle()
    town.approve(2)
    merged = town.forge.merge(2, town.forge.reviews[2].seen.sha)
    town.said[merged] = {}
    town.apply(MAIN, merged)
    town.settle()
    [promoted] = town.releases()
    assert promoted.spec.members["git"]["adoptedFrom"]["namespace"] == preview(2)
    assert town.approvals() == [("news-1", "validator")]


def test_of_two_that_nobody_showed_the_oldest_is_taken(town):
    town.propose("older", approval={"policy": "Automatic"})
    town.settle()
    town.propose("newer", approval={"policy": "Automatic"})
    town.settle()
    town.apply(MAIN, town.commit("main"))
    town.settle()
    [promoted] = town.releases()
    assert promoted.spec.members["git"]["adoptedFrom"]["namespace"] == preview(1)
    assert "no merge request" in waits(town)


def test_a_recreated_experiment_finds_the_release_it_had(town):
    town.propose("tune")
    town.settle()
    runs = len(town.world.training.runs)
    resource = town.experiment(preview(1))
    town.world.resources.delete(resource.key)
    town.settle()
    town.apply(preview(1), town.forge.reviews[1].seen.sha)
    town.settle()
    assert len(town.world.training.runs) == runs
    assert [r.metadata.name for r in town.releases(preview(1))] == ["news-1"]
    assert town.experiment(preview(1)).status.release == "news-1"


def test_an_adopted_release_can_be_adopted_again_and_says_what_was_read(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.settle()
    town.propose("same")
    town.settle()
    origin = {r.metadata.namespace: r.spec.members for r in town.world.resources.list(Release)}
    again = origin[preview(2)]["git"]["adoptedFrom"]
    assert again["trainedOn"] == {side: origin[preview(1)]["data"][side] for side in ("train", "test")}
    for release in town.world.resources.list(Release):
        assert town.broken(release) == []
        assert digest(release.spec.members) == release.spec.digest


@pytest.mark.parametrize("moment", range(0, 63, 7))
def test_a_crash_on_the_way_to_adoption_changes_nothing_in_the_end(town, moment):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.merge(1)
    town.world.sky.crash_in = moment
    try:
        town.settle()
    except Crash:
        town.world.clear_up()
        town.world.restart()
    town.settle()
    assert town.trained(MAIN) == []
    assert [r.metadata.name for r in town.releases()] == ["news-1"]
    assert town.approvals() == [("news-1", "validator")]
