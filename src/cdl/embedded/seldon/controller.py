"""The controller: look at an object and its processes, and bring them closer to each other.

Level-triggered: whatever happened, the whole of a deployment is looked at again. A new set of processes is ready
before the old one is stopped, and what did not change is not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from pathlib import Path

import psutil

from cdl.embedded.seldon import status
from cdl.embedded.seldon.fields import Object, key_of, mapping, meta, whole
from cdl.embedded.seldon.images import Images
from cdl.embedded.seldon.objects import Event, Objects
from cdl.embedded.seldon.plan import Plan, Unservable, Wish, plan
from cdl.embedded.seldon.refusals import Refusal
from cdl.embedded.seldon.resource import now
from cdl.embedded.seldon.routes import Key, Route, RouteArm, Routes
from cdl.embedded.seldon.server import MARK, Server
from cdl.embedded.seldon.validation import faults

LOG = logging.getLogger("cdl.embedded.seldon")
RETRY_SECONDS = 2.0
STRAYS_SECONDS = 10.0


class Deployment:
    """The processes of one object, in one life of it: an object of the same name made later has its own."""

    def __init__(self, controller: Controller, document: Object) -> None:
        self.key = key_of(document)
        self.uid = meta(document).get("uid")
        self.servers: dict[Wish, Server] = {}
        self._controller = controller
        self._current: Plan | None = None  # what is served
        self._target: Plan | None = None  # what is wished for
        self._remembered: Plan | None = None
        self._since: float | None = None  # when the wished set began to be not ready
        self._alarm: asyncio.TimerHandle | None = None
        before = controller.objects.served(*self.key)
        if before is not None and meta(before).get("uid") == self.uid:
            with contextlib.suppress(Unservable):  # written by another version of this engine
                self._current = self._planned(before)
                self._ensure(self._current)
                self._route(self._current)

    def settle(self, document: Object) -> Object:
        """Bring the processes closer to the object; gives the status to write."""
        before = mapping(document.get("status"))
        try:
            target = self._planned(document)
        except Unservable as reason:
            self._target = None
            self._retire()
            return status.failed(str(reason), whole(meta(document).get("generation")), before, now())
        if self._target is None or self._target.wishes != target.wishes:
            self._since = None
        self._target = target
        self._ensure(target)
        seen = self._seen(target)
        if target.wishes <= seen.ready and self._current != target:
            self._current = target
            self._route(target)
        self._retire()
        if self._current == target and self._remembered != target:
            self._controller.objects.remember_served(document)
            self._remembered = target
        self._set_alarm(target)
        return status.status_of(target, seen, self._controller.router, before, now())

    def dismiss(self) -> None:
        """Stop everything: the object is gone."""
        self._current = self._target = None
        self._retire()
        if self._alarm is not None:
            self._alarm.cancel()

    def _planned(self, document: Object) -> Plan:
        for where, wrong in faults(document):  # an API server stores what no webhook of Seldon's has refused
            raise Unservable(f"{where} {wrong}")
        planned = plan(document)
        for wish in planned.wishes:
            self._controller.images.command(wish.image)
        return planned

    def _ensure(self, wished: Plan) -> None:
        for wish in wished.wishes - self.servers.keys():
            log = self._controller.log_path(self.key, wish.predictor)
            command = self._controller.images.command(wish.image)
            self.servers[wish] = Server(
                wish, command, log, self._controller.mark, lambda: self._controller.notice(self.key)
            )

    def _route(self, served: Plan) -> None:
        arms = tuple(
            RouteArm(arm.name, arm.weight, arm.shadow, [self.servers[wish] for wish in arm.answering])
            for arm in served.arms
        )
        self._controller.routes.put(self.key, Route(arms, served.timeout_seconds))

    def _retire(self) -> None:
        """Stop what neither the served nor the wished set needs."""
        needed = {wish for kept in (self._current, self._target) if kept is not None for wish in kept.wishes}
        for wish in self.servers.keys() - needed:
            self._controller.in_background(self.servers.pop(wish).stop())

    def _seen(self, target: Plan) -> status.Seen:
        servers = {wish: self.servers[wish] for wish in target.wishes}
        ready = frozenset(wish for wish, server in servers.items() if server.endpoint is not None)
        at = asyncio.get_running_loop().time()
        if target.wishes <= ready:
            self._since = None
        elif self._since is None:
            self._since = at
        return status.Seen(
            ready=ready,
            last_words={wish: server.last_words for wish, server in servers.items() if server.last_words},
            overdue=self._since is not None and at - self._since >= target.deadline_seconds,
        )

    def _set_alarm(self, target: Plan) -> None:
        """Look again when the deadline passes: nothing else will happen then."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        loop = asyncio.get_running_loop()
        if self._since is not None and self._since + target.deadline_seconds > loop.time():
            at = self._since + target.deadline_seconds
            self._alarm = loop.call_at(at, self._controller.notice, self.key)


