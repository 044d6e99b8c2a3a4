"""A feed of changes for a store that can only be asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from cdl.ports.errors import PortError

from .stamp import key_of, stamp_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping

    from cdl.api.meta import Key

    from .stamp import Stamp

POLL_SECONDS = 0.2
"""How often the store is asked whether anything changed; one indexed SQLite read."""

log = logging.getLogger(__name__)


class Polled(Protocol):
    """A store that counts its changes."""

    def changed_since(self, version: int) -> tuple[int, tuple[Key, ...]]:
        """Say what was written or removed after a version, and the version now; start with 0."""

    def documents(self) -> Iterable[Mapping[str, Any]]:
        """Give every resource as a plain document."""


class PolledFeed:
    """Tells the changes of a store by asking it for its version again and again."""

    def __init__(self, store: Polled) -> None:
        """Read from a store that others write to."""
        self._store = store
        self._version = 0
        self._known: frozenset[Key] = frozenset()

    def run(self, saw: Callable[[Key, Stamp | None], None], stop: threading.Event) -> None:
        """Tell every resource there is and every change, until stop; None is a resource that is gone."""
        while not stop.is_set():
            try:
                self._tell(saw)
            except PortError as error:  # what changed stays changed
                log.warning("changes cannot be read: %s", error)
            stop.wait(POLL_SECONDS)

    def _tell(self, saw: Callable[[Key, Stamp | None], None]) -> None:
        version, _ = self._store.changed_since(self._version)
        if version == self._version:
            return
        stamps = {key_of(document): stamp_of(document) for document in self._store.documents()}
        for key in self._known - stamps.keys():
            saw(key, None)
        for key, stamp in stamps.items():
            saw(key, stamp)
        self._version, self._known = version, frozenset(stamps)
