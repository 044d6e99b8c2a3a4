"""The server: everything put together, from the first listening to the last goodbye."""

import asyncio
import dataclasses
import gc
import signal
import socket
import sys

import grpc

from cdl.embedded.pachd import door
from cdl.embedded.pachd.atwork import AtWork
from cdl.embedded.pachd.children import Children
from cdl.embedded.pachd.crons import Clock
from cdl.embedded.pachd.engine import Engine, Options
from cdl.embedded.pachd.finisher import Finisher
from cdl.embedded.pachd.logs import Logs
from cdl.embedded.pachd.rpc_commits import Commits
from cdl.embedded.pachd.rpc_defaults import Defaults
from cdl.embedded.pachd.rpc_file_sets import FileSets
from cdl.embedded.pachd.rpc_files import Files
from cdl.embedded.pachd.rpc_jobs import Jobs
from cdl.embedded.pachd.rpc_overview import Overview
from cdl.embedded.pachd.rpc_pipelines import Pipelines
from cdl.embedded.pachd.rpc_repos import Repos
from cdl.embedded.pachd.rpc_secrets import Secrets
from cdl.embedded.pachd.rpc_transactions import Transactions
from cdl.embedded.pachd.rpc_walks import Walks
from cdl.embedded.pachd.rpc_workers import Workers
from cdl.embedded.pachd.runner import Foreman
from cdl.embedded.pachd.store import FolderError
from cdl.embedded.pachd.transactions import Desk

MESSAGE_LIMIT = 64 * 1024 * 1024  # the SDK sends 19 MiB at once
SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE = 1.0  # seconds for calls that are under way when the server is told to stop


def check_address(host: str, port: int) -> None:
    """Say in one sentence when the address cannot be listened on."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], found[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
    except OSError as error:
        raise FolderError(f"cannot listen on {host}:{port}: {error.strerror}; give --port another number") from error


def _listen(options: Options, engine: Engine, logs: Logs, at_work: AtWork) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
            ("grpc.so_reuseport", 0),
            # Clients may ask every few seconds whether the connection still lives, also between calls.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
        ]
    )
    handlers: dict[str, door.Unary | door.Stream] = {}
    desk = Desk(engine)
    for part in (
        Repos(engine, desk),
        Commits(engine, desk),
        Files(engine),
        FileSets(engine),
        Pipelines(engine, desk),
        Jobs(engine, desk, logs),
        Workers(engine, at_work),
        Walks(engine),
        Overview(engine),
        Defaults(engine),
        Secrets(engine),
        Transactions(desk),
    ):
        handlers.update(part.handlers())
    server.add_generic_rpc_handlers(tuple(door.services(handlers, options.vault)))
    try:
        port = server.add_insecure_port(f"{options.host}:{options.port}")
    except RuntimeError as error:
        raise FolderError(f"cannot listen on {options.host}:{options.port}; give --port another number") from error
    return server, int(port)


async def serve(options: Options) -> None:
    """Serve until a signal says stop; nothing is left running."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    engine = Engine(options)
    logs = Logs(options.folder)
    children = Children(options.folder / "world" if options.mount_pfs else None)
    at_work = AtWork()
    foreman = Foreman(engine, children, logs, at_work)
    server, port = _listen(options, engine, logs, at_work)
    engine.options = dataclasses.replace(options, port=port)  # what user code is told, also when 0 chose the port
    await server.start()
    tasks = [
        asyncio.create_task(Finisher(engine.store, engine.blobs, engine.layers).run()),
        asyncio.create_task(foreman.run()),
        asyncio.create_task(Clock(engine.store).run()),
    ]
    waiting = asyncio.create_task(stop.wait())
    gc.collect()
    gc.freeze()  # or every few thousand files are paid for with a look at all that was ever imported
    print(f"pachd ready grpc://{options.host}:{port}", flush=True)
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a background task never ends by itself but by a fault of ours
    finally:
        for number in SIGNALS:  # one is enough; a second one must not cut the goodbye short
            signal.signal(number, signal.SIG_IGN)
        await server.stop(GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await children.close()
        logs.close()
        engine.store.close()
        sys.stdout.flush()
