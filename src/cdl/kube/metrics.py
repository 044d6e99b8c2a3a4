"""What the operator counts, in Prometheus' terms, and the page it is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cdl.loop.observer import Outcome

TURN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CALL_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WAIT_BUCKETS = (0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Listens to the loop (an `Observer`) and to everything around it. Safe to call from any thread."""

    def __init__(self) -> None:
        """Count from nothing, in a registry of its own."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._turns = Counter("cdl_reconcile", "Turns of the loop.", ("kind", "outcome"), registry=registry)
        self._turn_seconds = Histogram(
            "cdl_reconcile_seconds", "How long a turn took.", ("kind",), buckets=TURN_BUCKETS, registry=registry
        )
        self._turn_errors = Counter(
            "cdl_reconcile_errors", "Turns that ended in trouble.", ("kind", "class"), registry=registry
        )
        self._call_seconds = Histogram(
            "cdl_engine_call_seconds",
            "How long a call of an engine took.",
            ("engine", "call"),
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        self._call_errors = Counter(
            "cdl_engine_errors", "Calls of an engine that failed.", ("engine", "call", "class"), registry=registry
        )
        self._depth = Gauge("cdl_queue_depth", "Keys that are due or being worked on.", ("kind",), registry=registry)
        self._oldest = Gauge(
            "cdl_queue_oldest_seconds", "How long the longest-due key has been due.", ("kind",), registry=registry
        )
        self._waits = Histogram(
            "cdl_queue_wait_seconds",
            "How long a key that was due waited for a worker.",
            ("kind",),
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._leader = Gauge("cdl_leader", "1 while this process may write.", registry=registry)
        self._requests = Counter(
            "cdl_api_requests", "Requests to the API server; code is 0 for none.", ("verb", "code"), registry=registry
        )
        self._dropped = Counter("cdl_events_dropped", "Events for people that were not posted.", registry=registry)
        self._leader.set_function(lambda: 0.0)

    def turn(self, kind: str, outcome: Outcome, seconds: float, error_class: str | None = None) -> None:
        """Count a turn."""
        self._turns.labels(kind, outcome.value).inc()
        self._turn_seconds.labels(kind).observe(seconds)
        if error_class is not None:
            self._turn_errors.labels(kind, error_class).inc()

    def waited(self, kind: str, seconds: float) -> None:
        """Count how long a key waited."""
        self._waits.labels(kind).observe(seconds)

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        """Count a call of an engine."""
        self._call_seconds.labels(engine, call).observe(seconds)
        if error_class is not None:
            self._call_errors.labels(engine, call, error_class).inc()

    def queue(self, kind: str, depth: Callable[[], int], oldest: Callable[[], float]) -> None:
        """Ask a queue for its length and age whenever the page is read."""
        self._depth.labels(kind).set_function(depth)
        self._oldest.labels(kind).set_function(oldest)

    def leader(self, held: Callable[[], bool]) -> None:
        """Ask who may write whenever the page is read."""
        self._leader.set_function(lambda: float(held()))

    def requested(self, verb: str, code: int) -> None:
        """Count a request to the API server; code 0: no answer came."""
        self._requests.labels(verb, str(code)).inc()

    def event_dropped(self) -> None:
        """Count an event that nobody will read."""
        self._dropped.inc()

    def resources(self, count: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Ask for the number of resources by kind and status of Ready whenever the page is read."""
        self.registry.register(_Resources(count))


class _Resources(Collector):
    """Resources by kind and readiness, read off the cache: what is gone leaves no line behind."""

    def __init__(self, count: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._count = count

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return (self._family(),)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = self._family()
        for (kind, ready), number in sorted(self._count().items()):
            family.add_metric((kind, ready), number)
        return (family,)

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("cdl_resources", "Resources there are, by Ready.", labels=("kind", "ready"))
