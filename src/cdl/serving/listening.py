"""The listening side: uvicorn, told to stop in our way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cdl.serving.app import App
from cdl.serving.environment import Environment

LOG = logging.getLogger("cdl.serving")
GRACE_SECONDS = 15  # less than the 20 that Kubernetes gives a Seldon pod to end
KEEP_ALIVE_SECONDS = 75  # longer than the router keeps an idle connection, so that it is never the server that hangs up


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process with the signal instead of with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Beside(Protocol):
    """What listens beside uvicorn."""

    def stop(self, grace: float | None) -> Awaitable[None]:
        """Accept no more; finish what is in flight, as long as there is grace."""
        ...


def _impatient(seconds: float) -> type[asyncio.Protocol]:
    """The protocol of uvicorn, which hangs up on a caller whose request's head takes longer than that."""

    class Impatient(HttpToolsProtocol):
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            self._clock = self.loop.call_later(seconds, transport.close)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._clock is None:  # not the first request of the connection
                self._clock = self.loop.call_later(seconds, self.transport.close)

        def on_headers_complete(self) -> None:
            self._stop()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

    return Impatient


async def until_stopped(
    app: App,
    listeners: list[socket.socket],
    environment: Environment,
    beside: Callable[[], Awaitable[Beside]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then fail readiness, wait, stop accepting, finish what is in flight."""
    config = uvicorn.Config(
        app,
        http=_impatient(environment.head_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    other = await beside() if beside else None
    leaving: list[asyncio.Future[None]] = []

    def leave() -> None:
        server.should_exit = True
        if other and not leaving:
            leaving.append(asyncio.ensure_future(other.stop(GRACE_SECONDS)))

    def stop() -> None:
        LOG.info("asked to stop")
        app.draining = True
        loop.call_later(environment.drain_seconds, leave)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for what, listener in zip(("ready", "metrics too"), listeners, strict=False):
        host, port = listener.getsockname()[:2]
        LOG.info("%s at http://%s:%d", what, host, port)
    await server.serve(sockets=listeners)
    await asyncio.gather(*leaving)
