"""Keys that are due: each once, each in one pair of hands at most, the longest due first."""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdl.api.meta import Key


class WorkQueue:
    """A queue for many workers. Adding a key that is being worked on makes it due again when that work is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin empty; the clock gives seconds."""
        self._clock = clock
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        """Holds every due key that nobody works on at its time, and entries that were overtaken."""
        self._busy: set[Key] = set()
        self._changed = threading.Condition()
        self._closed = False

    def add(self, key: Key, after: float = 0.0) -> None:
        """Make a key due in so many seconds; an earlier time it is due at already stands."""
        with self._changed:
            at = self._clock() + after
            if self._due.get(key, at + 1) <= at:
                return
            self._due[key] = at
            if key not in self._busy:
                heapq.heappush(self._heap, (at, key))
                self._changed.notify()

    def forget(self, key: Key) -> None:
        """Let a key not be due any more."""
        with self._changed:
            self._due.pop(key, None)

    def take(self) -> tuple[Key, float] | None:
        """Wait for a due key; give it and for how many seconds it has been due. None: the queue was closed."""
        with self._changed:
            while not self._closed:
                self._drop_overtaken()
                now = self._clock()
                if self._heap and self._heap[0][0] <= now:
                    at, key = heapq.heappop(self._heap)
                    del self._due[key]
                    self._busy.add(key)
                    return key, now - at
                self._changed.wait(self._heap[0][0] - now if self._heap else None)
        return None

    def done(self, key: Key, after: float | None = None) -> None:
        """Give a key back, to be due again in so many seconds, or only when somebody adds it."""
        with self._changed:
            self._busy.discard(key)
            if key in self._due:  # added while it was worked on
                heapq.heappush(self._heap, (self._due[key], key))
                self._changed.notify()
        if after is not None:
            self.add(key, after)

    def close(self) -> None:
        """Let every worker go home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def backlog(self) -> tuple[int, float]:
        """How many keys are due by now, and for how many seconds the first of them has been."""
        with self._changed:
            now = self._clock()
            waits = [now - at for at in self._due.values() if at <= now]
            return len(waits), max(waits, default=0.0)

    def _drop_overtaken(self) -> None:
        while self._heap and (self._due.get(self._heap[0][1]) != self._heap[0][0] or self._heap[0][1] in self._busy):
            heapq.heappop(self._heap)
