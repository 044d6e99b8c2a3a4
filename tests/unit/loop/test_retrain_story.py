"""An Experiment that is trained again by the clock: one run for each due time, whatever dies meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.experiment import ExperimentStatus
from cdl.loop.plan import Planner
from cdl.reconcile.decision import Appointment
from cdl.reconcile.experiment import RunPhase, due_time
from cdl.testing.builders import experiment_document, pipeline_document
from cdl.testing.memory import archive
from cdl.testing.weather import Crash
from cdl.testing.world import NEWS, World

PLACE = "https://example.test/articles.tar"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OTHER = NEWS | {"sport/99.txt": "a match that was played today"}


class Trained(World):
    """A world with one Experiment that is released and approved."""

    def __init__(self, folder, learning_rate=0.1, schedule="@hourly", **spec):
        super().__init__(folder)
        self.schedule, self.spec = schedule, {"retrain": {"schedule": "@daily"}} | spec
        self.resources.put(DataPipeline.read(pipeline_document(schedule=schedule)))
        self.key = self.wish(learning_rate)
        self.settle()

    def wish(self, learning_rate=0.1, **spec):
        document = experiment_document("news", learning_rate, **self.spec | spec)
        return self.resources.put(Experiment.read(document)).key

    @property
    def status(self):
        return self.resources.get(Experiment, "default", "news").status

    @property
    def ready(self):
        return self.status.conditions[0].reason.value

    @property
    def trainings(self):
        return [run for run in self.training.runs if not run.wish.evaluates]

    @property
    def releases(self):
        return sorted(release.metadata.name for release in self.resources.list(Release))

    def pass_until(self, moment):
        """Let time go by while nobody looks."""
        self.now = self.training.now = moment

    def publish(self, files):
        self.sources.places[PLACE] = archive(files)

    def plan(self, **spec):
        wanted = Experiment.read(experiment_document("news", **self.spec | spec))
        planned = Planner(self.engines, self.now, self.data.programs, {}).plan([wanted])
        (train,) = (s for r in planned.resources for s in r.stages if s.name == "train")
        return train.verdict.value, "; ".join(train.reasons)


@pytest.fixture
def world(tmp_path):
    return Trained(tmp_path)


def test_before_it_is_due_nothing_is_trained(world):
    due = world.status.next_retrain_at
    assert (due.hour, due.minute, due - world.now < DAY) == (0, 0, True)
    world.pass_until(due - timedelta(minutes=2, microseconds=1))
    again = world.turn(world.key)
    assert isinstance(again, Appointment)
    assert world.now + again == due
    assert (len(world.trainings), world.releases) == (1, ["news-1"])


def test_a_due_time_makes_one_run_and_a_release_of_its_own(world):
    first, due = world.status, world.status.next_retrain_at
    world.pass_until(due)
    world.settle()
    after = world.status
    assert due_time(after.run.key) == due
    assert [run.key for run in world.trainings] == [first.run.key, after.run.key]
    assert world.trainings[0].wish == world.trainings[1].wish
    assert (world.releases, after.release) == (["news-1", "news-2"], "news-2")
    assert (after.retrained_for, after.next_retrain_at) == (due, due + DAY)
    assert world.ready == "Succeeded"


def test_each_due_time_has_a_run_and_what_was_missed_is_one(world):
    due = world.status.next_retrain_at
    for moment in (due, due + DAY, due + 9 * DAY + 5 * HOUR):
        world.pass_until(moment)
        world.restart()
        world.settle()
    assert [due_time(run.key) for run in world.trainings] == [None, due, due + DAY, due + 9 * DAY]
    assert world.status.next_retrain_at == due + 10 * DAY


def test_a_death_at_any_moment_loses_no_run_and_doubles_none(tmp_path):
    deaths, finished = 0, False
    for moment in (*range(24), *range(24, 400, 11)):
        world = Trained(tmp_path / str(moment), schedule="")
        due = world.status.next_retrain_at
        world.pass_until(due)
        world.sky.crash_in = moment
        try:
            world.settle()
        except Crash:
            deaths += 1
        finished = world.sky.crash_in is not None
        world.clear_up()
        world.restart()
        world.settle()
        assert [due_time(run.key) for run in world.trainings] == [None, due]
        assert set(world.training.created.values()) == {1}
        assert (world.releases, world.status.retrained_for) == (["news-1", "news-2"], due)
        if finished:
            break
    assert deaths > 24
    assert finished


def test_a_death_after_the_run_was_asked_for_and_a_night_later_cuts_nothing_off(world):
    due = world.status.next_retrain_at
    world.pass_until(due)
    stands, world.training.start = world.training.start, _dies_after(world.training.start)
    with pytest.raises(Crash):
        world.turn(world.key)
    world.training.start = stands
    world.training.advance()
    world.pass_until(due + DAY + HOUR)
    world.restart()
    world.settle()
    assert [due_time(run.key) for run in world.trainings] == [None, due, due + DAY]
    assert {run.phase for run in world.trainings} == {RunPhase.SUCCEEDED}


def _dies_after(start):
    def started(*asked):
        start(*asked)
        raise Crash("once the run was there")

    return started


def test_a_status_that_was_lost_makes_no_run(world):
    due = world.status.next_retrain_at
    world.pass_until(due)
    world.settle()
    before, there = world.status, world.resources.get(Experiment, "default", "news")
    world.resources.write_status(there.key, ExperimentStatus(), there.metadata.resource_version)
    world.restart()
    world.settle()
    assert (world.status.run.key, world.status.release) == (before.run.key, before.release)
    assert (world.status.retrained_for, len(world.trainings)) == (due, 2)


def test_a_schedule_faster_than_training_cuts_no_run_off(tmp_path):
    world = Trained(tmp_path, schedule="")
    world.wish(retrain={"schedule": "@every 2m"})
    for _ in range(60):
        world.turn(world.key)
        world.advance()
    ended = [run.phase for run in world.trainings if run.phase.over]
    assert len(ended) > 4
    assert set(ended) == {RunPhase.SUCCEEDED}
    assert len({due_time(run.key) for run in world.trainings}) == len(world.trainings)


def test_a_run_that_began_on_new_data_after_the_due_time_keeps_it(world):
    due = world.status.next_retrain_at
    world.publish(OTHER)
    world.pass_until(due + timedelta(minutes=1))
    world.settle()
    assert [due_time(run.key) for run in world.trainings][-1] is None
    assert len({run.key for run in world.trainings if run.phase is RunPhase.SUCCEEDED}) == 2
    assert (world.status.retrained_for, world.ready) == (due, "Succeeded")


def test_what_failed_is_tried_again_when_it_is_due(tmp_path):
    world = Trained(tmp_path, config={"hyperparameters": {"fail": True}})
    due = world.status.next_retrain_at
    assert world.ready == "RunFailed"
    world.pass_until(due)
    world.settle()
    assert [due_time(run.key) for run in world.trainings] == [None, due]
    assert world.ready == "RunFailed"


def test_without_its_schedule_the_newest_run_stays_the_one(world):
    world.pass_until(world.status.next_retrain_at)
    world.settle()
    before = world.status
    world.wish(retrain={})
    world.pass_until(world.now + 3 * DAY)
    world.settle()
    assert (world.status.run.key, world.status.release) == (before.run.key, "news-2")
    assert (world.status.retrained_for, world.status.next_retrain_at) == (None, None)
    assert len(world.trainings) == 2


def test_while_suspended_nothing_is_trained_and_afterwards_once(world):
    due = world.status.next_retrain_at
    world.wish(suspend=True)
    world.pass_until(due + 3 * DAY)
    world.settle()
    assert (len(world.trainings), world.status.next_retrain_at) == (1, None)
    world.wish()
    world.settle()
    assert [due_time(run.key) for run in world.trainings] == [None, due + 3 * DAY]


# --- minInterval -----------------------------------------------------------------------------------------------------


def test_new_data_waits_for_the_least_interval(tmp_path):
    world = Trained(tmp_path, retrain={"minInterval": "5h"})
    began, data = world.status.run.started_at, world.status.data
    world.publish(OTHER)
    world.pass_until(began + 2 * HOUR)
    world.settle()
    newest = world.resources.get(DataPipeline, "default", "news").status.dataset
    assert newest.version != data.version
    assert (world.status.data, world.status.next_retrain_at) == (data, began + 5 * HOUR)
    assert (len(world.trainings), world.ready) == (1, "Succeeded")
    verdict, why = world.plan()
    assert verdict == "reuse"
    assert f"new data waits until {began + 5 * HOUR:%Y-%m-%d %H:%M:%S} UTC (retrain.minInterval 5h)" in why
    world.pass_until(began + 5 * HOUR)
    world.settle()
    assert (world.status.data.version, len(world.trainings)) == (newest.version, 2)
    assert world.status.next_retrain_at is None


def test_a_due_time_waits_for_the_least_interval(tmp_path):
    world = Trained(tmp_path, schedule="", retrain={"schedule": "@hourly", "minInterval": "150m"})
    began = world.status.run.started_at
    world.pass_until(began + timedelta(minutes=149))
    world.turn(world.key)
    assert (len(world.trainings), world.status.next_retrain_at) == (1, began + timedelta(minutes=150))
    world.pass_until(began + timedelta(minutes=150))
    world.settle()
    first, again = world.trainings
    assert again.started_at - first.started_at >= timedelta(minutes=150)
    assert due_time(again.key) is not None


def test_a_person_who_changes_the_wish_waits_for_nothing(tmp_path):
    world = Trained(tmp_path, retrain={"minInterval": "30d"})
    world.publish(OTHER)
    world.pass_until(world.now + 2 * HOUR)
    world.settle()
    assert len(world.trainings) == 1
    world.wish(0.2)
    world.settle()
    newest = world.resources.get(DataPipeline, "default", "news").status.dataset
    assert (len(world.trainings), world.status.data) == (2, newest)


def test_a_death_between_run_and_status_does_not_stop_the_run_for_the_interval(tmp_path):
    world = Trained(tmp_path, schedule="", retrain={"minInterval": "5h"})
    world.publish(OTHER)
    there = world.resources.get(DataPipeline, "default", "news")
    world.resources.put(there.model_copy(update={"spec": there.spec.model_copy(update={"schedule": "@hourly"})}))
    for _ in range(8):
        world.turn(there.key)
        world.data.advance()
    world.pass_until(world.now + 6 * HOUR)
    for _ in range(8):
        world.turn(there.key)
        world.data.advance()
    stands, world.training.start = world.training.start, _dies_after(world.training.start)
    with pytest.raises(Crash):
        world.turn(world.key)
    world.training.start = stands
    world.training.advance()
    world.restart()
    world.settle()
    assert [run.phase for run in world.trainings] == [RunPhase.SUCCEEDED] * 2


# --- plans -----------------------------------------------------------------------------------------------------------


def test_a_plan_says_when_it_is_trained_again_and_why_it_is_now(tmp_path):
    world = Trained(tmp_path, schedule="")
    due = world.status.next_retrain_at
    verdict, why = world.plan()
    assert verdict == "reuse"
    assert f"trained again at {due:%Y-%m-%d %H:%M:%S} UTC (retrain.schedule @daily)" in why
    world.pass_until(due + HOUR)
    verdict, why = world.plan()
    assert verdict == "run"
    assert f"retrain.schedule was due at {due:%Y-%m-%d %H:%M:%S} UTC" in why
    assert len(world.trainings) == 1
