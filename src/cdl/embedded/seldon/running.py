"""Everything together, from the first process to the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvicorn

from cdl.embedded.seldon.api import Api, Message, Receive, Send
from cdl.embedded.seldon.apiserver import ApiServer
from cdl.embedded.seldon.caller import Caller
from cdl.embedded.seldon.controller import Controller
from cdl.embedded.seldon.images import Images
from cdl.embedded.seldon.kubeconfig import Access
from cdl.embedded.seldon.mirror import Mirror
from cdl.embedded.seldon.objects import Objects
from cdl.embedded.seldon.router import Router
from cdl.embedded.seldon.routes import Routes
from cdl.embedded.seldon.store import Store
from cdl.embedded.seldon.window import Window

LEAVE_SECONDS = 3.0


class Application(Protocol):
    """What answers on the port of the Kubernetes paths."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ...


class Source(Protocol):
    """Where the objects come from."""

    @property
    def objects(self) -> Objects:
        """The objects as they are known."""
        ...

    def application(self, controller: Controller) -> Application:
        """Give what answers on the port of the Kubernetes paths."""
        ...

    def begin(self) -> asyncio.Future[None] | None:
        """Begin to hear of changes; gives what ends only when that cannot go on."""
        ...

    def end_watches(self) -> None:
        """Let those who wait for changes go."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class OwnPaths:
    """The objects are told to our own paths, and kept in our own file."""

    def __init__(self, folder: Path) -> None:
        self.objects = Store(folder / "seldon.db")
        self._api: Api | None = None

    def application(self, controller: Controller) -> Application:
        """Answer as an API server does."""
        self._api = Api(self.objects, controller.log_folder)
        return self._api

    def begin(self) -> asyncio.Future[None] | None:
        """Nothing: the paths tell."""
        return None

    def end_watches(self) -> None:
        """Let every watch end."""
        if self._api is not None:
            self._api.end_watches()

    async def close(self) -> None:
        """Let go of the file."""
        self.objects.close()


class RealServer:
    """The objects are in an API server; our own file holds only what was served."""

    def __init__(self, folder: Path, access: Access) -> None:
        self._access = access
        self._memory = Store(folder / "served.db")
        self.objects = Mirror(ApiServer(access), self._memory)

    def application(self, controller: Controller) -> Application:
        """Answer only what an API server does not know: health and logs."""
        return Window(self.objects, controller.log_folder, self._access.server)

    def begin(self) -> asyncio.Future[None] | None:
        """List and watch."""
        return self.objects.start()

    def end_watches(self) -> None:
        """Nobody waits for changes here."""

    async def close(self) -> None:
        """Let go of the API server and of the file."""
        await self.objects.stop()
        self._memory.close()


@dataclass(frozen=True)
class Setting:
    """What a run works with."""

    folder: Path
    images: Images
    kubernetes: str
    """Where the Kubernetes paths are."""
    router: str
    """Where the router is."""
    reached: str
    """Where people reach the router, as the status says."""


async def run(
    connect: Callable[[], Source], setting: Setting, kubernetes: socket.socket, routed: socket.socket
) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    source = connect()
    routes = Routes()
    router = Router(routes)
    callers: set[Caller] = set()
    front = await loop.create_server(lambda: Caller(router, callers), sock=routed)
    controller = Controller(source.objects, routes, setting.images, setting.folder, setting.reached)
    server = _Server(
        uvicorn.Config(
            source.application(controller),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    await controller.start()
    serving = asyncio.ensure_future(server.serve(sockets=[kubernetes]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    following = source.begin()
    print(f"seldon ready {setting.kubernetes} router {setting.router}", flush=True)
    try:
        await _until_stopped(stop, serving, controller.task, following)
    finally:
        source.end_watches()
        server.should_exit = True
        await serving
        front.close()
        await _left(callers)
        await controller.stop()
        await router.close()
        await source.close()


async def _left(callers: set[Caller]) -> None:
    """Close every connection, after the answer that is under way, if it comes soon."""
    for caller in list(callers):
        caller.leave()
    loop = asyncio.get_running_loop()
    until = loop.time() + LEAVE_SECONDS
    while callers and loop.time() < until:  # noqa: ASYNC110 - connections end one by one; there is no one event
        await asyncio.sleep(0.02)
    for caller in list(callers):
        caller.hang_up()


async def _until_stopped(stop: asyncio.Event, *tasks: asyncio.Future[None] | None) -> None:
    """Wait for the signal; a part that ends by itself ends everything, with its reason."""

    async def told() -> None:
        await stop.wait()

    waiting = asyncio.ensure_future(told())
    done, _ = await asyncio.wait(
        [waiting, *(task for task in tasks if task is not None)], return_when=asyncio.FIRST_COMPLETED
    )
    waiting.cancel()
    for task in done - {waiting}:
        task.result()


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: this program has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
