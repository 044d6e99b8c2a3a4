"""Which resource the work at hand is about, so that every line of the log can say it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key


@dataclass(frozen=True, slots=True)
class Subject:
    """A resource, and the generation of it that is being worked on; 0 while that is not known yet."""

    key: Key
    generation: int = 0


_subject: ContextVar[Subject | None] = ContextVar("cdl_subject", default=None)


def subject() -> Subject | None:
    """Say what this thread is working on; None outside of a turn."""
    return _subject.get()


@contextmanager
def about(key: Key, generation: int = 0) -> Iterator[None]:
    """Work on a resource; may be entered again inside, once its generation is known."""
    token = _subject.set(Subject(key, generation))
    try:
        yield
    finally:
        _subject.reset(token)
