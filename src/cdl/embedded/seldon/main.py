"""Start everything: the store, the controller, the router, the API."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import uvicorn
import uvloop

from cdl.embedded.seldon.api import Api
from cdl.embedded.seldon.caller import Caller
from cdl.embedded.seldon.controller import Controller
from cdl.embedded.seldon.images import Images
from cdl.embedded.seldon.router import Router
from cdl.embedded.seldon.routes import Routes
from cdl.embedded.seldon.store import Store

LOG = logging.getLogger("cdl.embedded.seldon")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LEAVE_SECONDS = 3.0


class Unstartable(Exception):  # noqa: N818 - said of a program
    """The engine cannot start; the message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        if options.host not in LOOPBACK:
            raise Unstartable(f"--host {options.host} is not a loopback address; this engine has no access control")
        images = Images.parse(options.image)
        folder: Path = options.data
        with _alone(folder):
            sockets = [_bind(options.host, port) for port in (options.port, options.router_port)]
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_run(folder, images, options.host, *sockets))
    except (Unstartable, ValueError) as reason:
        sys.stderr.write(f"seldon: {reason}\n")
        return 2
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"seldon: {options.data} cannot be used: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cdl.embedded.seldon", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for objects and logs")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port of the Kubernetes paths")
    parser.add_argument("--router-port", type=int, required=True, help="port of the router")
    parser.add_argument(
        "--image", action="append", default=[], metavar="NAME=COMMAND", help="local command for an image; repeatable"
    )
    return parser


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[IO[str]]:
    """Hold the folder, so that two engines never share it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unstartable(f"{folder} is in use by another embedded Seldon") from error
        yield lock


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unstartable(f"cannot listen on {host}:{port}: {reason}") from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


async def _run(folder: Path, images: Images, host: str, kubernetes: socket.socket, routed: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = Store(folder / "seldon.db")
    routes = Routes()
    router = Router(routes)
    callers: set[Caller] = set()
    front = await loop.create_server(lambda: Caller(router, callers), sock=routed)
    controller = Controller(store, routes, images, folder, _url(host, routed))
    api = Api(store, controller.log_folder)
    server = _Server(
        uvicorn.Config(api, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=2)
    )
    await controller.start()
    serving = asyncio.ensure_future(server.serve(sockets=[kubernetes]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    print(f"seldon ready {_url(host, kubernetes)} router {_url(host, routed)}", flush=True)
    try:
        await _until_stopped(stop, serving, controller.task)
    finally:
        api.end_watches()
        server.should_exit = True
        await serving
        front.close()
        await _left(callers)
        await controller.stop()
        await router.close()
        store.close()


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
