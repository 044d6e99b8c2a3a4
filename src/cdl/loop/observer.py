"""What the loop tells of itself while it works: who listens is the caller's business."""

from __future__ import annotations

import functools
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Port = TypeVar("Port")


class Outcome(StrEnum):
    """How a turn ended."""

    DONE = "done"
    """The world was looked at and, where needed, changed."""
    GONE = "gone"
    """The resource does not exist any more."""
    CONFLICT = "conflict"
    """Somebody was faster; the turn is taken again."""
    TROUBLE = "trouble"
    """Something did not work; the resource says what."""


class Hears(Protocol):
    """Listens to calls alone. Nothing here may block or raise."""

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        """Hear that a call returned, or with which class of error it ended."""


class Observer(Protocol):
    """Listens to the loop. Nothing here may block or raise: a turn is never the worse for being watched."""

    def turn(self, kind: str, outcome: Outcome, seconds: float, error_class: str | None = None) -> None:
        """Hear that a turn ended; with trouble, the name of the error's class."""

    def waited(self, kind: str, seconds: float) -> None:
        """Hear how long a key that was due waited for a worker."""

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        """Hear that a call of an engine returned, or with which class of error it ended."""

    def queue(self, kind: str, depth: Callable[[], int], oldest: Callable[[], float]) -> None:
        """Learn how to ask a queue for its length, and for how many seconds the longest-due key has been due."""


class _Silent:
    """Hears nothing."""

    def turn(self, kind: str, outcome: Outcome, seconds: float, error_class: str | None = None) -> None:
        pass

    def waited(self, kind: str, seconds: float) -> None:
        pass

    def called(self, engine: str, call: str, seconds: float, error_class: str | None) -> None:
        pass

    def queue(self, kind: str, depth: Callable[[], int], oldest: Callable[[], float]) -> None:
        pass


SILENT: Observer = _Silent()


def timed(port: Port, engine: str, observer: Hears, clock: Callable[[], float] = time.monotonic) -> Port:
    """Give the port back so that every call of its methods is heard by the observer; the calls themselves pass as is.

    An iterator that a method returns is handed through: heard is the call, not what is read from it later.
    """
    return cast("Port", _Timed(port, engine, observer, clock))


class _Timed:
    """Stands before a port and passes everything through."""

    def __init__(self, port: object, engine: str, observer: Hears, clock: Callable[[], float]) -> None:
        self._port = port
        self._engine = engine
        self._observer = observer
        self._clock = clock

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        heard = self._heard(name, found)
        setattr(self, name, heard)  # made once: a look asks for the same few methods thousands of times
        return heard

    def _heard(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def heard(*args: object, **kwargs: object) -> object:
            start, error_class = self._clock(), None
            try:
                return call(*args, **kwargs)
            except BaseException as error:
                error_class = type(error).__name__
                raise
            finally:
                self._observer.called(self._engine, name, self._clock() - start, error_class)

        return heard
