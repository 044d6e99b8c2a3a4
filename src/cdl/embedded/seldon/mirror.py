"""The objects of a real API server, as they were last heard of.

Listed once and then watched: a cut line is taken up again where it was cut, and only when the API server has forgotten
that place is everything listed again. While nobody answers, what is known stays as it is and goes on being served; a
start in such a time begins with what was served last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable

from cdl.embedded.seldon.apiserver import ApiServer, Unreachable
from cdl.embedded.seldon.fields import Object, key_of, meta, text
from cdl.embedded.seldon.objects import Event
from cdl.embedded.seldon.refusals import Refusal
from cdl.embedded.seldon.routes import Key
from cdl.embedded.seldon.store import Store

LOG = logging.getLogger("cdl.embedded.seldon")
PACE = (0.1, 4.0)
"""Seconds to wait before the first try again, and before the last ones."""
GONE, UNKNOWN = 410, 404
RALLY, RALLY_SECONDS = 10, 30.0
"""As many writes of one status within so many seconds are a quarrel with somebody else who writes it."""


class Mirror:
    """What an API server holds; a status goes back to it in the background."""

    def __init__(self, server: ApiServer, memory: Store, pace: tuple[float, float] = PACE) -> None:
        self.listeners: set[Callable[[Event], None]] = set()
        self.synced = False  # everything was listed at least once
        self._server = server
        self._memory = memory
        self._first_wait, self._last_wait = pace
        self._objects: dict[Key, Object] = {key_of(document): document for document in memory.all_served()}
        self._version = ""
        self._wished: dict[Key, Object] = {}
        self._written: dict[Key, deque[float]] = {}
        self._quarrels: set[Key] = set()
        self._wake = asyncio.Event()
        self._trouble = ""
        self._tasks: list[asyncio.Task[None]] = []

    # -- what the controller asks -------------------------------------------------------------------------------------

    def get(self, namespace: str, name: str) -> Object | None:
        """Give an object, or nothing."""
        return self._objects.get((namespace, name))

    def everything(self, namespace: str = "") -> list[Object]:
        """List the objects of a namespace, or all."""
        return [document for key, document in self._objects.items() if namespace in ("", key[0])]

    def report(self, document: Object, status: Object) -> None:
        """Have a status written as soon as the API server takes it; only the newest counts."""
        self._wished[key_of(document)] = status
        self._wake.set()

    def served(self, namespace: str, name: str) -> Object | None:
        """Give the object as it was when it was last fully ready."""
        return self._memory.served(namespace, name)

    def remember_served(self, document: Object) -> None:
        """Keep the object as the one that is served, so that a restart can serve it again."""
        self._memory.remember_served(document)

    # -- living -------------------------------------------------------------------------------------------------------

    def start(self) -> asyncio.Future[None]:
        """Begin to listen and to write; gives what ends only if both cannot go on."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._follow()), loop.create_task(self._write())]
        return asyncio.ensure_future(_first(self._tasks))

    async def stop(self) -> None:
        """Let go of the API server."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._server.close()

    async def _follow(self) -> None:
        delay = self._first_wait
        while True:
            try:
                if not self._version:
                    await self._list()
                async for event in self._server.changes(self._version):
                    delay = self._first_wait
                    self._hear(event)
                delay = self._first_wait  # it ended by itself, as every watch does after a while
            except Unreachable as reason:
                self._complain(str(reason))
            except Refusal as refusal:
                if refusal.code == GONE:
                    self._version = ""
                elif refusal.code == UNKNOWN:
                    self._version = ""
                    await self._define()
                else:
                    self._complain(refusal.message)
            await asyncio.sleep(delay * (1 + random.random()))  # noqa: S311 - it spreads, it keeps no secret
            delay = min(delay * 2, self._last_wait)

    async def _list(self) -> None:
        documents, version = await self._server.objects()
        found = {key_of(document): document for document in documents}
        for key in self._objects.keys() - found.keys():
            self._drop(key)
        for key, document in found.items():
            known = self._objects.get(key)
            self._objects[key] = document
            if known != document:
                self._tell(Event("ADDED" if known is None else "MODIFIED", document))
        self._version = version
        self.synced = True
        self._wake.set()
        self._mended()

    async def _define(self) -> None:
        try:
            await self._server.define()
        except Unreachable as reason:
            self._complain(str(reason))
        except Refusal as refusal:
            self._complain(f"SeldonDeployments cannot be defined: {refusal.message}")

    def _hear(self, event: Event) -> None:
        self._mended()
        key = key_of(event.document)
        self._version = text(meta(event.document).get("resourceVersion")) or self._version
        if event.type in ("ADDED", "MODIFIED"):
            self._take(event)
        elif event.type == "DELETED" and _uid(self._objects.get(key)) == _uid(event.document):
            self._drop(key)

    def _take(self, event: Event) -> None:
        """Keep an object, unless a newer state of it is known: our own writes come back as news."""
        key = key_of(event.document)
        known = self._objects.get(key)
        if known is not None and _uid(known) == _uid(event.document) and _number(known) >= _number(event.document):
            return
        self._objects[key] = event.document
        self._tell(event)

    def _drop(self, key: Key) -> None:
        document = self._objects.pop(key)
        self._wished.pop(key, None)
        self._written.pop(key, None)
        with contextlib.suppress(Refusal):  # a full disk: the next list finds it again
            self._memory.forget_served(*key)
        self._tell(Event("DELETED", document))

    def _tell(self, event: Event) -> None:
        for listener in list(self.listeners):
            listener(event)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        delay = self._first_wait
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.synced and (key := self._due()) is not None:
                try:
                    await self._write_one(key, self._wished[key])
                    delay = self._first_wait
                except Unreachable as reason:
                    self._complain(str(reason))
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, self._last_wait)

    def _due(self) -> Key | None:
        """Give an object whose status is to be written now; a quarrel over one is not worth an API server's time."""
        now = asyncio.get_running_loop().time()
        for key in self._wished:
            times = self._written.get(key)
            if times is None or len(times) < RALLY or now - times[0] > RALLY_SECONDS:
                self._quarrels.discard(key)
                return key
            if key not in self._quarrels:
                LOG.warning("%s/%s: somebody else writes its status too; one controller must go", *key)
            self._quarrels.add(key)
        if self._wished:
            asyncio.get_running_loop().call_later(RALLY_SECONDS / RALLY, self._wake.set)
        return None

    async def _write_one(self, key: Key, status: Object) -> None:
        document = self._objects.get(key)
        if document is not None and document.get("status") != status:
            try:
                written = await self._server.write_status(document, status)
                self._written.setdefault(key, deque(maxlen=RALLY)).append(asyncio.get_running_loop().time())
                if _uid(self._objects.get(key)) == _uid(written):  # else it went while we were being answered
                    self._take(Event("MODIFIED", written))
            except Refusal as refusal:
                if refusal.code not in (UNKNOWN, 409):  # else it changed or is gone, as the watch is about to say
                    LOG.warning("%s/%s: its status was not written: %s", *key, refusal.message)
        if self._wished.get(key) is status:
            del self._wished[key]

    # -- saying -------------------------------------------------------------------------------------------------------

    def _complain(self, trouble: str) -> None:
        """Say what is wrong, once for as long as it lasts."""
        if not self._trouble:
            LOG.warning("%s", trouble)
        self._trouble = trouble

    def _mended(self) -> None:
        if self._trouble:
            LOG.info("the API server at %s answers again", self._server.address)
        self._trouble = ""


def _uid(document: Object | None) -> str:
    return text(meta(document).get("uid")) if document is not None else ""


def _number(document: Object) -> int:
    version = text(meta(document).get("resourceVersion"))
    return int(version) if version.isdigit() else 0


async def _first(tasks: list[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
