"""Drive turns without an API server: poll the store, and look again at what a change concerns."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cdl.ports.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.meta import Key

    from .reconciler import Reconciler

POLL_SECONDS = 0.2
"""How often the store is asked whether anything changed; one indexed SQLite read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells two states of a resource apart."""

    wish: str
    """Changes with spec, annotations and deletion: what the resource itself has to be looked at for."""
    version: str
    """Changes with everything, status included: what resources that depend on it have to be looked at for."""


class Feed(Protocol):
    """The changes of a store."""

    def version(self) -> int:
        """Give a number that rises with every change."""

    def stamps(self, kind: str) -> Mapping[Key, Stamp]:
        """Give the state of every resource of a kind."""


@dataclass(slots=True)
class _Queue:
    """When each resource of a kind is due, and the states that were known when that was worked out."""

    due: dict[Key, float] = field(default_factory=dict)
    wishes: dict[Key, str] = field(default_factory=dict)
    watched: dict[str, Mapping[Key, Stamp]] = field(default_factory=dict)

    def learn(self, own: Mapping[Key, Stamp], watched: dict[str, Mapping[Key, Stamp]], now: float) -> None:
        """Make due what changed or depends on what changed; a resource's own status is no reason to look again."""
        wishes = {key: stamp.wish for key, stamp in own.items()}
        everything = watched != self.watched
        changed = [key for key in wishes if everything or self.wishes.get(key) != wishes[key]]
        self.due = {key: at for key, at in self.due.items() if key in wishes} | dict.fromkeys(changed, now)
        self.wishes, self.watched = wishes, watched


class Runner:
    """One thread a kind; a key is never in two hands."""

    def __init__(self, reconcilers: Mapping[str, Reconciler[Any, Any, Any, Any]], feed: Feed) -> None:
        """Take what drives each kind, and where changes are seen."""
        self._reconcilers = reconcilers
        self._feed = feed

    def run(self, stop: threading.Event) -> None:
        """Work until stop is set; returns when every turn in progress has ended."""
        threads = [
            threading.Thread(target=self._work, args=(kind, stop), name=f"cdl-{kind.lower()}")
            for kind in self._reconcilers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, kind: str, stop: threading.Event) -> None:
        queue, seen = _Queue(), -1
        watches = self._reconcilers[kind].watches
        while not stop.is_set():
            try:
                version = self._feed.version()
                if version != seen:
                    watched = {other: self._feed.stamps(other) for other in watches}
                    queue.learn(self._feed.stamps(kind), watched, time.monotonic())
                    seen = version
            except PortError as error:  # what was due stays due; a thread that ended would never be missed
                log.warning("%s: changes cannot be read: %s", kind, error)
            self._turns(kind, queue.due, stop)
            stop.wait(POLL_SECONDS)

    def _turns(self, kind: str, due: dict[Key, float], stop: threading.Event) -> None:
        for key in [k for k, at in due.items() if at <= time.monotonic()]:
            if stop.is_set():
                return
            again = self._reconcilers[kind].turn(key.namespace, key.name)
            if again is None:
                due.pop(key, None)
            else:
                due[key] = time.monotonic() + again.total_seconds()
