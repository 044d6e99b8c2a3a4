"""An error says by its class what happens next: to the resource, to the next look, and to the other resources."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import REQUESTED_AT_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Side
from cdl.loop import FINALIZER, Reconciler
from cdl.loop.datapipeline import controller
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable
from cdl.testing.builders import pipeline_document
from cdl.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

NEWS = Key("DataPipeline", "default", "news")
INTERVAL = timedelta(minutes=7)
NOW = timedelta()


@dataclass
class Troubled:
    """A DataPipeline's controller that fails as it is told to, by name of the resource."""

    world: World
    raises: dict[str, Exception] = field(default_factory=dict)
    """What looking at it meets."""
    acting: Exception | None = None
    """What every action meets."""
    meanwhile: Callable[[], object] | None = None
    """What somebody else does while it is looked at, once."""

    def __post_init__(self):
        w = self.world
        honest = controller(w.engines)
        self.honest = honest
        self.reconciler = Reconciler(replace(honest, look=self.look, act=self.act), w.resources, lambda: w.now)

    def look(self, resource, at):
        if self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        error = self.raises.get(resource.metadata.name)
        if error is not None:
            raise error
        return self.honest.look(resource, at)

    def act(self, resource, action):
        if self.acting is not None:
            raise self.acting
        self.honest.act(resource, action)

    def turn(self, name="news"):
        return self.reconciler.turn("default", name)

    def conditions(self, name="news"):
        there = self.world.resources.get(DataPipeline, "default", name)
        return {c.type: (c.status, c.reason) for c in there.status.conditions}

    def message(self, kind):
        return self.world.resources.get(DataPipeline, "default", "news").status.condition(kind).message


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def troubled(world):
    made = Troubled(world)
    for name in ("news", "other"):
        world.resources.put(DataPipeline.read(pipeline_document(name, interval="7m")))
        assert made.turn(name) == NOW
    return made


def test_a_resource_is_kept_before_anything_is_done_for_it(world):
    world.resources.put(DataPipeline.read(pipeline_document()))
    world.turn(NEWS)
    there = world.get(NEWS)
    assert there.metadata.finalizers == (FINALIZER,)
    assert there.status.conditions == ()
    assert world.data.owners == set()


def test_the_finalizers_of_others_stay(world):
    document = pipeline_document()
    document["metadata"]["finalizers"] = ["example.test/keep"]
    world.resources.put(DataPipeline.read(document))
    world.settle()
    assert world.get(NEWS).metadata.finalizers == ("example.test/keep", FINALIZER)
    world.resources.delete(NEWS)
    world.turn(NEWS)
    assert world.get(NEWS).metadata.finalizers == ("example.test/keep",)


def test_what_is_gone_is_not_looked_at_again(world):
    assert world.turn(NEWS) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotPermitted("the token is too weak"), Reason.NOT_PERMITTED),
        (Rejected("no such image"), Reason.ENGINE_REFUSED),
        (Rejected("a checksum is wrong", Reason.SOURCE_UNUSABLE), Reason.SOURCE_UNUSABLE),
    ],
)
def test_what_a_person_must_mend_stalls_until_the_interval(troubled, error, reason):
    troubled.raises["news"] = error
    assert [troubled.turn() for _ in range(3)] == [INTERVAL] * 3
    assert troubled.conditions() == {ConditionType.READY: ("False", reason), ConditionType.STALLED: ("True", reason)}
    assert troubled.message(ConditionType.READY) == str(error)


