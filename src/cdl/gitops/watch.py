"""Look again when somebody knocks, and when the interval is over: polling is the truth, a knock only wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from cdl.ports.errors import PortError, Rejected

if TYPE_CHECKING:
    from .controller import Controller
    from .previews import Outcome, Previews
    from .record import Record
    from .scene import Scene

Looked = TypeVar("Looked", "Record", "Outcome")
PATIENCE = 10.0
"""Seconds that an end waits for a look that goes on."""
BEAT = 1.0
"""Seconds between two looks of whoever tells others: what ended is on the merge request within five."""


class Bell:
    """Wakes one sleeper; however often it is rung meanwhile, that is one waking."""

    def __init__(self) -> None:
        """Start silent."""
        self._rung = threading.Event()
        self._ended = False

    def ring(self) -> None:
        """Wake the sleeper, now or when it next wants to sleep."""
        self._rung.set()

    def end(self) -> None:
        """Wake the sleeper for the last time."""
        self._ended = True
        self._rung.set()

    def wait(self, seconds: float) -> bool:
        """Sleep until a ring or so long; False: it is over."""
        self._rung.wait(seconds)
        self._rung.clear()
        return not self._ended


class _Beside(threading.Thread):
    """Goes on in a thread of its own; when it ends, for whatever reason, somebody is told."""

    def __init__(self, goes_on: Callable[[], None], over: Callable[[], None]) -> None:
        super().__init__(name="beside", daemon=True)
        self._goes_on = goes_on
        self._over = over
        self.fault: PortError | None = None
        self.whole = False

    def run(self) -> None:
        try:
            self._goes_on()
            self.whole = True
        except PortError as error:
            self.fault = error
        finally:
            self._over()


@contextmanager
def going(goes_on: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Have something go on beside the block, until `end`; when either ends, both do.

    It is waited for a little: whatever it is in the middle of then, the next start goes on.

    Raises:
        PortError: what ended it.
    """
    beside = _Beside(goes_on, end)
    beside.start()
    try:
        yield
    finally:
        end()
        beside.join(PATIENCE)
    if beside.fault is not None:
        raise beside.fault
    if not beside.is_alive() and not beside.whole:
        raise Rejected("the merge requests are not followed any more; what is printed above ended it")


def watch(
    controller: Controller,
    bell: Bell,
    interval: float,
    told: Callable[[Record], None],
    seen: Callable[[Record], None] = lambda _: None,
) -> None:
    """Look at a branch until the bell is ended; what a look saw is shown, and told when it is news."""
    _look_on(controller.look, _news, bell, interval, told, seen)


def watch_previews(
    previews: Previews,
    bell: Bell,
    interval: float,
    told: Callable[[Outcome], None],
    seen: Callable[[Outcome], None] = lambda _: None,
) -> None:
    """Look at merge requests until the bell is ended, as `watch` does at the branch.

    They have a bell and a thread of their own: a forge that is slow, or a merge request that is large, does not delay
    the branch.
    """
    _look_on(previews.look, _seen, bell, interval, told, seen)


def _look_on(
    look: Callable[[], Looked],
    news: Callable[[Looked], object],
    bell: Bell,
    interval: float,
    told: Callable[[Looked], None],
    seen: Callable[[Looked], None],
) -> None:
    """Look until the bell is ended; what is like the look before, and changed nothing, is not told."""
    before: Looked | None = None
    while True:
        found = look()
        seen(found)
        if found.changes or before is None or news(found) != news(before):
            told(found)
        before = found
        if not bell.wait(interval):
            return


@contextmanager
def beating(told: Callable[[Scene], None], scene: Callable[[], Scene], seconds: float = BEAT) -> Iterator[None]:
    """Tell others again and again, beside the looks, while the block runs; what fails is tried by the next beat."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds):
            with suppress(PortError, OSError):
                told(scene())

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(seconds)


def _seen(outcome: Outcome) -> tuple[object, ...]:
    return outcome.targets, outcome.kept, outcome.fault


def _news(record: Record) -> tuple[object, ...]:
    return record.state, record.message, record.drift, record.kept
