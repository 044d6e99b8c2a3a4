"""A watch: the changes after a resource version, one JSON line each, as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cdl.embedded.seldon.fields import Object, key_of, mapping, meta, text
from cdl.embedded.seldon.objects import Event
from cdl.embedded.seldon.refusals import GROUP, KIND, VERSION, Refusal, bad_request
from cdl.embedded.seldon.store import Store

BACKLOG = 10_000  # a watcher that far behind is cut off and lists again
BOOKMARK_SECONDS = 30.0
DEFAULT_SECONDS = 1800.0


@dataclass(frozen=True)
class Selection:
    """Which objects are meant."""

    namespace: str = ""
    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, namespace: str, query: dict[str, str]) -> Selection:
        """Read the selectors of a request; only equality is known here."""
        name = ""
        for field, value in _pairs("fieldSelector", query):
            if field == "metadata.namespace" and namespace in ("", value):
                namespace = value
            elif field == "metadata.name":
                name = value
            else:
                raise bad_request(f"fieldSelector {field!r} is not supported; allowed: metadata.name")
        return cls(namespace, name, tuple(_pairs("labelSelector", query)))

    def has(self, document: Object) -> bool:
        """Whether an object is meant."""
        namespace, name = key_of(document)
        labels = mapping(meta(document).get("labels"))
        return (
            self.namespace in ("", namespace)
            and self.name in ("", name)
            and all(text(labels.get(key)) == value and key in labels for key, value in self.labels)
        )


class Watch:
    """Events of a selection, in order, none missing."""

    def __init__(self, store: Store, selection: Selection, query: dict[str, str]) -> None:
        self._store = store
        self._selection = selection
        self._bookmarks = query.get("allowWatchBookmarks") == "true"
        self._until = asyncio.get_running_loop().time() + _seconds(query)
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG)
        since = query.get("resourceVersion", "")
        if since in ("", "0"):
            past = [Event("ADDED", document) for document in store.everything(selection.namespace)]
        elif since.isdigit():
            past = store.since(int(since), selection.namespace)
        else:
            raise bad_request(f"resourceVersion {since!r} is not a number")
        self._past = [event for event in past if selection.has(event.document)]
        store.listeners.add(self._heard)

    def close(self) -> None:
        """Stop listening."""
        self._store.listeners.discard(self._heard)

    def end(self) -> None:
        """Let the watch end after what has happened."""
        if not self._queue.full():
            self._queue.put_nowait(None)

    async def send_to(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand over line after line until the watch ends."""
        for past in self._past:
            await write(_line(past.type, past.document))
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                    event = await self._queue.get()
            except TimeoutError:
                if self._bookmarks:
                    await write(_line("BOOKMARK", self._bookmark()))
                continue
            if event is None:
                return
            await write(_line(event.type, event.document))

    def _heard(self, event: Event) -> None:
        if not self._selection.has(event.document):
            return
        if self._queue.qsize() >= BACKLOG - 1:
            self.close()
            self.end()
        else:
            self._queue.put_nowait(event)

    def _bookmark(self) -> Object:
        version = str(self._store.version)
        return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": {"resourceVersion": version}}


def error_line(refusal: Refusal) -> bytes:
    """Spell a refusal as the only event of a watch, as the API server does for 410."""
    return _line("ERROR", refusal.status())


def _line(kind: str, document: Object) -> bytes:
    return json.dumps({"type": kind, "object": document}, separators=(",", ":")).encode() + b"\n"


def _seconds(query: dict[str, str]) -> float:
    given = query.get("timeoutSeconds", "")
    return float(given) if given.isdigit() and int(given) else DEFAULT_SECONDS


def _pairs(selector: str, query: dict[str, str]) -> list[tuple[str, str]]:
    pairs = []
    for term in filter(None, query.get(selector, "").split(",")):
        key, equals, value = term.replace("==", "=").partition("=")
        if not equals or key.endswith("!"):
            raise bad_request(f"{selector} {term!r} is not supported; expected key=value")
        pairs.append((key.strip(), value.strip()))
    return pairs
