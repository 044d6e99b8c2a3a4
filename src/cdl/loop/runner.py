"""Workers, queues and what wakes them: the same for a laptop's file and a cluster's API server."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from cdl.ports.errors import PortError
from cdl.reconcile.decision import PATIENT, SOON, Appointment

from .context import about
from .observer import SILENT
from .queue import WorkQueue
from .reconciler import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdl.api.meta import Key
    from cdl.ports.pulse import Pulse

    from .observer import Observer
    from .stamp import Stamp

WORKERS = 4
BEAT = timedelta(seconds=1)
"""How often each engine is asked for everything at once while somebody waits for it."""
IDLE_BEAT = timedelta(seconds=10)
"""How often while nobody does: so soon is noticed what people change behind our back."""
NAP_SECONDS = 0.1
STRETCHED = {SOON: timedelta(seconds=15), PATIENT: timedelta(minutes=5)}
"""How long a look waits for what a beat or an event will tell anyway; this is for what neither tells."""
JITTER = 0.1

log = logging.getLogger(__name__)


class Feed(Protocol):
    """Where changes of resources come from."""

    def run(self, saw: Callable[[Key, Stamp | None], None], stop: threading.Event) -> None:
        """Tell every resource there is and every change, until stop; None is a resource that is gone."""


class Turner(Protocol):
    """Drives the resources of one kind."""

    def turn(self, namespace: str, name: str) -> timedelta | None:
        """Bring one resource closer to what it should be; say when to look again. None: it is gone."""


class Runner:
    """Turns what is due; a key is never in two hands."""

    def __init__(
        self,
        reconcilers: Mapping[str, Turner],
        pulses: Mapping[str, Pulse] | None = None,
        *,
        workers: int = WORKERS,
        beat: timedelta = BEAT,
        observer: Observer = SILENT,
    ) -> None:
        """Take what drives each kind, and the engine whose beat tells of its resources, by kind."""
        self._reconcilers = reconcilers
        self._pulses = dict(pulses or {})
        self._workers = workers
        self._beat = beat
        self._observer = observer
        self._queues = {kind: WorkQueue() for kind in reconcilers}
        self._neighbours = _Neighbours()
        self._waiting: dict[str, set[Key]] = {kind: set() for kind in reconcilers}
        """Resources whose last look asked for another one soon: those that wait for an engine."""
        self._troubled: dict[str, set[Key]] = {kind: set() for kind in reconcilers}
        """Resources whose last look ended in trouble that time may mend."""
        self._beating: set[str] = set()
        """Kinds whose engine answered the last time it was asked for everything."""
        self._deaf = False
        for kind, queue in self._queues.items():
            observer.queue(kind, lambda q=queue: q.backlog()[0], lambda q=queue: q.backlog()[1])  # type: ignore[misc]  # a default binds the loop's variable

    def saw(self, key: Key, stamp: Stamp | None) -> None:
        """Learn the state of a resource; whoever has to look because of it becomes due."""
        for concerned in self._neighbours.learn(key, stamp):
            if concerned.kind in self._queues:
                self._queues[concerned.kind].add(concerned)

    def run(self, feed: Feed, stop: threading.Event) -> None:
        """Work until stop is set; returns when every turn in progress has ended.

        Raises:
            RuntimeError: the feed ended by itself; a new process has to begin afresh.
        """
        threads = [threading.Thread(target=self._hear, args=(feed, stop), name="cdl-feed")]
        for kind in self._reconcilers:
            threads += [
                threading.Thread(target=self._work, args=(kind, stop), name=f"cdl-{kind.lower()}-{number}")
                for number in range(self._workers)
            ]
        threads += [
            threading.Thread(target=self._listen, args=(kind, stop), name=f"cdl-beat-{kind.lower()}")
            for kind in self._pulses
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        for queue in self._queues.values():
            queue.close()
        for thread in threads:
            thread.join()
        if self._deaf:
            raise RuntimeError("nothing is heard of changes any more; the log has the traceback")

    def _hear(self, feed: Feed, stop: threading.Event) -> None:
        """Listen to the feed; whoever would hear nothing more must not go on as if nothing happened."""
        try:
            feed.run(self.saw, stop)
        except Exception:
            log.exception("the feed ended in a fault of ours")
            self._deaf = True
            stop.set()

    def _work(self, kind: str, stop: threading.Event) -> None:
        queue, reconciler = self._queues[kind], self._reconcilers[kind]
        while not stop.is_set() and (taken := queue.take()) is not None:
            key, overdue = taken
            self._observer.waited(kind, overdue)
            again: timedelta | None = None
            try:
                with about(key):
                    again = reconciler.turn(key.namespace, key.name)
            except Exception:
                log.exception("%s: a turn ended in a fault of ours", key)
                again = timedelta(minutes=1)
            after = self._after(key, again)
            queue.done(key, None if after is None else after.total_seconds())

    def _after(self, key: Key, again: timedelta | None) -> timedelta | None:
        """Let a beat or an event wake what it can, instead of a look of its own for each resource."""
        waiting, troubled = self._waiting[key.kind], self._troubled[key.kind]
        if isinstance(again, Retry):  # no beat tells that trouble is over, so this is never stretched
            waiting.discard(key)
            troubled.add(key)
            return again + again * JITTER * _spread(key)
        troubled.discard(key)
        if again == SOON and not isinstance(again, Appointment):
            waiting.add(key)
        else:
            waiting.discard(key)
        if isinstance(again, Appointment):
            return again
        if again in STRETCHED:
            return STRETCHED[again] if key.kind in self._beating else again
        return again + again * JITTER * _spread(key) if again is not None else None

    def _listen(self, kind: str, stop: threading.Event) -> None:
        """Ask an engine for everything at once, and wake whose part changed."""
        before: Mapping[Key, str] = {}
        while not stop.is_set():
            try:
                now = self._pulses[kind].beat()
            except PortError as error:
                if kind in self._beating:
                    log.warning("%s: its engine does not say what changed: %s", kind, error)
                self._beating.discard(kind)
            except Exception:
                log.exception("%s: what its engine says of changes cannot be understood", kind)
                self._beating.discard(kind)
            else:
                for key in before.keys() | now.keys():
                    if before.get(key) != now.get(key) and self._neighbours.knows(key):
                        self._queues[kind].add(key)
                if kind not in self._beating:  # the engine is back: nobody has to wait for the end of a long retry
                    for key in tuple(self._troubled[kind]):
                        self._queues[kind].add(key)
                before = now
                self._beating.add(kind)
            asked = time.monotonic()
            while not stop.wait(NAP_SECONDS):
                awaited = self._waiting[kind] or self._troubled[kind]
                if time.monotonic() - asked >= (self._beat if awaited else IDLE_BEAT).total_seconds():
                    break


class _Neighbours:
    """Who reads whom, by the stamps seen last."""

    def __init__(self) -> None:
        self._stamps: dict[Key, Stamp] = {}
        self._readers: dict[Key, set[Key]] = {}
        self._lock = threading.Lock()

    def knows(self, key: Key) -> bool:
        """There is such a resource."""
        return key in self._stamps

    def learn(self, key: Key, stamp: Stamp | None) -> frozenset[Key]:
        """Take a state in; give who has to look: the resource itself for its wish, its readers for anything."""
        with self._lock:
            before = self._stamps.get(key)
            if before == stamp:
                return frozenset()
            for subject in before.reads if before else ():
                self._readers[subject].discard(key)
            for subject in stamp.reads if stamp else ():
                self._readers.setdefault(subject, set()).add(key)
            if stamp is None:
                del self._stamps[key]
            else:
                self._stamps[key] = stamp
            concerned = {key} if before is None or stamp is None or before.wish != stamp.wish else set()
            for state in (before, stamp):
                if state is not None and state.subject is not None:
                    concerned |= self._readers.get(state.subject, set())
            return frozenset(concerned)


def _spread(key: Key) -> float:
    """A number from -1 to 1 that is always the same for a key, so that looks do not come in herds."""
    return zlib.crc32(str(key).encode()) % 2001 / 1000 - 1
