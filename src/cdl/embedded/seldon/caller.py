"""A caller's connection to the router: requests in, answers out, one at a time and in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import cast

import httptools

from cdl.embedded.seldon import framing
from cdl.embedded.seldon.framing import Framing, Headers, Message, Response
from cdl.embedded.seldon.router import Router
from cdl.embedded.seldon.upstream import Upstream

LOG = logging.getLogger("cdl.embedded.seldon")
BODY_LIMIT = 64 << 20
HEAD_LIMIT = 64 << 10
IDLE_SECONDS = 75.0
ARRIVAL_SECONDS = 300.0  # for a whole request; one that trickles in longer is given up
LINGER_SECONDS = 10.0
PIPELINE = 8  # requests read ahead; more wait in the kernel


class Caller(asyncio.Protocol):
    """Reads requests, has the router answer them, writes the answers."""

    def __init__(self, router: Router, connections: set[Caller]) -> None:
        self._router = router
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._arriving: Message | None = None
        self._head_size = 0
        self._waiting: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None
        self._upstream: Upstream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[int, str] | None = None
        self._caller_done = False  # the caller has closed its side; what it asked is still answered
        self._closing = False  # the answer being written is the last

    # -- what asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._wait(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what was done for this caller."""
        self._connections.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._closing or self._refusal:
            return
        if self._arriving is None or not self._arriving.method:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # nobody here switches protocols: the request is answered as if it had not asked, and is the last
        except httptools.HttpParserError as error:
            self._refuse(400, f"the request is not HTTP/1.1: {error}")
        if self._head_size > HEAD_LIMIT and (self._arriving is None or not self._arriving.method):
            self._refuse(431, f"the request's head is larger than {HEAD_LIMIT >> 10} KiB")

    def eof_received(self) -> bool:
        """Answer what was asked before the caller closed its side."""
        self._caller_done = True
        return self._task is not None

    def pause_writing(self) -> None:
        """Let the model server wait for a slow caller."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        """Go on."""
        if self._upstream is not None:
            self._upstream.resume()

    # -- what httptools calls -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a request."""
        self._arriving = Message()
        self._wait(ARRIVAL_SECONDS)

    def on_url(self, part: bytes) -> None:
        """Take the target, or a part of it."""
        if self._arriving is not None:
            self._arriving.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._arriving is not None:
            self._arriving.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Look at the head: what must be refused is refused before its body arrives."""
        message = self._arriving
        if message is None:
            return
        message.method = self._parser.get_method()
        message.keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        message.chunks_allowed = self._parser.get_http_version() != "1.0"
        self._head_size = 0
        announced = message.header(b"content-length")
        if announced.isdigit() and int(announced) > BODY_LIMIT:
            self._too_large()
        elif message.header(b"expect").lower() == b"100-continue" and self._transport is not None and not self._task:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        if self._arriving is not None and self._refusal is None:
            self._arriving.body += part
            if len(self._arriving.body) > BODY_LIMIT:
                self._too_large()

    def on_message_complete(self) -> None:
        """Queue the request."""
        message, self._arriving = self._arriving, None
        if message is None or self._refusal:
            return
        self._waiting.append(message)
        if len(self._waiting) >= PIPELINE and self._transport is not None:
            self._transport.pause_reading()
        self._next()

    # -- answering ----------------------------------------------------------------------------------------------------

    def say(self, message: Message, status: int, sentence: str, headers: Headers) -> None:
        """Answer with a sentence of the router's own."""
        self._write(*framing.own_answer(message, status, sentence, headers))

    def show(self, message: Message, body: bytes, content_type: bytes) -> None:
        """Answer with a page of the router's own."""
        self._write(*framing.own_bytes(message, 200, body, [(b"content-type", content_type)]))

    def sink(self, message: Message, added: Headers, upstream: Upstream) -> CallerSink:
        """Give the place where a model server's answer goes."""
        self._upstream = upstream
        return CallerSink(self, message, added)

    def write(self, part: bytes) -> None:
        """Send bytes."""
        if self._transport is not None:
            self._transport.write(part)

    def hang_up(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def close_after_this(self) -> None:
        """Answer nothing more on this connection."""
        self._closing = True

    def leave(self) -> None:
        """Close the connection once what is being answered is answered."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def _write(self, answer: bytes, close: bool) -> None:  # noqa: FBT001 - the two come as a pair
        self.write(answer)
        self._closing = self._closing or close

    def _next(self) -> None:
        if self._task is not None or self._transport is None or self._transport.is_closing():
            return
        if self._waiting:
            if self._timer is not None:
                self._timer.cancel()
            message = self._waiting.popleft()
            self._task = asyncio.get_running_loop().create_task(self._router.answer(message, self))
            self._task.add_done_callback(self._answered)
        elif self._refusal is not None:
            self.say(Message(keep_alive=False), *self._refusal, [])
            self._linger(self._transport)
        elif self._caller_done:
            self._transport.close()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = self._upstream = None
        if task.cancelled() or self._transport is None:
            return
        error = task.exception()
        if error is not None:
            LOG.error("a request could not be answered", exc_info=error)
            self.hang_up()
        elif self._closing:
            self._transport.close()
        else:
            if len(self._waiting) < PIPELINE and not self._transport.is_reading():
                self._transport.resume_reading()
            self._wait(IDLE_SECONDS)
            self._next()

    def _linger(self, transport: asyncio.Transport) -> None:
        """Let the caller finish sending what is not read, or it would never see the refusal."""
        self._closing = True
        if transport.can_write_eof():
            transport.write_eof()
        self._wait(LINGER_SECONDS)

    def _refuse(self, status: int, sentence: str) -> None:
        """Say no after everything before it is answered, then close."""
        if self._refusal is None:
            self._refusal = (status, sentence)
            self._arriving = None
            self._next()

    def _too_large(self) -> None:
        self._refuse(413, f"the body is larger than {BODY_LIMIT >> 20} MiB, which is the limit")

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._timed_out)

    def _timed_out(self) -> None:
        if self._arriving is not None and not self._closing:
            self._refuse(408, "the request did not arrive in time")
        elif self._task is None and self._transport is not None:
            self._transport.close()


class CallerSink:
    """Writes a model server's answer to the caller as it comes."""

    def __init__(self, caller: Caller, message: Message, added: Headers) -> None:
        self.begun = False
        self.status = 0
        self._caller = caller
        self._message = message
        self._added = added
        self._frame: Framing | None = None

    def head(self, response: Response) -> bool:
        """Write the head."""
        frame = self._frame = framing.framing(self._message, response)
        self.begun, self.status = True, response.status
        self._caller.write(framing.response_head(response, frame, self._added))
        return not frame.bodiless

    def body(self, part: bytes) -> None:
        """Write a part of the body."""
        chunked = self._frame is not None and self._frame.chunked
        self._caller.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)

    def end(self) -> None:
        """Write the end of the body."""
        if self._frame is not None and self._frame.chunked:
            self._caller.write(b"0\r\n\r\n")
        if self._frame is not None and self._frame.close:
            self._caller.close_after_this()
