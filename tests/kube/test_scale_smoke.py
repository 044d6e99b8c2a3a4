"""The scale benchmark runs, and what it counts is right for fifty resources; its times are nobody's business here."""

import asyncio

import pytest

from benchmarks.operator_scale.course import Plan, run
from benchmarks.operator_scale.report import lines, text

OBJECTS = 50
CALLS = 2.2
EVENTS_AT_ONCE, EVENTS_A_SECOND = 25, 5


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    plan = Plan(objects=OBJECTS, rounds=1, idle=4, others=6, quiet=1)
    return asyncio.run(run(plan, tmp_path_factory.mktemp("scale"), print, fetch=False))


def test_a_resource_costs_its_create_and_one_status(figures):
    [burst] = figures.bursts
    assert burst.calls["POST datapipelines"] == OBJECTS
    assert burst.calls_per_object - burst.events_per_object <= CALLS


def test_events_are_bounded_however_many_resources_there_are(figures):
    [burst] = figures.bursts
    settling = 10
    assert 0 < burst.calls["POST events"] <= EVENTS_AT_ONCE + EVENTS_A_SECOND * (burst.seconds + settling)


def test_without_webhooks_the_finalizer_is_one_call_more(figures):
    assert figures.unguarded.calls["PATCH datapipelines"] == figures.unguarded.objects


def test_nothing_is_written_while_nothing_happens(figures):
    assert figures.idle.objects == OBJECTS
    assert figures.idle.writes == {}
    assert figures.idle.changed == 0


def test_a_restart_writes_nothing(figures):
    assert figures.restart.objects == OBJECTS
    assert figures.restart.lists.keys() >= {"LIST datapipelines"}
    assert figures.restart.writes == {}
    assert figures.restart.changed == 0


def test_the_others_get_ready_beside_a_poisoned_one(figures):
    assert {sort: burst.objects for sort, burst in figures.poisoned.items()} == dict.fromkeys(
        ("none", "hangs", "fails", "restless"), 6
    )


def test_the_page_shows_each_promise(figures):
    page = text(figures)
    assert all(f"| {line.what} | {line.found} | {line.target} |" in page for line in lines(figures))
