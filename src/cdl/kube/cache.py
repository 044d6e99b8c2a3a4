"""What the API server was last seen to hold of our kinds."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdl.loop import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import Resource

Document = dict[str, Any]

REMEMBERED_DELETIONS = 10_000


@dataclass(slots=True)
class Entry:
    """One resource as it was seen last."""

    document: Document
    version: int
    parsed: Resource | None = None
    """The document read as its kind, once somebody did."""


def entry_of(document: Mapping[str, Any]) -> Entry:
    """Take a document in, without the part that says who wrote which field: it is large and nobody reads it."""
    meta = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return Entry({**document, "metadata": meta}, int(meta["resourceVersion"]))


class Cache:
    """The newest state of each resource, whoever brought it: the watch, a list, or the answer to a write of ours."""

    def __init__(self) -> None:
        """Begin empty."""
        self._held: dict[tuple[str, str], dict[str, Entry]] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        """Ids of deleted resources: a late answer about one must not bring it back."""
        self._lock = threading.Lock()

    def put(self, document: Mapping[str, Any]) -> bool:
        """Take a state in, unless a newer one is known; True: it was news."""
        key, entry = key_of(document), entry_of(document)
        uid = str(document["metadata"].get("uid"))
        with self._lock:
            names = self._held.setdefault((key.kind, key.namespace), {})
            known = names.get(key.name)
            if uid in self._gone or (known is not None and known.version >= entry.version):
                return False
            names[key.name] = entry
            return True

    def drop(self, key: Key, uid: str) -> bool:
        """Learn that a resource is gone; True: it was news. Another one of its name stays."""
        with self._lock:
            self._gone[uid] = None
            while len(self._gone) > REMEMBERED_DELETIONS:
                self._gone.popitem(last=False)
            names = self._held.get((key.kind, key.namespace), {})
            known = names.get(key.name)
            if known is None or str(known.document["metadata"].get("uid")) != uid:
                return False
            del names[key.name]
            return True

    def get(self, key: Key) -> Entry | None:
        """Give what is known of a resource."""
        with self._lock:
            return self._held.get((key.kind, key.namespace), {}).get(key.name)

    def knows(self, document: Mapping[str, Any]) -> bool:
        """Tell whether a state is no news: it is known, or a newer one is, or the end of the resource."""
        key, meta = key_of(document), document["metadata"]
        with self._lock:
            known = self._held.get((key.kind, key.namespace), {}).get(key.name)
            return str(meta.get("uid")) in self._gone or (
                known is not None and known.version >= int(meta["resourceVersion"])
            )

    def readiness(self) -> Mapping[tuple[str, str], int]:
        """Count the resources by kind and by the status of their Ready."""
        with self._lock:
            held = [(kind, entry) for (kind, _), names in self._held.items() for entry in names.values()]
        return Counter((kind, _ready(entry.document)) for kind, entry in held)

    def of_kind(self, kind: str, namespace: str | None = None) -> tuple[Entry, ...]:
        """Give what is known of a kind, by namespace and name."""
        with self._lock:
            places = sorted(p for p in self._held if p[0] == kind and namespace in (None, p[1]))
            return tuple(self._held[place][name] for place in places for name in sorted(self._held[place]))


def _ready(document: Document) -> str:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((str(c.get("status")) for c in conditions if c.get("type") == "Ready"), "Unknown")