class Controller:
    """One task that settles whatever was noticed."""

    def __init__(self, objects: Objects, routes: Routes, images: Images, folder: Path, router: str) -> None:
        self.objects = objects
        self.routes = routes
        self.images = images
        self.router = router
        self.mark = str(folder.resolve())
        self._folder = folder
        self._deployments: dict[Key, Deployment] = {}
        self._noticed: dict[Key, None] = {}  # a set that keeps its order
        self._wake = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """End what an earlier life left running, then look at everything."""
        await asyncio.to_thread(_end_strays, self.mark)
        self.objects.listeners.add(self._heard)
        for document in self.objects.everything():
            self.notice(key_of(document))
        self.task = asyncio.get_running_loop().create_task(self._settle_forever())

    async def stop(self) -> None:
        """Stop every process."""
        self.objects.listeners.discard(self._heard)
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        servers = [server for deployment in self._deployments.values() for server in deployment.servers.values()]
        await asyncio.gather(*(server.stop(drain=False) for server in servers), *self._background)
        await asyncio.to_thread(_end_strays, self.mark)

    def notice(self, key: Key) -> None:
        """Look at this deployment again, soon."""
        self._noticed[key] = None
        self._wake.set()

    def in_background(self, work: Coroutine[None, None, None]) -> None:
        """Let some work go on beside the settling."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def log_path(self, key: Key, predictor: str) -> Path:
        """Where a predictor's processes write."""
        return self.log_folder(key) / f"{predictor}.log"

    def log_folder(self, key: Key) -> Path:
        """Where a deployment's logs are."""
        return self._folder / "logs" / key[0] / key[1]

    def _heard(self, event: Event) -> None:
        key = key_of(event.document)
        if event.type == "DELETED":
            self.routes.remove(key)
        else:
            self.routes.expect(key)
        self.notice(key)

    async def _settle_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._noticed:
                key = next(iter(self._noticed))
                del self._noticed[key]
                self._settle(key)
                await asyncio.sleep(0)

    def _settle(self, key: Key) -> None:
        document = self.objects.get(*key)
        known = self._deployments.get(key)
        if known is not None and (document is None or known.uid != meta(document).get("uid")):
            self._deployments.pop(key).dismiss()
            self.routes.remove(key)
            known = None
        if document is None:
            return
        self.routes.expect(key)
        try:
            if known is None:
                known = self._deployments[key] = Deployment(self, document)
            wanted = known.settle(document)
            if wanted != document.get("status"):
                self.objects.report(document, wanted)
        except Refusal as refusal:  # the disk is full: nothing is lost, the look is repeated
            LOG.warning("%s/%s: %s", *key, refusal.message)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.notice, key)


def _end_strays(mark: str) -> None:
    """End every process that carries our mark: the children's children of a life that was killed."""
    strays = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()
                strays.append(process)
    deadline = time.monotonic() + STRAYS_SECONDS
    while any(map(_alive, strays)) and time.monotonic() < deadline:
        time.sleep(0.02)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # a zombie is somebody else's to reap
    except psutil.Error:
        return False
