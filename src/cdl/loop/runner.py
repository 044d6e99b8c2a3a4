"""Drive turns without an API server: whatever changed, look at everything of the kind again."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cdl.api.meta import Key

    from .reconciler import Reconciler

POLL_SECONDS = 0.2
"""How often the store is asked whether anything changed; one indexed SQLite read."""

log = logging.getLogger(__name__)


class Runner:
    """One thread a kind; a key is never in two hands."""

    def __init__(
        self,
        reconcilers: dict[str, Reconciler[Any, Any, Any, Any]],
        version: Callable[[], int],
        keys: Callable[[str], Iterable[Key]],
    ) -> None:
        """Take what drives each kind.

        Args:
            reconcilers: kind name to its reconciler.
            version: gives a number that rises with every change in the store.
            keys: gives every resource of a kind.
        """
        self._reconcilers = reconcilers
        self._version = version
        self._keys = keys

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
        due: dict[Key, float] = {}
        seen = -1
        while not stop.is_set():
            version = self._version()
            if version != seen:
                seen = version
                now = time.monotonic()
                due = dict.fromkeys(self._keys(kind), now)
            self._turns(kind, due, stop)
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
