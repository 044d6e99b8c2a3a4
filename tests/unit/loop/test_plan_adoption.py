"""A plan says whose model is taken instead of training, and that is what happens."""

from __future__ import annotations

import pytest

from cdl.loop.plan import Planner
from cdl.reconcile.plan import Verdict

from .merge_rig import MAIN, Town, preview

SILENT = dict.fromkeys(("DataPipeline", "Experiment", "ModelDeployment"), "it does not run")
ADOPTS = f"adopts release news-1 of namespace {preview(1)} instead of training"
STAGES = ("train", "evaluate", "gate", "release", "approve")


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    made.apply(MAIN, made.commit("main", config={"hyperparameters": {"learning_rate": 0.3}}))
    made.settle()
    return made


def plan(town, sha, namespace=MAIN, silent=()):
    """Plan what applying a commit leads to; give the verdicts and reasons of the Experiment's stages."""
    engines = town.world.engines
    planner = Planner(engines, town.world.now, town.world.data.programs, {k: SILENT[k] for k in silent})
    told = planner.plan(town.wanted(namespace, sha))
    [experiment] = [r for r in told.resources if r.kind == "Experiment"]
    return {s.name: s.verdict for s in experiment.stages}, {s.name: "; ".join(s.reasons) for s in experiment.stages}


def counts(town):
    return len(town.trained(MAIN)), len(town.releases(MAIN))


@pytest.mark.parametrize("silent", [(), tuple(SILENT)], ids=["engines asked", "from statuses"])
def test_what_a_merge_request_showed_is_planned_as_it_happens(town, silent):
    town.propose("tune")
    town.settle()
    head, asked = town.forge.reviews[1].seen.sha, town.asked()
    verdicts, reasons = plan(town, head, silent=silent)
    assert tuple(verdicts) == STAGES
    assert [verdicts[name] for name in STAGES] == [
        Verdict.REUSE,
        Verdict.REUSE,
        Verdict.REUSE,
        Verdict.RUN,
        Verdict.WAIT,
    ]
    assert (reasons["train"], reasons["evaluate"], reasons["release"]) == (ADOPTS, ADOPTS, ADOPTS)
    assert reasons["approve"] == "a validator has to approve the merge request"
    assert town.asked() == asked
    runs, releases = counts(town)
    town.approve(1)
    town.merge(1)
    town.settle()
    assert counts(town) == (runs, releases + 1)
    verdicts, _ = plan(town, town.forge.reviews[1].seen.merged_as, silent=silent)
    assert set(verdicts.values()) == {Verdict.REUSE}


@pytest.mark.parametrize("silent", [(), tuple(SILENT)], ids=["engines asked", "from statuses"])
def test_a_revert_of_what_was_adopted_is_planned_as_it_happens(town, silent):
    town.propose("tune")
    town.settle()
    town.merge(1)
    town.settle()
    town.apply(MAIN, town.commit("main", config={"hyperparameters": {"learning_rate": 0.2}}))
    town.settle()
    before = counts(town)
    sha = town.commit("main")
    verdicts, reasons = plan(town, sha, silent=silent)
    assert [verdicts[name] for name in STAGES] == [Verdict.REUSE] * 4 + [Verdict.WAIT]
    assert reasons["train"] == ADOPTS
    town.apply(MAIN, sha)
    town.settle()
    assert counts(town) == before


def test_where_only_the_data_can_tell_a_plan_is_not_sure(town):
    town.propose("tune")
    town.settle()
    sha = town.forge.reviews[1].seen.sha
    planner = Planner(town.world.engines, town.world.now, town.world.data.programs)
    told = planner.plan(town.wanted("staging", sha))
    [train] = [s for r in told.resources for s in r.stages if s.name == "train"]
    assert (train.verdict, train.sure) == (Verdict.RUN, False)
    town.apply("staging", sha)
    town.settle()
    assert town.trained("staging") == []


def test_with_another_policy_the_plan_trains_as_the_loop_does(town):
    town.propose("tune")
    town.settle()
    sha = town.commit("main", approval={"policy": "Manual"})
    verdicts, _ = plan(town, sha)
    assert verdicts["train"] is Verdict.RUN
    runs, _ = counts(town)
    town.apply(MAIN, sha)
    town.settle()
    assert counts(town)[0] == runs + 2
