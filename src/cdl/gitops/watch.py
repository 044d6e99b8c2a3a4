"""Look again when somebody knocks, and when the interval is over: polling is the truth, a knock only wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .controller import Controller
    from .record import Record


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


def watch(controller: Controller, bell: Bell, interval: float, told: Callable[[Record], None]) -> None:
    """Look until the bell is ended; a look that is like the one before says nothing."""
    before: Record | None = None
    while True:
        record = controller.look()
        if record.changes or before is None or _news(record) != _news(before):
            told(record)
        before = record
        if not bell.wait(interval):
            return


def _news(record: Record) -> tuple[object, ...]:
    return record.state, record.message, record.drift, record.kept
