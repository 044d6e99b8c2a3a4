"""A plan knows what is due by a schedule, and what is taken over: it says what the loop then does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdl.api.meta import LIKE_ANNOTATION
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.loop.plan import Planner
from cdl.reconcile.plan import Verdict
from cdl.testing.builders import pipeline_document
from cdl.testing.memory import archive
from cdl.testing.world import NEWS, World

from .plan_project import SILENT, Project, reasons, running, unsure, verdicts

PLACE = "https://example.test/articles.tar"
OTHER = NEWS | {"sport/99.txt": "a match that was played today"}
INGESTS = ("ingest (train)", "ingest (test)")


@pytest.fixture
def scheduled(tmp_path):
    project = Project(tmp_path)
    project.edit(DataPipeline, schedule="@daily")
    project.apply()
    return project


def until_due(project):
    stored = project.world.resources.get(DataPipeline, "default", "news")
    project.world.now = stored.status.next_fetch_at + timedelta(seconds=1)


@pytest.mark.parametrize("asked", [True, False], ids=["engines asked", "from statuses"])
@pytest.mark.parametrize("files", [NEWS, OTHER], ids=["the same", "news"])
def test_a_fetch_that_is_due_may_run_everything(scheduled, asked, files):
    silent = () if asked else SILENT
    assert not scheduled.plan(silent).runs
    scheduled.world.sources.places[PLACE] = archive(files)
    until_due(scheduled)
    plan = scheduled.plan(silent)
    said = verdicts(plan)
    assert {said[name] for name in INGESTS} == {Verdict.UNKNOWN}
    assert "source articles is due since 2026-01-02 00:00:00 UTC" in reasons(plan)
    ran = scheduled.apply()
    assert ran <= set(running(plan)) | set(INGESTS)
    assert running(plan) - ran <= unsure(plan)
    assert bool(ran) is (files is OTHER)
    assert not scheduled.plan(silent).runs


def test_a_pinned_source_is_never_due(scheduled):
    scheduled.publish(NEWS)
    scheduled.apply()
    until_due(scheduled)
    assert not scheduled.plan().runs
    assert scheduled.apply() == set()


def test_nothing_is_due_while_it_is_suspended(scheduled):
    until_due(scheduled)
    scheduled.edit(DataPipeline, suspend=True)
    plan = scheduled.plan()
    assert {verdicts(plan)[name] for name in INGESTS} == {Verdict.WAIT}
    assert scheduled.apply() == set()


def test_a_release_that_is_approved_once_more_is_served_anew_also_where_it_is_pinned(tmp_path):
    project = Project(tmp_path)
    project.apply()
    project.edit(Experiment, evaluation={"entrypoint": "evaluate:other"})
    project.edit(ModelDeployment, model={"name": "news", "policy": "Pinned", "version": 1})
    project.apply()
    project.edit(Experiment, evaluation={"gates": [{"metric": "accuracy", "min": 0.5}]})
    plan = project.plan()
    assert running(plan) == {"rollout"} == project.apply()
    assert "news-1 is approved by policy once more" in reasons(plan)
    assert not project.plan().runs


class Previewed(World):
    """A world in which production has its dataset, and somebody proposes a change."""

    steps = ({"name": "clean", "uses": "text/clean"}, {"name": "again", "uses": "text/clean"})

    def __init__(self, folder):
        super().__init__(folder)
        self.resources.put(DataPipeline.read(pipeline_document(steps=list(self.steps))))
        self.settle()

    def proposal(self, like="default", **spec):
        document = pipeline_document(**{"steps": list(self.steps), **spec})
        document["metadata"] |= {"namespace": "news-mr-1", "annotations": {LIKE_ANNOTATION: like}}
        return DataPipeline.read(document)

    def plan(self, proposal, silent=()):
        planner = Planner(self.engines, self.now, self.data.programs, {k: SILENT[k] for k in silent})
        (planned,) = planner.plan([proposal]).resources
        return {s.label: s for s in planned.stages}

    def ran(self, proposal):
        """What the loop then processes: step and side."""
        key = self.resources.put(proposal).key
        before = self.data.processed(key).copy()
        self.settle()
        assert self.get(key).status.dataset is not None
        return {
            f"{step} ({side})" for (side, step), count in self.data.processed(key).items() if count > before[side, step]
        }


@pytest.fixture
def world(tmp_path):
    return Previewed(tmp_path)


CHANGES = {
    "nothing": ({}, {"clean", "again"}),
    "the last step": ({"steps": [Previewed.steps[0], {**Previewed.steps[1], "env": {"A": "1"}}]}, {"clean"}),
    "the first step": ({"steps": [{**Previewed.steps[0], "env": {"A": "1"}}, Previewed.steps[1]]}, set()),
    "the split": ({"split": {"test": 0.25, "seed": 8}}, set()),
}


@pytest.mark.parametrize("asked", [True, False], ids=["engines asked", "from statuses"])
@pytest.mark.parametrize(("edit", "taken"), CHANGES.values(), ids=CHANGES)
def test_the_steps_that_are_taken_over_are_not_said_to_run(world, edit, taken, asked):
    proposal = world.proposal(**edit)
    said = world.plan(proposal, () if asked else SILENT)
    reused = {label for label, stage in said.items() if stage.verdict is Verdict.REUSE}
    if asked:
        assert reused == {f"{step} ({side})" for step in taken for side in ("train", "test")}
        assert all("taken over from default: news has made it there" in said[label].reasons[0] for label in reused)
    assert all(said[label].verdict is Verdict.RUN for label in INGESTS)
    ran = world.ran(proposal)
    steps = {label for label in said if label not in INGESTS}
    assert ran == steps - {f"{step} ({side})" for step in taken for side in ("train", "test")}
    assert ran <= {label for label, stage in said.items() if stage.verdict is Verdict.RUN}
    # Whatever is said to run for sure does, and a second plan runs nothing.
    assert {label for label in steps if said[label].verdict is Verdict.RUN and said[label].sure} <= ran
    assert {stage.verdict for stage in world.plan(proposal).values()} == {Verdict.REUSE}


@pytest.mark.parametrize("like", ["nowhere", "news-mr-1", ""])
def test_without_somebody_to_take_from_everything_runs(world, like):
    proposal = world.proposal(like)
    said = world.plan(proposal)
    assert {stage.verdict for stage in said.values()} == {Verdict.RUN}
    assert world.ran(proposal) == set(said) - set(INGESTS)


def test_what_production_has_not_finished_is_not_taken_over(world):
    production = world.resources.get(DataPipeline, "default", "news")
    other = [{**step, "env": {"LATER": "yes"}} for step in Previewed.steps]
    world.resources.put(DataPipeline.read(pipeline_document(steps=other)))
    world.turn(production.key)
    said = world.plan(world.proposal(steps=other))
    assert {stage.verdict for stage in said.values()} == {Verdict.RUN}
