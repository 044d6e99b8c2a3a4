"""A quick client: what people do, forty requests at a time, and a watch that says when a resource is Ready."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from cdl.kube import paths

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from cdl.kube.client import Api

    Document = dict[str, Any]

IN_PARALLEL = 40
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
LONGEST_LINE = 2**22
PATIENCE = 300.0


class Client:
    """One session with the API server, as its administrator."""

    def __init__(self, api: Api) -> None:
        """Borrow the address and the credentials of a client of the operator's kind."""
        known = api.configuration
        self._host = known.host
        self._tls = ssl.create_default_context(cafile=known.ssl_ca_cert)
        self._tls.load_cert_chain(known.cert_file, known.key_file)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            base_url=self._host,
            connector=aiohttp.TCPConnector(limit=IN_PARALLEL + 10, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Document | None = None, **query: str) -> Document:
        """Ask for one thing.

        Raises:
            RuntimeError: the API server refuses.
        """
        headers = MERGE_PATCH if method == "PATCH" else {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers, params=query) as answer:
            read: Document = json.loads(await answer.read())
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {read.get('message')}")
            return read

    async def each(self, things: Iterable[Document], do: Callable[[Document], Awaitable[object]]) -> None:
        """Do something with each thing, forty at a time."""
        waiting = iter(things)

        async def work() -> None:
            for thing in waiting:
                await do(thing)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_PARALLEL):
                group.create_task(work())

    async def create(self, document: Document) -> Document:
        """Post a resource."""
        return await self.ask("POST", collection(document), document)

    async def merge(self, document: Document, body: Document, part: str = "") -> Document:
        """Patch a resource, or its status."""
        return await self.ask("PATCH", f"{address(document)}{part}", body)

    async def delete(self, document: Document) -> Document:
        """Delete a resource; a finalizer may keep it."""
        return await self.ask("DELETE", address(document))

    async def version(self, kind: str) -> str:
        """Give the version a watch has to begin at."""
        listed = await self.ask("GET", paths.collection(kind), limit="1")
        return str(listed["metadata"]["resourceVersion"])

    async def watch(self, kind: str, version: str, saw: Callable[[str, Document], None]) -> None:
        """Hand on every event of a kind, until cancelled. An API server cuts who is slow: go on where it stopped."""
        while True:
            query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
            async with self._session.get(paths.collection(kind), params=query, read_bufsize=LONGEST_LINE) as answer:
                with suppress(aiohttp.ClientError):
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            raise RuntimeError(f"watch of {kind}: {event['object'].get('message')}")
                        version = str(event["object"]["metadata"]["resourceVersion"])
                        if event["type"] != "BOOKMARK":
                            saw(event["type"], event["object"])


class Readiness:
    """When which resource was first seen Ready for its generation, and when which was seen gone."""

    def __init__(self, client: Client, kinds: Iterable[str]) -> None:
        """Watch these kinds."""
        self._client = client
        self._kinds = tuple(kinds)
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.ready: dict[tuple[str, str], float] = {}
        self.gone: dict[tuple[str, str], float] = {}

    async def __aenter__(self) -> Self:
        for kind in self._kinds:
            version = await self._client.version(kind)
            self._tasks.append(asyncio.create_task(self._client.watch(kind, version, self._saw)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_in(self, seen: dict[tuple[str, str], float], wanted: set[tuple[str, str]]) -> float:
        """Wait until all wanted were seen; give the moment.

        Raises:
            RuntimeError: not within a few minutes, or the watch failed.
        """
        deadline = time.monotonic() + PATIENCE
        while wanted - seen.keys():
            self._news.clear()
            failed = next((task.exception() for task in self._tasks if task.done()), None)
            missing = wanted - seen.keys()
            if failed is not None or time.monotonic() > deadline:
                message = f"{len(missing)} of {len(wanted)} were not seen, {min(missing)} among them"
                raise RuntimeError(message) from failed
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 1.0)
        return max(seen[one] for one in wanted)

    def _saw(self, what: str, document: Document) -> None:
        one = identity(document)
        if what == "DELETED":
            self.gone.setdefault(one, time.monotonic())
        elif one not in self.ready and is_ready(document):
            self.ready[one] = time.monotonic()
        else:
            return
        self._news.set()


def is_ready(document: Document) -> bool:
    """Tell whether it is Ready, as it is wished now."""
    conditions = (document.get("status") or {}).get("conditions") or ()
    return any(
        c["type"] == "Ready"
        and c["status"] == "True"
        and c.get("observedGeneration") == document["metadata"]["generation"]
        for c in conditions
    )


def identity(document: Document) -> tuple[str, str]:
    """Name a resource within its run."""
    return str(document["kind"]), f"{document['metadata']['namespace']}/{document['metadata']['name']}"


def collection(document: Document) -> str:
    """Where a document is posted to."""
    return paths.collection(document["kind"], document["metadata"]["namespace"])


def address(document: Document) -> str:
    """Where a document lies."""
    return f"{collection(document)}/{document['metadata']['name']}"
