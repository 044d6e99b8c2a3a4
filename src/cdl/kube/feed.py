"""KubeFeed: what a watch tells, checked by a list now and then. It knows no kopf; whoever watches calls `event`."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from cdl.api.v1alpha1 import KINDS
from cdl.loop import key_of, stamp_of
from cdl.ports.errors import PortError

from .store import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cdl.api.meta import Key
    from cdl.loop import Stamp

    from .cache import Cache
    from .client import Api

RELIST_SECONDS = 300.0
"""How often everything is listed to find out what a watch did not tell."""
GRACE_SECONDS = 10.0
"""How much later than a list a watch may tell the same."""
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class KubeFeed:
    """Fills the cache and tells its changes. Nothing is told before everything was listed once."""

    def __init__(
        self,
        api: Api,
        cache: Cache,
        namespaces: tuple[str, ...],
        missed: Callable[[str], None],
        *,
        relist: float = RELIST_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        """Look at these namespaces, or at all when there are none; `missed` hears of a watch that does not tell."""
        self._api = api
        self._cache = cache
        self._places: tuple[str | None, ...] = namespaces or (None,)
        self._missed = missed
        self._relist = relist
        self._grace = grace
        self._saw: Callable[[Key, Stamp | None], None] | None = None
        self.primed = threading.Event()
        """Everything was listed and told."""

    def run(self, saw: Callable[[Key, Stamp | None], None], stop: threading.Event) -> None:
        """Tell every resource there is; then compare with a list now and then, until stop."""
        if not self._prime(stop):
            return
        self._saw = saw
        for kind in KINDS:
            for entry in self._cache.of_kind(kind):
                self._tell(key_of(entry.document))
        self.primed.set()
        while not stop.wait(self._relist):
            try:
                lacking = self._compare(stop)
            except PortError as error:
                log.warning("the resources cannot be listed: %s", error)
                continue
            if lacking and not stop.is_set():
                self._missed(f"the watch did not tell of {len(lacking)} changes, {lacking[0]} among them")

    def event(self, deleted: bool, document: Mapping[str, Any]) -> None:  # noqa: FBT001 - what a watch says
        """Take in what a watch tells."""
        if deleted:
            self._cache.drop(key_of(document), str(document["metadata"].get("uid")))
        else:
            self._cache.put(document)
        self._tell(key_of(document))

    def _tell(self, key: Key) -> None:
        """Tell what is known of a resource by now, which may be newer than the reason to tell it."""
        if self._saw is not None:
            entry = self._cache.get(key)
            self._saw(key, None if entry is None else stamp_of(entry.document))

    def _prime(self, stop: threading.Event) -> bool:
        said = ""
        while not stop.is_set():
            try:
                for document in self._everything():
                    self._cache.put(document)
                return True
            except PortError as error:
                if str(error) != said:
                    log.warning("waiting for the API server: %s", error)
                    said = str(error)
                stop.wait(RETRY_SECONDS)
        return False

    def _everything(self) -> Iterator[dict[str, Any]]:
        for kind in KINDS:
            for place in self._places:
                documents, _ = listed(self._api, kind, place)
                yield from documents

    def _compare(self, stop: threading.Event) -> list[Key]:
        """Find what a list shows and the watch did not tell, and take it in."""
        before = {key_of(e.document): e for kind in KINDS for e in self._cache.of_kind(kind)}
        there = {key_of(document): document for document in self._everything()}
        newer = {k: d for k, d in there.items() if not self._cache.knows(d)}
        gone = {k: str(e.document["metadata"]["uid"]) for k, e in before.items() if k not in there}
        lacking, until = len(newer) + len(gone), time.monotonic() + self._grace
        while lacking and time.monotonic() < until and not stop.wait(self._grace / 20):
            newer = {k: d for k, d in newer.items() if not self._cache.knows(d)}
            gone = {k: uid for k, uid in gone.items() if self._still(k, uid)}
            if len(newer) + len(gone) < lacking:  # late, as in a burst on a busy machine, but not silent
                lacking, until = len(newer) + len(gone), time.monotonic() + self._grace
        for document in newer.values():
            self.event(deleted=False, document=document)
        for key in gone:
            self.event(deleted=True, document=before[key].document)
        return [*newer, *gone]

    def _still(self, key: Key, uid: str) -> bool:
        entry = self._cache.get(key)
        return entry is not None and entry.document["metadata"].get("uid") == uid
