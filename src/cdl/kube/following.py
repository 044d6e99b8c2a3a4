"""What `cdl gitops` counts and says of itself in a cluster: metrics in Prometheus' terms, and events on resources."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector

from cdl.reconcile.gitops import State

from .events import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cdl.api.v1alpha1 import Resource

APPLIED, PRUNED, CORRECTED, REFUSED = "Applied", "Pruned", "DriftCorrected", "Refused"
"""Reasons of events."""
SHOWN = 12
"""Digits of a commit that a person reads."""
NAMED = {"name", "namespace", "uid", "resource_version"}
"""Metadata that says which object an event is about."""


class Look(Protocol):
    """How one look at a branch, or at the head of a merge request, ended; see cdl.gitops.listener."""

    @property
    def project(self) -> str:
        """The inventory."""

    @property
    def namespace(self) -> str:
        """Where its resources are."""

    @property
    def preview(self) -> bool:
        """It is of a merge request."""

    @property
    def state(self) -> State:
        """How it ended."""

    @property
    def sentence(self) -> str:
        """The same, for people."""

    @property
    def drifted(self) -> int:
        """Resources that are other than git says, and are left so."""

    @property
    def fresh(self) -> bool:
        """Nobody saw this commit before."""

    @property
    def news(self) -> bool:
        """It ended otherwise than the look before."""

    @property
    def committed(self) -> float | None:
        """When a commit was made that is applied for the first time."""


LAG_BUCKETS = (1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400)
CALL_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Record(Protocol):
    """Takes events."""

    def __call__(self, document: Mapping[str, Any], notes: Iterable[Note]) -> None:
        """Record what happened to an object; never blocks, never raises."""


def _nobody(document: Mapping[str, Any], notes: Iterable[Note]) -> None:
    pass


class Following:
    """Listens to who follows a repository. Safe to call from any thread."""

    def __init__(self, record: Record = _nobody, clock: Callable[[], float] = time.time) -> None:
        """Count from nothing, in a registry of its own; without a record no events are posted."""
        self._record = record
        self._close: Callable[[], None] = lambda: None
        self._clock = clock
        self._looked = False
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cdl_gitops_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"cdl_gitops_{name}", text, ("project",), registry=registry)

        self._looks = counter("looks", "Looks at the repository.", "of", "state")
        self._commits = counter("commits", "Commits that were seen, applied, refused.", "of", "outcome")
        self._resources = counter("resources", "Resources that were applied, pruned, corrected.", "of", "outcome")
        self._drifted = gauge("drifted", "Resources that are other than git says, and are left so.")
        self._applied_at = gauge("last_applied_timestamp_seconds", "When a commit was last applied.")
        self._committed_at = gauge("last_applied_commit_timestamp_seconds", "When the last applied commit was made.")
        self._lag = Histogram(
            "cdl_gitops_commit_to_applied_seconds",
            "From a commit to when it was applied for the first time.",
            ("of",),
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._knocks = counter("webhooks", "Webhooks, by what became of them.", "outcome")
        self._forge = counter("forge_calls", "Calls of the forge, by ok or class of error.", "call", "outcome")
        self._forge_seconds = Histogram(
            "cdl_gitops_forge_call_seconds",
            "How long a call of the forge took.",
            ("call",),
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        self._dropped = counter("events_dropped", "Events for people that were not posted.")

    # --- what is heard ------------------------------------------------------------------------------------------------

    def looked(self, look: Look) -> None:
        """Count a look; say on the namespace that a commit is refused."""
        of = _of(preview=look.preview)
        self._looked = self._looked or not look.preview
        self._looks.labels(of, look.state.value).inc()
        if look.fresh:
            self._commits.labels(of, "seen").inc()
        if look.news and look.state is State.APPLIED:
            self._commits.labels(of, "applied").inc()
        if look.news and look.state is State.REFUSED:
            self._commits.labels(of, "refused").inc()
            self._refused(look)
        if look.committed is not None:
            self._lag.labels(of).observe(max(self._clock() - look.committed, 0))
        if not look.preview:  # merge requests come and go, and a number a merge request would never go
            self._drifted.labels(look.project).set(look.drifted)
            if look.committed is not None:
                self._applied_at.labels(look.project).set(self._clock())
                self._committed_at.labels(look.project).set(look.committed)

    def applied(self, resource: Resource, commit: str, strayed: str, *, preview: bool) -> None:
        """Count a resource that was written, and say so on it."""
        self._resources.labels(_of(preview=preview), "corrected" if strayed else "applied").inc()
        said = f"as commit {commit[:SHOWN]} says"
        note = Note("Normal", CORRECTED, strayed) if strayed else Note("Normal", APPLIED, said)
        meta = resource.metadata.model_dump(mode="json", by_alias=True, include=NAMED)
        self._record({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}, [note])

    def pruned(self, document: Mapping[str, Any], commit: str, *, preview: bool) -> None:
        """Count a resource that is deleted, and say so on it."""
        self._resources.labels(_of(preview=preview), "pruned").inc()
        why = f"commit {commit[:SHOWN]} does not have it" if commit else "its merge request is over"
        self._record(document, [Note("Normal", PRUNED, why)])

    def knocked(self, outcome: str) -> None:
        """Count a webhook."""
        self._knocks.labels(outcome).inc()

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        """Count a call of the forge."""
        del engine  # there is one
        self._forge.labels(call, error_class or "ok").inc()
        self._forge_seconds.labels(call).observe(seconds)

    def event_dropped(self) -> None:
        """Count an event that nobody will read."""
        self._dropped.inc()

    def posts(self, record: Record, close: Callable[[], None]) -> None:
        """Have events be posted from now on, until somebody closes."""
        self._record, self._close = record, close

    def close(self) -> None:
        """Post what waits, and end."""
        self._close()

    # --- what is asked ------------------------------------------------------------------------------------------------

    def ready(self) -> tuple[bool, str]:
        """Answer the readiness probe: the branch was looked at, however that ended."""
        return self._looked, "following" if self._looked else "nobody has looked at the branch yet"

    def _refused(self, look: Look) -> None:
        """Say on the namespace, for nothing else is there that the commit is about, that it is refused."""
        if look.namespace:
            meta = {"name": look.namespace, "namespace": look.namespace}
            about = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
            self._record(about, [Note("Warning", REFUSED, look.sentence)])


def _of(*, preview: bool) -> str:
    return "merge request" if preview else "branch"
