"""Each level of automation is reached by what the lecture asks for, and one missing thing is named."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from cdl.reconcile.level import HIGHEST, POINTS, Facts, at, score

SERVED = {"model": {"name": "m", "policy": "LatestApproved"}, "monitoring": {"log": True}}
TRAINED = {
    "config": {"entrypoint": "python3 train.py"},
    "code": {"archive": {"uri": "x"}, "serve": {"uri": "y"}},
    "evaluation": {"gates": [{"metric": "accuracy"}]},
    "model": {"name": "m"},
    "retrain": {"onData": True},
}
DATA = {"checks": [{"name": "a", "onFail": "reject"}, {"name": "b", "onFail": "fail"}], "features": ["one"]}
ALL = Facts((DATA,), (TRAINED,), (SERVED,), committed=True, built=True, delivered=True, ledger=True)


def changed(spec, place, value):
    made = copy.deepcopy(spec)
    *path, last = place.split(".")
    inner = made
    for name in path:
        inner = inner[name]
    inner[last] = value
    return made


def missing(facts):
    return {point.name for point in score(facts).missing}


def test_a_project_that_has_everything_is_at_the_highest_level():
    found = score(ALL)
    assert (found.level, found.missing, found.unknown) == (HIGHEST, (), ())
    assert len(found.held) == len(POINTS)


@pytest.mark.parametrize(
    ("facts", "lacks", "level"),
    [
        (replace(ALL, experiments=(changed(TRAINED, "evaluation.gates", []),)), {"model-validation"}, 0),
        (replace(ALL, experiments=(changed(TRAINED, "code.serve", None),)), {"modular-code"}, 0),
        (replace(ALL, experiments=(changed(TRAINED, "config", {}),)), {"experiments"}, 0),
        (
            replace(ALL, experiments=(changed(TRAINED, "retrain", {"onData": False}),)),
            {"continuous-training", "triggers"},
            0,
        ),
        (replace(ALL, pipelines=(changed(DATA, "checks", DATA["checks"][:1]),)), {"data-validation"}, 0),
        (replace(ALL, pipelines=(DATA, changed(DATA, "checks", []))), {"data-validation"}, 0),
        (replace(ALL, deployments=(changed(SERVED, "model.policy", "Pinned"),)), {"continuous-delivery"}, 0),
        (replace(ALL, deployments=(changed(SERVED, "model.name", "n"),)), {"pipeline-deployment", "orchestrator"}, 0),
        (replace(ALL, committed=False), {"source-control"}, 1),
        (replace(ALL, built=False), {"pipeline-ci"}, 1),
        (replace(ALL, delivered=False), {"pipeline-cd"}, 1),
        (replace(ALL, ledger=False), {"metadata-store"}, 1),
        (replace(ALL, deployments=(changed(SERVED, "monitoring", {}),)), {"monitoring"}, 1),
        (replace(ALL, pipelines=(changed(DATA, "features", None),)), {"feature-store"}, 1),
    ],
)
def test_what_is_missing_is_named_and_keeps_it_from_the_next_level(facts, lacks, level):
    assert missing(facts) == lacks
    assert score(facts).level == level


def test_a_project_that_serves_nothing_is_below_all_levels():
    found = score(replace(ALL, deployments=()))
    assert found.level is None
    assert "served" in {point.name for point in found.lacks(0)}


def test_a_model_served_by_hand_is_at_level_nought():
    assert score(Facts(deployments=(SERVED,))).level == 0


def test_what_cannot_be_seen_does_not_count_and_is_not_called_missing():
    found = score(replace(ALL, built=None))
    assert (found.level, found.missing) == (1, ())
    assert [point.name for point in found.unknown] == ["pipeline-ci"]


def test_every_point_says_what_to_do():
    assert all(point.missing and point.asks for point in POINTS)
    assert {point.level for point in POINTS} == set(range(HIGHEST + 1))


def test_a_place_that_is_not_there_says_nothing():
    assert at({"a": {"b": 1}}, "a.b") == 1
    assert at({"a": 3}, "a.b.c") is None
