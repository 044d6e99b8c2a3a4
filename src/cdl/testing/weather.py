"""What can go wrong on the way to an engine and back, under a test's control."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdl.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Crash(BaseException):
    """The process died here; nobody may catch this but the test."""


@dataclass(slots=True)
class Weather:
    """Engines that share a weather are disturbed together; weathers under one sky share its moments and calls."""

    down: bool = False
    """Nobody answers and nothing happens."""
    lose_reply: bool = False
    """The next call acts, and then nobody answers."""
    crash_in: int | None = None
    """Die at the moment of this number from now; every call has one before and one after it acts."""
    meanwhile: Callable[[], object] | None = None
    """What somebody else does at that moment, instead of a crash."""
    calls: list[str] = field(default_factory=list)
    """The names of the calls that acted, for a person who reads a failing test."""
    sky: Weather | None = None
    """Counts the moments instead of this one, so that a crash can hit any of several engines."""

    def clear_up(self) -> None:
        """Let nothing go wrong any more."""
        self.down, self.lose_reply, self.crash_in, self.meanwhile = False, False, None, None

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Surround what an engine does when it is asked for something.

        Raises:
            Unavailable: it is down, or its reply was lost.
            Crash: this moment was chosen.
        """
        if self.down:
            message = "nobody answers"
            raise Unavailable(message)
        self.moment()
        yield
        (self.sky or self).calls.append(name)
        self.moment()
        if self.lose_reply:
            self.lose_reply = False
            message = "the reply was lost"
            raise Unavailable(message)

    def moment(self) -> None:
        """A place where a process may die, or somebody else may be faster.

        Raises:
            Crash: this moment was chosen.
        """
        if self.sky is not None:
            self.sky.moment()
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in < 0:
            self.crash_in = None
            if self.meanwhile is None:
                raise Crash
            what, self.meanwhile = self.meanwhile, None
            what()
