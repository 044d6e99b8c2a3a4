"""Posts what happened to resources as Kubernetes events: best effort, never in the way of a turn.

The limits are those of Kubernetes' own components: what is said again within ten minutes raises a count instead of
making a new event, and neither one resource nor all of them together can flood the API server.
"""

from __future__ import annotations

import logging
import queue
import secrets
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cdl.loop.planned import PLANNED
from cdl.ports.errors import PortError

from .events import Note, conditions_of, events_of
from .logs import Discreet

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from cdl.api.v1alpha1 import Resource

NAMED = {"name", "namespace", "uid", "resource_version"}
"""Metadata that says which object an event is about."""
MESSAGE_BYTES = 1024
"""The longest message an API server takes."""
SAME_SECONDS = 600
"""What is said again within so long is the same event."""
OBJECT_BURST, OBJECT_REFILL_SECONDS = 25, 300
BURST, PER_SECOND = 25, 5
WAITING = 1000
"""Events that may wait to be posted; more are dropped."""
REMEMBERED = 4096
"""Objects, and events, that are remembered; the longest-unused is forgotten first."""

V = TypeVar("V")
log = logging.getLogger(__name__)


class EventApi(Protocol):
    """The two requests a recorder makes."""

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""

    def merge_patch(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Change fields of an object; None when there is none."""


class Bucket:
    """So many at once, and then so many a second."""

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        """Begin full."""
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._left = min(self._burst, self._left + max(now - self._at, 0) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Recent(Generic[V]):
    """A dictionary that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        """Remember so many."""
        self._size = size
        self._held: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """Give what is remembered, and remember it for longer."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Remember."""
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)


@dataclass(frozen=True, slots=True)
class _Posted:
    path: str
    count: int
    at: float


@dataclass(frozen=True, slots=True)
class _Item:
    about: dict[str, str]
    note: Note
    at: datetime


class Recorder:
    """One thread that posts; whoever records goes on at once."""

    def __init__(
        self,
        api: EventApi,
        component: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        steady: Callable[[], float] = time.monotonic,
        dropped: Callable[[], None] = lambda: None,
        hidden: Iterable[str] = (),
    ) -> None:
        """Post on behalf of a component; `dropped` hears of each event that nobody will read.

        No event shows what is `hidden`, nor what looks like a secret: the error of an engine or of git may.
        """
        self._api = api
        self._component = component
        self._instance = socket.gethostname()
        self._clock = clock
        self._steady = steady
        self._dropped = dropped
        self._spoken = Discreet(hidden).spoken
        self._queue: queue.Queue[_Item | None] = queue.Queue(WAITING)
        self._all = Bucket(BURST, PER_SECOND, steady())
        self._each: Recent[Bucket] = Recent(REMEMBERED)
        self._posted: Recent[_Posted] = Recent(REMEMBERED)
        self._failing = False
        self._last = 0
        """When the newest event was named, in microseconds, or a little later."""
        self._thread = threading.Thread(target=self._work, name="cdl-events", daemon=True)
        self._thread.start()

    def told(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Hear that a status was written, and record what a person wants to know of it."""
        self.record(after, events_of(conditions_of(before), conditions_of(after)))

    def planned(self, resource: Resource, line: str) -> None:
        """Hear what a changed resource leads to, and record it."""
        document = {"apiVersion": resource.api_version, "kind": resource.kind}
        meta = resource.metadata.model_dump(mode="json", by_alias=True, include=NAMED)
        self.record({**document, "metadata": meta}, [Note("Normal", PLANNED, line)])

    def record(self, document: Mapping[str, Any], notes: Iterable[Note]) -> None:
        """Record what happened to an object. Never blocks, never raises."""
        meta = document.get("metadata", {})
        about = {
            "apiVersion": str(document.get("apiVersion", "")),
            "kind": str(document.get("kind", "")),
            "namespace": str(meta.get("namespace") or "default"),
            "name": str(meta.get("name", "")),
            "uid": str(meta.get("uid", "")),
            "resourceVersion": str(meta.get("resourceVersion", "")),
        }
        for note in notes:
            try:
                self._queue.put_nowait(_Item(about, note, self._clock()))
            except queue.Full:
                self._dropped()

    def close(self, seconds: float = 3) -> None:
        """Post what waits, for so long at most, and end."""
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if not self._post(item):
                    self._dropped()
                    continue
                self._failing = False
            except PortError as error:
                self._dropped()
                level = logging.DEBUG if self._failing else logging.WARNING
                log.log(level, "events cannot be posted: %s", error)
                self._failing = True
            except Exception:
                self._dropped()
                log.exception("an event was not posted")
            finally:
                self._queue.task_done()

    def _post(self, item: _Item) -> bool:
        """Post one event, or raise the count of its like; False: there were too many."""
        now, uid = self._steady(), item.about["uid"]
        own = self._each.get(uid)
        if own is None:
            own = Bucket(OBJECT_BURST, 1 / OBJECT_REFILL_SECONDS, now)
            self._each.put(uid, own)
        if not own.take(now) or not self._all.take(now):
            return False
        same = (uid, item.note.reason, item.note.message)
        known = self._posted.get(same)
        if known is not None and now < known.at + SAME_SECONDS:
            change = {"count": known.count + 1, "lastTimestamp": _seconds(item.at)}
            if self._api.merge_patch(known.path, change) is not None:
                self._posted.put(same, _Posted(known.path, known.count + 1, now))
                return True
        event = self._event(item)
        collection = f"/api/v1/namespaces/{item.about['namespace']}/events"
        self._api.create(collection, event)
        self._posted.put(same, _Posted(f"{collection}/{event['metadata']['name']}", 1, now))
        return True

    def _event(self, item: _Item) -> dict[str, Any]:
        at = _seconds(item.at)
        # Events of one second are shown in the order of their names.
        self._last = max(self._last + 1, int(item.at.timestamp() * 1e6))
        name = f"{item.about['name'][:200]}.{self._last:016x}{secrets.token_hex(2)}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": item.about["namespace"]},
            "involvedObject": item.about,
            "type": item.note.type,
            "reason": item.note.reason,
            "message": cut(self._spoken(item.note.message)),
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }


def cut(message: str) -> str:
    """Shorten a message to what an API server takes, between two letters."""
    data = message.encode()
    if len(data) <= MESSAGE_BYTES:
        return message
    return data[: MESSAGE_BYTES - 3].decode(errors="ignore") + "…"


def _seconds(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
