"""One of many: a Lease says who may write, by the rules of Kubernetes' own components.

Two clocks never have to agree. A candidate measures, on its own clock, for how long it has seen the same record; the
leader counts its term from before it asked for it. The leader stops `renew_deadline` after that, others begin
`duration` after they last saw it renew: what lies between is for a write that had just begun.

A process that lost its lease must not go on. Its threads may be in the middle of something, so it ends at once
(`os._exit` with a failure), and whoever supervises it starts it again, as a candidate.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from cdl.ports.errors import Conflict, PortError

from .lease import GROUP_VERSION, Move, Record, Sighting, Terms, document, free_at, move, read, released, sighted, taken

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_WATCH = 1.0
"""Seconds between two looks at the clock: a machine that slept must notice soon after it woke."""
_chance = random.SystemRandom()
log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """The three requests an election makes. Each should give up well within the renew deadline."""

    def get(self, path: str) -> dict[str, Any] | None:
        """Read an object; None when there is none."""

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object in a collection; Conflict when it exists."""

    def update(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace an object; Conflict when it changed since its resourceVersion."""


def identity() -> str:
    """Give a name that no other process has, and this one never had before."""
    return f"{socket.gethostname()}_{os.getpid()}_{_chance.getrandbits(64):016x}"


def uptime() -> float:
    """Give seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc() -> datetime:
    """Give the time that is written into the record, for people."""
    return datetime.now(UTC)


class Election:
    """One candidate: `acquire` until it leads, ask `held` before each write, end the process when `lost` is set."""

    def __init__(
        self,
        api: LeaseApi,
        namespace: str,
        name: str,
        terms: Terms | None = None,
        *,
        me: str | None = None,
        lost: threading.Event | None = None,
        clock: Callable[[], float] = uptime,
        wall: Callable[[], datetime] = utc,
    ) -> None:
        """Stand for a Lease; nothing is asked before `acquire`. `me` is the name of a predecessor surely dead."""
        self.me = me or identity()
        self.lost = lost or threading.Event()
        """Set, for ever, when leadership ended otherwise than by `release`."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._terms = terms or Terms()
        self._clock = clock
        self._wall = wall
        self._collection = f"/apis/{GROUP_VERSION}/namespaces/{namespace}/leases"
        self._seen: Sighting | None = None
        self._mine: Record | None = None
        """Our record as the server last confirmed it; None when it has to be read first."""
        self._until: float | None = None
        """When our term ends, unless it is renewed; None while we do not lead."""
        self._said = ""
        """What was in the way at the last try: an outage is told once."""
        self._closing = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()

    def acquire(self, stop: threading.Event, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Wait until we lead, and go on leading in the background; False when stop was set first.

        `meanwhile` is called after each try in vain.
        """
        log.info("lease %s: waiting for it as %s", self._name, self.me)
        while not stop.is_set():
            if self.step():
                log.info("lease %s: leading as %s", self._name, self.me)
                self._start()
                return True
            meanwhile()
            stop.wait(self._pause())
        return False

    def glance(self) -> None:
        """See the record without standing for it: once we do, it is known for how long nobody has renewed it."""
        with contextlib.suppress(PortError):
            self._look()

    def held(self) -> bool:
        """Say whether a write may begin now: we lead, and nobody else can before that write is through."""
        return self._in_term() and not self._closing.is_set()

    def release(self) -> None:
        """Give the lease back after the last write, so that the next need not wait. Never raises."""
        self._closing.set()
        for thread in self._threads:
            thread.join(self._terms.renew_deadline)
        if not self._in_term():
            return
        self._until = None
        for _ in range(2):  # a renewal whose reply was lost may have changed the record once
            try:
                self._let_go()
            except Conflict:
                self._mine = None
                continue
            except PortError as error:
                log.warning("lease %s: not released, it runs out by itself: %s", self._name, error)
            return

    def step(self) -> bool:
        """Look and move once; say whether our term was begun or prolonged. What time can mend is not raised."""
        begun = self._clock()
        try:
            ours = not self.lost.is_set() and self._try()
        except PortError as error:
            self._mine = None  # it may have been done all the same: read before the next try
            known = isinstance(error, Conflict) or str(error) == self._said
            log.log(logging.DEBUG if known else logging.WARNING, "lease %s: %s", self._name, error)
            self._said = str(error)
            return False
        self._said = ""
        if not ours:
            return False
        if self._until is not None and not self._in_term():
            self._lose("renewed after the renew deadline")
            return False
        if self._clock() >= begun + self._terms.renew_deadline:
            return False  # written too slowly to count on; being ours, it can be renewed at once
        self._until = begun + self._terms.renew_deadline
        return True

    def _try(self) -> bool:
        """Do what the rules say; True when the server confirmed a record with our name on it."""
        if self._mine is not None:
            old: Record | None = self._mine
        else:
            seen = self._look()
            todo = move(self.me, seen, self._clock(), self._terms.duration)
            if self._until is not None and todo not in {Move.RENEW, Move.CREATE}:
                self._lose(f"somebody else wrote it, it is held by {seen.record.holder if seen.record else ''!r}")
                return False
            if todo is Move.WAIT:
                return False
            old = seen.record
        self._mine = self._write(taken(self.me, old, self._wall(), self._terms.duration), new=old is None)
        self._seen = sighted(self.me, self._seen, self._mine, self._clock())
        return True

    def _look(self) -> Sighting:
        raw = self._api.get(f"{self._collection}/{self._name}")
        self._seen = sighted(self.me, self._seen, read(raw) if raw is not None else None, self._clock())
        return self._seen

    def _write(self, record: Record, *, new: bool) -> Record:
        body = document(record, self._namespace, self._name)
        if new:
            return read(self._api.create(self._collection, body))
        return read(self._api.update(f"{self._collection}/{self._name}", body))

    def _let_go(self) -> None:
        record = self._mine or self._look().record
        if record is not None and record.holder == self.me:
            self._write(released(record, self._wall()), new=False)
            log.info("lease %s: released", self._name)

    def _in_term(self) -> bool:
        until = self._until
        return until is not None and not self.lost.is_set() and self._clock() < until

    def _lose(self, why: str) -> None:
        if not self.lost.is_set():
            self.lost.set()
            log.error("lease %s: lost by %s: %s", self._name, self.me, why)

    def _pause(self) -> float:
        """Wait a retry period, and a little more by chance; less when the record runs out before."""
        period = self._terms.retry_period * _chance.uniform(1, 1.2)
        if self._seen is None:
            return period
        left = free_at(self.me, self._seen, self._terms.duration) - self._clock()
        return min(period, left) if left > 0 else period

    def _start(self) -> None:
        work = {"cdl-lease-renew": self._renew, "cdl-lease-watch": self._watch}
        self._threads = tuple(threading.Thread(target=w, name=name, daemon=True) for name, w in work.items())
        for thread in self._threads:
            thread.start()

    def _renew(self) -> None:
        while not self._closing.wait(self._terms.retry_period) and not self.lost.is_set():
            self.step()

    def _watch(self) -> None:
        """Notice the end of the term even while a renewal hangs."""
        while not self._closing.wait(self._nap()) and not self.lost.is_set():
            if not self._in_term():
                self._lose(f"not renewed for {self._terms.renew_deadline} s")

    def _nap(self) -> float:
        left = (self._until or 0.0) - self._clock()
        return min(max(left, 0.0), LONGEST_WATCH)
