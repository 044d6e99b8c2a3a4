"""An HTTP/1.1 proxy on loopback that loses, refuses, delays and cuts what it is told to.

One upstream connection for each of the client's, so that keep-alive and resets reach the other side as they were made.
Answers are passed on piece by piece; watches line by line, so that single events can be dropped, doubled and delayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import h11

from tests.chaos.calls import (
    CONFLICT,
    GONE,
    HANG,
    KILL_AFTER,
    KILL_BEFORE,
    LOST_REPLY,
    REFUSE,
    STALE,
    Call,
    Fault,
    Gate,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

PIECE = 1 << 16
LIMIT = 64 << 20
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST."""


@dataclass(slots=True)
class Answer:
    """A whole answer of the other side."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Exchange:
    """One request of a client, and the connections it came and goes on."""

    request: h11.Request
    body: bytes
    client: h11.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    up: Upstream
    life: int


@dataclass(slots=True)
class HttpProxy:
    """Stands in front of one server."""

    door: str
    gate: Gate
    host: str
    port: int
    upstream_tls: ssl.SSLContext | None = None
    own_tls: ssl.SSLContext | None = None
    describe: Callable[[str, str, bytes], str] = lambda _method, _target, _body: ""
    """Says in a word what a write says."""
    events: Callable[[bytes], Iterable[bytes]] = lambda line: (line,)
    """What becomes of each event of a watch."""
    listening: int = 0
    lists: dict[str, Answer] = field(default_factory=dict)
    """The first answer to each list, to be served stale later."""
    _server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen; give the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self.own_tls, limit=LIMIT)
        self.listening = int(self._server.sockets[0].getsockname()[1])
        return self.listening

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, up = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT), Upstream(self)
        life = self.gate.life
        try:
            while True:
                request, body = await _receive(client, reader)
                if request is None:
                    return
                await self._exchange(Exchange(request, body, client, reader, writer, up, life))
                if client.our_state is h11.MUST_CLOSE or client.their_state is h11.MUST_CLOSE:
                    return
                client.start_next_cycle()
        except (OSError, h11.ProtocolError, EOFError, asyncio.CancelledError):
            return  # either side went away, or the proxy ends; the others are told by the closing below
        finally:
            up.close()
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _exchange(self, it: Exchange) -> None:
        target = it.request.target.decode()
        method, path = _named(it.request.method.decode(), target)
        detail = self.describe(method, target, it.body)
        call, fault = self.gate.arrive(self.door, method, path, detail, it.life)
        if fault.kind == HANG:
            await asyncio.sleep(fault.seconds)
        if fault.kind == KILL_BEFORE or self.gate.is_down(self.door):
            raise _reset(it.writer)
        refusal = _refusal(fault, call)
        if refusal is not None:
            await _send(it, refusal)
            return
        if method == "WATCH":
            await self._watch(it, call, fault)
            return
        answer = await it.up.ask(it.request, it.body)
        if method == "LIST":
            answer = self.lists.setdefault(path, answer) if fault.kind == STALE else answer
            self.lists.setdefault(path, answer)
        self.gate.reply(call, fault, str(answer.status))
        if fault.kind in {KILL_AFTER, LOST_REPLY} or self.gate.is_down(self.door):
            raise _reset(it.writer)
        await _send(it, answer)

    async def _watch(self, it: Exchange, call: Call, fault: Fault) -> None:
        head = await it.up.begin(it.request, it.body)
        self.gate.reply(call, fault, str(head.status_code))
        if fault.kind in {KILL_AFTER, LOST_REPLY}:
            raise _reset(it.writer)
        loop, transport = asyncio.get_running_loop(), it.writer.transport

        def cut() -> None:
            loop.call_soon_threadsafe(transport.abort)

        self.gate.cuts.add(cut)
        gone = asyncio.ensure_future(it.reader.read(1))  # a client that leaves says so by closing
        try:
            headers = [(k, v) for k, v in head.headers if k not in (b"content-length", b"transfer-encoding")]
            it.writer.write(it.client.send(h11.Response(status_code=head.status_code, headers=headers)) or b"")
            await self._lines(it, gone)
            it.writer.write(it.client.send(h11.EndOfMessage()) or b"")
            await it.writer.drain()
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)  # only then may the next request be read
            self.gate.cuts.discard(cut)
            it.up.close()

    async def _lines(self, it: Exchange, gone: asyncio.Future[bytes]) -> None:
        rest = b""
        while True:
            coming = asyncio.ensure_future(it.up.piece())
            await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                raise EOFError
            piece = coming.result()
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                for event in self.events(line):
                    it.writer.write(it.client.send(h11.Data(data=event + b"\n")) or b"")
            await it.writer.drain()
            if not piece:
                return


class Upstream:
    """The connection to the other side that goes with one connection of the client."""

    def __init__(self, proxy: HttpProxy) -> None:
        """Nothing is opened before it is needed."""
        self._proxy = proxy
        self._wire: tuple[h11.Connection, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def begin(self, request: h11.Request, body: bytes) -> h11.Response:
        """Send a request; give the head of the answer. A connection that idled to its end is opened anew."""
        fresh = self._wire is None
        try:
            return await self._begin(request, body)
        except (OSError, EOFError, h11.ProtocolError):
            self.close()
            if fresh:
                raise
            return await self._begin(request, body)

    async def piece(self) -> bytes:
        """Give the next piece of the answer; nothing is its end."""
        if self._wire is None:
            raise EOFError
        wire, reader, _ = self._wire
        event = await _event(wire, reader)
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if wire.our_state is h11.DONE and wire.their_state is h11.DONE:
            wire.start_next_cycle()
        else:
            self.close()
        return b""

    async def ask(self, request: h11.Request, body: bytes) -> Answer:
        """Send a request; give the whole answer."""
        head = await self.begin(request, body)
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        drop = (b"transfer-encoding", b"content-length", b"connection")
        return Answer(head.status_code, [(k, v) for k, v in head.headers if k not in drop], b"".join(pieces))

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire[2].transport.abort()
            self._wire = None

    async def _begin(self, request: h11.Request, body: bytes) -> h11.Response:
        if self._wire is None:
            proxy = self._proxy
            reader, writer = await asyncio.open_connection(
                proxy.host,
                proxy.port,
                ssl=proxy.upstream_tls,
                server_hostname="localhost" if proxy.upstream_tls else None,
            )
            self._wire = (h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT), reader, writer)
        wire, reader, writer = self._wire
        skip = (b"host", b"connection", b"content-length", b"transfer-encoding", b"expect")
        host = f"{self._proxy.host}:{self._proxy.port}".encode()
        headers = [(b"host", host), *((k, v) for k, v in request.headers if k not in skip)]
        if body or request.method in (b"POST", b"PUT", b"PATCH"):
            headers.append((b"content-length", str(len(body)).encode()))
        writer.write(wire.send(h11.Request(method=request.method, target=request.target, headers=headers)) or b"")
        if body:
            writer.write(wire.send(h11.Data(data=body)) or b"")
        writer.write(wire.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        while True:
            event = await _event(wire, reader)
            if isinstance(event, h11.Response):
                return event


async def _event(wire: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := wire.next_event()) is h11.NEED_DATA:
        data = await reader.read(PIECE)
        wire.receive_data(data)
    if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
        raise EOFError
    return event


async def _receive(client: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request | None, bytes]:
    try:
        request = await _event(client, reader)
    except EOFError:
        return None, b""
    if not isinstance(request, h11.Request):
        return None, b""
    pieces = []
    while isinstance(event := await _event(client, reader), h11.Data):
        pieces.append(bytes(event.data))
    return request, b"".join(pieces)


async def _send(it: Exchange, answer: Answer) -> None:
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    it.writer.write(it.client.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    if answer.body and it.request.method != b"HEAD":
        it.writer.write(it.client.send(h11.Data(data=answer.body)) or b"")
    it.writer.write(it.client.send(h11.EndOfMessage()) or b"")
    await it.writer.drain()


def _named(method: str, target: str) -> tuple[str, str]:
    """Tell lists and watches of the API server from other questions; the query names no call."""
    parts = urlsplit(target)
    query = parse_qs(parts.query)
    if method == "GET" and query.get("watch", [""])[0] in {"true", "1"}:
        return "WATCH", parts.path
    is_list = method == "GET" and ("limit" in query or "resourceVersion" in query)
    return ("LIST" if is_list else method), parts.path


def _refusal(fault: Fault, call: Call) -> Answer | None:
    """What the proxy answers in the other side's stead."""
    status = {REFUSE: int(fault.code or 503), CONFLICT: 409, GONE: 410}.get(fault.kind)
    if status is None:
        return None
    reason = {409: "Conflict", 410: "Expired", 429: "TooManyRequests"}.get(status, "ServiceUnavailable")
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{HTTPStatus(status).phrase} (injected at call {call.number})",
        "reason": reason,
        "code": status,
    }
    headers = [(b"content-type", b"application/json")]
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    return Answer(status, headers, json.dumps(body).encode())


def _reset(writer: asyncio.StreamWriter) -> EOFError:
    """Close a connection so that the other end sees a reset, not an end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
    return EOFError("reset")
