"""Start a master: ``python -m cdl.embedded.determined --data DIR --port N``."""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from typing import IO

import uvicorn

from cdl.embedded.determined import app
from cdl.embedded.determined.master import Master, build

KEEP_ALIVE = 600  # the harness holds its connections between reports; a closed one costs it a retry


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal; 2 means it could not start, with one sentence why."""
    wish = _parse(arguments)
    data = Path(wish.data).expanduser().absolute()
    try:
        lock = _lock(data)
        listener = _listen(wish.host, wish.port)
    except OSError as error:
        print(f"determined: {error.args[0] if error.errno is None else error}", file=sys.stderr)
        return 2
    with lock, listener:
        url = f"http://{wish.host}:{listener.getsockname()[1]}"
        asyncio.run(_serve(build(data, url, wish.slots), listener, url))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="determined", description=__doc__)
    parser.add_argument("--data", required=True, help="folder of the durable state")
    parser.add_argument("--port", required=True, type=int, help="port to listen on, 0 for any")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, help="trials at a time")
    return parser.parse_args(arguments)


def _lock(data: Path) -> IO[bytes]:
    """Take the data folder for this process alone; the lock goes when the process does."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds the tokens of sessions
    held = (data / "lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held.close()
        raise OSError(f"the data folder {data} is in use by another master") from error
    return held


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


async def _serve(master: Master, listener: socket.socket, url: str) -> None:
    config = uvicorn.Config(
        app.build(master),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"determined ready {url}", flush=True)
    await stop.wait()
    # Trials are asked to checkpoint while the API still answers them.
    await master.engine.close()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    sys.exit(main())
