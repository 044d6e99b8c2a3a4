"""Start everything: the store, the controller, the router, the API."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import uvloop

from cdl.embedded.seldon import kubeconfig
from cdl.embedded.seldon.images import Images
from cdl.embedded.seldon.running import OwnPaths, RealServer, Setting, run

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Unstartable(Exception):  # noqa: N818 - said of a program
    """The engine cannot start; the message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for chatty in ("uvicorn", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        if options.host not in LOOPBACK and not options.without_access_control:
            raise Unstartable(f"--host {options.host} is not a loopback address; this engine has no access control")
        images = Images.parse(options.image)
        access = kubeconfig.read(options.kubeconfig) if options.kubeconfig else None
        folder: Path = options.data
        with _alone(folder):
            sockets = [_bind(options.host, port) for port in (options.port, options.router_port)]
            kubernetes, router = (_url(options.host, listener) for listener in sockets)
            setting = Setting(folder, images, kubernetes, router, (options.router_url or router).rstrip("/"))
            source = partial(RealServer, folder, access) if access is not None else partial(OwnPaths, folder)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(source, setting, *sockets))
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
    parser.add_argument(
        "--port", type=int, required=True, help="port of the Kubernetes paths, with --kubeconfig of health and logs"
    )
    parser.add_argument("--router-port", type=int, required=True, help="port of the router")
    parser.add_argument(
        "--image", action="append", default=[], metavar="NAME=COMMAND", help="local command for an image; repeatable"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="look after the SeldonDeployments of the API server that this file names"
    )
    parser.add_argument(
        "--router-url", default="", help="address by which people reach the router, for statuses; its own without"
    )
    parser.add_argument(
        "--without-access-control",
        action="store_true",
        help="listen on any address; who must not reach it is kept away by others",
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
