"""Start a forge: ``python -m cdl.embedded.forge --data DIR --port N --users FILE``."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import signal
import socket
import sqlite3
import sys
from pathlib import Path
from typing import IO

import uvicorn

from cdl.embedded.forge import app
from cdl.embedded.forge.accounts import BadUsers, User
from cdl.embedded.forge.forge import Forge


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal; 2 means it could not start, with one sentence why."""
    wish = _parse(arguments)
    data = Path(wish.data).expanduser().absolute()
    try:
        lock = _lock(data)
        listener = _listen(wish.host, wish.port)
    except OSError as error:
        print(f"forge: {error.args[0] if error.errno is None else error}", file=sys.stderr)
        return 2
    with lock, listener:
        url = wish.url.rstrip("/") or f"http://{wish.host}:{listener.getsockname()[1]}"
        try:
            forge = Forge(data, url, Path(wish.users).expanduser())
        except (BadUsers, sqlite3.Error) as error:
            print(f"forge: {error}", file=sys.stderr)
            return 2
        asyncio.run(_serve(forge, app.catch_up(forge), listener))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="forge", description=__doc__)
    parser.add_argument("--data", required=True, help="folder of the durable state")
    parser.add_argument("--port", required=True, type=int, help="port to listen on, 0 for any")
    parser.add_argument("--users", required=True, help="file of the users: username, role, token and more of each")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--url", default="", help="address by which people reach the forge; its own without")
    return parser.parse_args(arguments)


def _lock(data: Path) -> IO[bytes]:
    """Take the data folder for this process alone; the lock goes when the process does."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds tokens and private projects
    held = (data / "lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held.close()
        raise OSError(f"the data folder {data} is in use by another forge") from error
    return held


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from error
    return listener


async def _serve(forge: Forge, unsure: dict[int, User], listener: socket.socket) -> None:
    config = uvicorn.Config(
        app.build(forge, unsure), log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"forge ready {forge.url}", flush=True)
    await stop.wait()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    sys.exit(main())
