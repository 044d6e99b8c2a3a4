"""A DataPipeline with a schedule: at each due time it looks at its sources again, and only news runs anything."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

from cdl.api.v1alpha1 import DataPipeline
from cdl.reconcile.decision import Appointment
from cdl.testing.builders import pipeline_document, source_document
from cdl.testing.memory import archive
from cdl.testing.weather import Crash
from cdl.testing.world import NEWS, World

PLACE = "https://example.test/articles.tar"
HOUR = timedelta(hours=1)
OTHER = NEWS | {"sport/99.txt": "a match that was played today"}


class Scheduled(World):
    """A world with one settled DataPipeline that is due every hour."""

    def __init__(self, folder, **spec):
        super().__init__(folder)
        document = pipeline_document(schedule="@hourly", suspend=False, **spec)
        self.key = self.resources.put(DataPipeline.read(document)).key
        self.settle()
        self.sources.fetched.clear()

    @property
    def status(self):
        return self.resources.get(DataPipeline, "default", "news").status

    @property
    def said(self):
        ready = self.status.conditions[0]
        return ready.status, ready.reason.value

    def pass_until(self, moment):
        self.now = moment

    def work(self):
        """Turn until nothing more is going on; jobs go on, the clock does not."""
        for _ in range(30):
            again = self.turn(self.key)
            self.data.advance()
            if again is not None and (isinstance(again, Appointment) or again == timedelta(minutes=10)):
                return again
        raise AssertionError(self.said)

    def change(self, **spec):
        there = self.resources.get(DataPipeline, "default", "news")
        self.resources.put(there.model_copy(update={"spec": there.spec.model_copy(update=spec)}))


@pytest.fixture
def world(tmp_path):
    return Scheduled(tmp_path)


def test_nothing_is_fetched_before_it_is_due(world):
    due = world.status.next_fetch_at
    world.pass_until(due - timedelta(microseconds=1))
    world.work()
    assert (world.sources.fetched, world.status.next_fetch_at) == ([], due)


def test_the_last_look_before_a_due_time_waits_for_exactly_that_time(world):
    due = world.status.next_fetch_at
    world.pass_until(due - timedelta(minutes=9, seconds=1, milliseconds=7))
    assert world.work() == due - world.now
    world.pass_until(due - timedelta(minutes=30))
    assert world.work() == timedelta(minutes=10)


def test_the_same_content_runs_nothing(world):
    before, due = world.status, world.status.next_fetch_at
    jobs = world.data.processed(world.key)
    world.pass_until(due)
    world.work()
    assert world.sources.fetched == [PLACE]
    assert world.data.processed(world.key) == jobs
    assert (world.status.dataset, world.status.repos) == (before.dataset, before.repos)
    assert (world.status.collected_for, world.status.next_fetch_at) == (due, due + HOUR)
    assert world.said == ("True", "Succeeded")


def test_new_content_becomes_a_new_version(world):
    before = world.status.dataset
    world.sources.places[PLACE] = archive(OTHER)
    world.pass_until(world.status.next_fetch_at)
    world.work()
    after = world.status.dataset
    assert after.version != before.version
    assert after.train.files + after.test.files == before.train.files + before.test.files + 1
    assert world.said == ("True", "Succeeded")


def test_what_was_missed_while_nobody_looked_is_fetched_once(world):
    due = world.status.next_fetch_at
    world.pass_until(due + 7 * HOUR + timedelta(minutes=20))
    world.restart()
    world.work()
    assert world.sources.fetched == [PLACE]
    assert (world.status.collected_for, world.status.next_fetch_at) == (due + 7 * HOUR, due + 8 * HOUR)


def test_a_death_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path):
    deaths = 0
    for moment in range(200):
        world = Scheduled(tmp_path / str(moment))
        world.sources.places[PLACE] = archive(OTHER)
        before, due = world.status.dataset, world.status.next_fetch_at
        world.pass_until(due)
        world.sky.crash_in = moment
        try:
            world.work()
        except Crash:
            deaths += 1
        finished = world.sky.crash_in is not None
        world.clear_up()
        world.restart()
        world.work()
        assert world.status.dataset.version != before.version
        assert world.status.collected_for == due
        assert world.sources.fetched == [PLACE]
        assert {count for (key, _, _), count in world.data.commits.items() if key == world.key} == {1}
        if finished:
            break
    assert deaths > 10
    assert finished


def test_while_suspended_nothing_is_fetched_and_afterwards_once(world):
    due = world.status.next_fetch_at
    world.change(suspend=True)
    world.pass_until(due + 3 * HOUR)
    world.turn(world.key)
    assert (world.sources.fetched, world.status.next_fetch_at) == ([], None)
    world.change(suspend=False)
    world.work()
    assert (world.sources.fetched, world.status.collected_for) == ([PLACE], due + 3 * HOUR)


def test_a_source_that_is_silent_when_due_leaves_the_dataset_and_is_asked_again(world):
    before, due = world.status.dataset, world.status.next_fetch_at
    world.sources.silent.add(PLACE)
    world.pass_until(due)
    world.turn(world.key)
    assert world.said == ("Unknown", "EngineUnavailable")
    assert world.status.dataset == before
    assert world.status.collected_for < due
    world.sources.silent.clear()
    world.work()
    assert (world.said, world.status.collected_for) == (("True", "Succeeded"), due)


def test_a_pinned_source_is_not_fetched_again(tmp_path):
    world = World(tmp_path)
    pinned = source_document(sha256=sha256(world.sources.places[PLACE]).hexdigest())
    key = world.resources.put(DataPipeline.read(pipeline_document(schedule="@hourly", sources=[pinned]))).key
    world.settle()
    world.sources.fetched.clear()
    world.now += 5 * HOUR
    world.turn(key)
    status = world.resources.get(DataPipeline, "default", "news").status
    assert world.sources.fetched == []
    assert status.next_fetch_at > world.now


def test_without_a_schedule_there_are_no_times(world):
    world.change(schedule="")
    world.work()
    assert (world.status.collected_for, world.status.next_fetch_at) == (None, None)
    world.pass_until(world.now + 9 * HOUR)
    world.change(schedule="@every 2h")
    world.work()
    assert (world.sources.fetched, world.status.next_fetch_at) == ([], world.now.replace(microsecond=0) + 2 * HOUR)


def test_two_pipelines_share_what_one_has_fetched(world):
    other = world.resources.put(DataPipeline.read(pipeline_document("other", schedule="@hourly", steps=[]))).key
    world.settle()
    world.sources.fetched.clear()
    world.pass_until(world.status.next_fetch_at)
    world.work()
    world.turn(other)
    assert world.sources.fetched == [PLACE]
    assert world.resources.get(DataPipeline, "default", "other").status.collected_for == world.status.collected_for
