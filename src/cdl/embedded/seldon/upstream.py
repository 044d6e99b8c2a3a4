"""A connection from the router to a model server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol, cast

import httptools

from cdl.embedded.seldon.endpoint import Endpoint
from cdl.embedded.seldon.framing import Headers, Response

CONNECT_SECONDS = 5.0


class Lost(Exception):  # noqa: N818 - said of a connection
    """The server hung up, or said something that is not HTTP."""


class Sink(Protocol):
    """Where an answer goes while it arrives."""

    def head(self, response: Response) -> bool:
        """Take the head; says whether a body follows."""
        ...

    def body(self, part: bytes) -> None:
        """Take a part of the body."""
        ...


class Upstream(asyncio.Protocol):
    """Sends one request at a time, hands the answer to a sink as it comes."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sink: Sink | None = None
        self._done: asyncio.Future[None] | None = None
        self._headers: Headers = []
        self._reason = b""
        self._informational = False
        self._until_close = False
        self._reusable = True

    @property
    def usable(self) -> bool:
        """Whether it can carry another request."""
        return self._transport is not None and not self._transport.is_closing() and self._reusable

    async def exchange(self, request: bytes, sink: Sink, seconds: float) -> None:
        """Send a request and hand over the whole answer; raises Lost or TimeoutError."""
        if self._transport is None or self._transport.is_closing():
            raise Lost("the model server hung up")
        self._sink, self._done = sink, asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(seconds):
                await self._done
        finally:
            self._sink = None
            if not self._done.done() or self._done.cancelled() or self._done.exception():
                self.close()

    def pause(self) -> None:
        """Stop reading: the caller does not keep up."""
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # closed in the meantime
                self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    def close(self) -> None:
        """Hang up."""
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()

    # -- what asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._done is None or self._done.done():
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the model server's answer is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer whose end is the end of the connection; any other is lost."""
        self._reusable = False
        if self._done is None or self._done.done():
            return
        if self._until_close and exc is None:
            self._done.set_result(None)
        else:
            self._fail("the model server hung up before its answer was complete")

    # -- what httptools calls -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a head."""
        self._headers, self._reason, self._until_close = [], b"", False

    def on_status(self, reason: bytes) -> None:
        """Take the reason, or a part of it."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand over the head."""
        status = self._parser.get_status_code()
        self._informational = status < 200
        if self._informational or self._sink is None:
            return
        names = {name.lower() for name, _ in self._headers}
        self._until_close = not names & {b"content-length", b"transfer-encoding"}
        if not self._sink.head(Response(status, self._reason, self._headers)):
            # The parser cannot be told that no body follows, so this connection ends here.
            self._reusable = False
            self._finish()

    def on_body(self, part: bytes) -> None:
        """Hand over a part of the body."""
        if self._sink is not None and self._done is not None and not self._done.done():
            self._sink.body(part)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._informational:
            return
        if not self._parser.should_keep_alive():
            self._reusable = False
        self._finish()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, sentence: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Lost(sentence))
        self.close()


async def connected(endpoint: Endpoint) -> Upstream:
    """Give a connection to the endpoint, kept or new; raises OSError when there is none."""
    kept = endpoint.take()
    if kept is not None:
        return cast("Upstream", kept)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, protocol = await loop.create_connection(Upstream, endpoint.host, endpoint.port)
    except TimeoutError as error:
        raise ConnectionRefusedError(f"no connection within {CONNECT_SECONDS:g} seconds") from error
    return protocol


def give_back(endpoint: Endpoint, upstream: Upstream) -> None:
    """Keep a connection that can be used again, close any other."""
    if upstream.usable:
        endpoint.keep(upstream)
    else:
        upstream.close()