@pytest.mark.parametrize("error", [Unavailable("nobody answers"), PortError("something odd")])
def test_what_time_may_mend_is_tried_again_ever_later(troubled, error):
    troubled.raises["news"] = error
    waits = [troubled.turn().total_seconds() for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    reason = Reason.ENGINE_UNAVAILABLE
    assert troubled.conditions() == {
        ConditionType.READY: ("Unknown", reason),
        ConditionType.RECONCILING: ("True", reason),
    }
    assert troubled.message(ConditionType.RECONCILING) == str(error)


def test_who_asks_for_a_look_finds_it_quick_again(troubled):
    troubled.raises["news"] = Unavailable("nobody answers")
    for _ in range(9):
        troubled.turn()
    asked = pipeline_document("news", interval="7m")
    asked["metadata"]["annotations"] = {REQUESTED_AT_ANNOTATION: "2026-01-01T00:00:00+00:00"}
    troubled.world.resources.put(DataPipeline.read(asked))
    assert [troubled.turn().total_seconds() for _ in range(3)] == [1, 2, 4]


def test_a_long_outage_is_still_tried_every_minute(troubled):
    troubled.raises["news"] = Unavailable("nobody answers")
    waits = {troubled.turn() for _ in range(2000)}
    assert max(waits) == timedelta(minutes=1)


def test_the_same_trouble_is_written_once(troubled):
    troubled.raises["news"] = Unavailable("nobody answers")
    troubled.turn()
    before = troubled.world.resources.writes
    for _ in range(3):
        troubled.turn()
    assert troubled.world.resources.writes == before


def test_a_success_forgets_the_failures_before_it(troubled):
    for _ in range(2):
        troubled.raises["news"] = Unavailable("nobody answers")
        assert [troubled.turn().total_seconds() for _ in range(3)] == [1, 2, 4]
        troubled.raises.clear()
        troubled.turn()
        assert troubled.conditions()[ConditionType.READY][1] is not Reason.ENGINE_UNAVAILABLE


def test_a_resource_of_the_same_name_starts_without_the_failures_of_the_one_before(troubled):
    troubled.raises["news"] = Unavailable("nobody answers")
    assert [troubled.turn().total_seconds() for _ in range(3)] == [1, 2, 4]
    del troubled.world.resources._stored[NEWS]
    assert troubled.turn() is None
    troubled.world.resources.put(DataPipeline.read(pipeline_document()))
    troubled.turn()
    assert troubled.turn() == timedelta(seconds=1)


def test_failures_are_counted_for_each_resource(troubled):
    troubled.raises |= dict.fromkeys(("news", "other"), Unavailable("nobody answers"))
    assert [troubled.turn("news").total_seconds() for _ in range(3)] == [1, 2, 4]
    assert troubled.turn("other") == timedelta(seconds=1)


def test_a_defect_of_ours_is_said_and_logged_and_stops_nobody_else(troubled, caplog):
    troubled.raises["news"] = ZeroDivisionError("by zero")
    with caplog.at_level(logging.ERROR):
        assert [troubled.turn().total_seconds() for _ in range(2)] == [1, 2]
    assert troubled.conditions()[ConditionType.READY] == ("Unknown", Reason.INTERNAL_FAULT)
    told = troubled.message(ConditionType.RECONCILING)
    assert told == "ZeroDivisionError: by zero; the log has the traceback"
    assert "ZeroDivisionError" in caplog.records[0].exc_text
    while troubled.conditions("other").get(ConditionType.READY, ("",))[0] != "True":
        troubled.turn("other")
        troubled.world.advance()


def test_trouble_leaves_what_was_reached_in_the_status(troubled):
    while troubled.turn() != INTERVAL:
        troubled.world.advance()
    dataset = troubled.world.get(NEWS).status.dataset
    assert dataset is not None
    troubled.raises["news"] = Unavailable("nobody answers")
    troubled.turn()
    assert troubled.world.get(NEWS).status.dataset == dataset
    assert troubled.conditions()[ConditionType.DATA_READY][0] == "True"


def test_who_was_slower_looks_again_at_once_and_complains_of_nothing(troubled):
    troubled.raises["news"] = Conflict("somebody was faster")
    assert [troubled.turn() for _ in range(2)] == [NOW] * 2
    assert troubled.conditions() == {}


def test_a_store_that_does_not_answer_is_tried_ever_later(troubled, caplog):
    troubled.world.weather["resources"].down = True
    with caplog.at_level(logging.WARNING):
        assert [troubled.turn().total_seconds() for _ in range(3)] == [1, 2, 4]
    assert "DataPipeline default/news: nobody answers" in caplog.text
    troubled.world.clear_up()
    troubled.turn()
    troubled.world.weather["resources"].down = True
    assert troubled.turn() == timedelta(seconds=1)


def test_a_deletion_that_an_engine_does_not_hear_keeps_the_resource(troubled):
    troubled.turn()
    troubled.world.resources.delete(NEWS)
    troubled.world.weather["data"].down = True
    assert troubled.turn() == timedelta(seconds=1)
    assert troubled.conditions()[ConditionType.READY] == ("Unknown", Reason.ENGINE_UNAVAILABLE)
    troubled.world.clear_up()
    assert troubled.turn() is None
    assert troubled.world.get(NEWS) is None


def test_the_request_that_was_handled_is_noted_even_in_trouble(troubled):
    document = pipeline_document("news", interval="7m")
    document["metadata"]["annotations"] = {REQUESTED_AT_ANNOTATION: "2026-01-01T00:00:00+00:00"}
    troubled.world.resources.put(DataPipeline.read(document))
    asked = troubled.world.get(NEWS).metadata.requested_at
    assert asked
    troubled.raises["news"] = Rejected("no such image")
    troubled.turn()
    assert troubled.world.get(NEWS).status.last_handled_requested_at == asked


def test_a_pipeline_without_sources_waits_until_somebody_pushes(world):
    world.resources.put(DataPipeline.read(pipeline_document(sources=[], split=None)))
    world.settle()
    assert world.get(NEWS).status.condition(ConditionType.READY).reason is Reason.WAITING_FOR_DATA
    for side in Side:
        world.data.push(NEWS, side, {f"{side}/1.txt": b"something to learn"})
    world.settle()
    status = world.get(NEWS).status
    assert status.condition(ConditionType.READY).status == "True"
    assert (status.dataset.train.files, status.dataset.test.files) == (1, 1)


def test_what_an_action_meets_is_told_at_once_though_the_status_was_just_written(troubled):
    troubled.acting = Unavailable("nobody answers")
    assert troubled.turn() == timedelta(seconds=1)
    assert troubled.conditions()[ConditionType.READY] == ("Unknown", Reason.ENGINE_UNAVAILABLE)


def test_what_was_decided_is_told_before_it_is_done(troubled):
    troubled.acting = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        troubled.turn()
    assert troubled.conditions()[ConditionType.RECONCILING] == ("True", Reason.FETCHING_SOURCES)


def test_a_condition_keeps_the_time_at_which_its_answer_changed(troubled):
    troubled.raises["news"] = Unavailable("nobody answers")
    since = troubled.world.now
    troubled.turn()
    troubled.world.advance()
    troubled.raises["news"] = Unavailable("still nobody answers")
    troubled.turn()
    ready = troubled.world.get(NEWS).status.condition(ConditionType.READY)
    assert (ready.message, ready.last_transition_time) == ("still nobody answers", since)
    troubled.world.advance()
    troubled.raises["news"] = Rejected("go away")
    troubled.turn()
    ready = troubled.world.get(NEWS).status.condition(ConditionType.READY)
    assert (ready.status, ready.last_transition_time) == ("False", troubled.world.now)


def test_what_is_as_it_should_be_needs_no_write(troubled, monkeypatch):
    while troubled.turn() != INTERVAL:
        troubled.world.advance()

    def refuse(*_):
        message = "the disk is full"
        raise Unavailable(message)

    monkeypatch.setattr(troubled.world.resources, "write_status", refuse)
    assert troubled.turn() == INTERVAL


@pytest.mark.parametrize("error", [None, Unavailable("nobody answers")])
def test_what_vanishes_while_it_is_looked_at_is_no_trouble(troubled, error):
    troubled.turn()
    troubled.world.resources.delete(NEWS)
    troubled.meanwhile = lambda: troubled.world.resources._stored.pop(NEWS)
    if error is not None:
        troubled.raises["news"] = error
    troubled.turn()
    assert troubled.turn() is None
    assert troubled.world.get(NEWS) is None


def test_what_failed_stays_said_until_it_succeeds(world):
    url = "https://example.test/articles.tar"
    content = world.sources.places.pop(url)
    world.resources.put(DataPipeline.read(pipeline_document()))
    key = Key("DataPipeline", "default", "news")
    world.settle()
    assert world.get(key).status.condition(ConditionType.STALLED).reason is Reason.SOURCE_UNUSABLE
    before = world.resources.writes
    for _ in range(5):
        world.turn(key)
        world.advance()
    assert world.resources.writes == before
    world.sources.places[url] = content
    world.settle()
    assert world.get(key).status.condition(ConditionType.READY).status == "True"
