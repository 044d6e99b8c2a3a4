"""Every number under its documented name, and none from another process's registry."""

from __future__ import annotations

import inspect

import pytest
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cdl.kube.metrics import Metrics
from cdl.loop.observer import Observer, Outcome, timed
from cdl.ports.errors import Unavailable


@pytest.fixture
def metrics():
    return Metrics()


def samples(metrics, name):
    """The samples of a name, by their labels."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_it_hears_everything_that_an_observer_hears():
    for name, method in vars(Observer).items():
        if not name.startswith("_"):
            assert inspect.signature(getattr(Metrics, name)) == inspect.signature(method), name


def test_turns_are_counted_by_how_they_ended(metrics):
    metrics.turn("Experiment", Outcome.DONE, 0.02)
    metrics.turn("Experiment", Outcome.DONE, 0.7)
    metrics.turn("Experiment", Outcome.TROUBLE, 3, "Unavailable")
    assert samples(metrics, "cdl_reconcile_total") == {
        (("kind", "Experiment"), ("outcome", "done")): 2,
        (("kind", "Experiment"), ("outcome", "trouble")): 1,
    }
    assert samples(metrics, "cdl_reconcile_seconds_count") == {(("kind", "Experiment"),): 3}
    assert samples(metrics, "cdl_reconcile_seconds_sum") == {(("kind", "Experiment"),): pytest.approx(3.72)}
    assert samples(metrics, "cdl_reconcile_errors_total") == {(("class", "Unavailable"), ("kind", "Experiment")): 1}


def test_a_timed_engine_is_counted(metrics):
    class Engine:
        def look(self):
            return 1

        def start(self):
            raise Unavailable("nobody answers")

    engine = timed(Engine(), "determined", metrics)
    engine.look()
    with pytest.raises(Unavailable):
        engine.start()
    look, start = ((("call", call), ("engine", "determined")) for call in ("look", "start"))
    assert samples(metrics, "cdl_engine_call_seconds_count") == {look: 1, start: 1}
    assert samples(metrics, "cdl_engine_errors_total") == {
        (("call", "start"), ("class", "Unavailable"), ("engine", "determined")): 1
    }


def test_a_queue_is_asked_when_the_page_is_read(metrics):
    due = [4.0, 2.5]
    metrics.queue("Release", lambda: len(due), lambda: max(due, default=0))
    assert samples(metrics, "cdl_queue_depth") == {(("kind", "Release"),): 2}
    assert samples(metrics, "cdl_queue_oldest_seconds") == {(("kind", "Release"),): 4.0}
    due.clear()
    assert samples(metrics, "cdl_queue_depth") == {(("kind", "Release"),): 0}
    assert samples(metrics, "cdl_queue_oldest_seconds") == {(("kind", "Release"),): 0}
    metrics.waited("Release", 0.3)
    buckets = samples(metrics, "cdl_queue_wait_seconds_bucket")
    assert buckets[("kind", "Release"), ("le", "0.1")] == 0
    assert buckets[("kind", "Release"), ("le", "0.5")] == 1


def test_nobody_leads_until_somebody_is_asked(metrics):
    assert samples(metrics, "cdl_leader") == {(): 0}
    answers = [True]
    metrics.leader(lambda: answers[0])
    assert samples(metrics, "cdl_leader") == {(): 1}
    answers[0] = False
    assert samples(metrics, "cdl_leader") == {(): 0}


def test_requests_and_lost_events_are_counted(metrics):
    metrics.requested("PATCH", 200)
    metrics.requested("PATCH", 409)
    metrics.requested("GET", 0)
    metrics.event_dropped()
    assert samples(metrics, "cdl_api_requests_total") == {
        (("code", "200"), ("verb", "PATCH")): 1,
        (("code", "409"), ("verb", "PATCH")): 1,
        (("code", "0"), ("verb", "GET")): 1,
    }
    assert samples(metrics, "cdl_events_dropped_total") == {(): 1}


def test_resources_that_are_gone_leave_the_page(metrics):
    there = {("Experiment", "True"): 3, ("Experiment", "False"): 1}
    metrics.resources(lambda: there)
    assert samples(metrics, "cdl_resources") == {
        (("kind", "Experiment"), ("ready", "True")): 3,
        (("kind", "Experiment"), ("ready", "False")): 1,
    }
    del there["Experiment", "False"]
    assert samples(metrics, "cdl_resources") == {(("kind", "Experiment"), ("ready", "True")): 3}


def test_the_process_speaks_of_itself(metrics):
    assert samples(metrics, "process_resident_memory_bytes")[()] > 0
    assert samples(metrics, "process_open_fds")[()] > 0


def test_two_operators_in_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.event_dropped()
    assert samples(other, "cdl_events_dropped_total") == {(): 0}
    assert not any(family.name.startswith("cdl_") for family in REGISTRY.collect())
