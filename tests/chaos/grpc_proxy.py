"""A gRPC proxy that knows no message: bytes, metadata and codes of every method and stream pass as they are."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tests.chaos.calls import HANG, KILL_AFTER, KILL_BEFORE, LOST_REPLY, REFUSE, Gate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 64 << 20
OPTIONS = [
    ("grpc.max_receive_message_length", LIMIT),
    ("grpc.max_send_message_length", LIMIT),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    # A channel that has found nobody must knock again soon: an outage is to end when it ends.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]
WORDS = re.compile(rb"[A-Za-z][\w-]{2,}")

Context = Any  # grpc has no types


class GrpcProxy(grpc.GenericRpcHandler):
    """Stands in front of one server; on the wire every kind of call is a stream both ways."""

    def __init__(self, door: str, gate: Gate, target: str) -> None:
        """Forward to a target such as 127.0.0.1:30650; nothing is opened yet."""
        self.door, self.gate, self.target = door, gate, target
        self.listening = 0
        self._lives: dict[str, int] = {}
        self._server: Any = None
        self._channel: Any = None

    async def start(self, port: int = 0) -> int:
        """Listen; give the port."""
        self._channel = grpc.aio.insecure_channel(self.target, options=OPTIONS)
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        self.listening = int(self._server.add_insecure_port(f"127.0.0.1:{port}"))
        await self._server.start()
        return self.listening

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop(0)
        await self._channel.close()

    def service(self, handler_call_details: Context) -> Context:
        """Take every method there is or will be."""
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata

        async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            async for piece in self._handle(method, metadata, requests, context):
                yield piece

        return grpc.stream_stream_rpc_method_handler(handle)

    async def _handle(
        self, method: str, metadata: Any, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        first = await anext(requests, None)
        if not self.gate.is_operator(_port(context.peer())):
            async for piece in self._translated(method, metadata, first, requests, context):
                yield piece
            return
        life = self._lives.setdefault(context.peer(), self.gate.life)
        call, fault = self.gate.arrive(self.door, "RPC", method, _words(first or b"", self.gate), life)
        if fault.kind == HANG:
            await asyncio.sleep(fault.seconds)
        if fault.kind == KILL_BEFORE or self.gate.is_down(self.door):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses")
        if fault.kind == REFUSE:
            await context.abort(grpc.StatusCode[fault.code or "UNAVAILABLE"], f"injected at call {call.number}")
        if fault.kind in {KILL_AFTER, LOST_REPLY}:
            self.gate.reply(call, fault, await self._swallow(method, metadata, first, requests, context))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        async for piece in self._translated(method, metadata, first, requests, context):
            yield piece
        self.gate.reply(call, fault, "OK")

    async def _swallow(
        self, method: str, metadata: Any, first: bytes | None, requests: AsyncIterator[bytes], context: Context
    ) -> str:
        """Let the other side act and keep its answer to ourselves."""
        try:
            async for _ in self._pass(method, metadata, first, requests, context):
                pass
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"

    async def _translated(
        self, method: str, metadata: Any, first: bytes | None, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Pass an answer on, and an error as it is."""
        try:
            async for piece in self._pass(method, metadata, first, requests, context):
                yield piece
        except grpc.aio.AioRpcError as error:
            context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
            await context.abort(error.code(), error.details() or "")

    async def _pass(
        self, method: str, metadata: Any, first: bytes | None, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        async def sent() -> AsyncIterator[bytes]:
            if first is not None:
                yield first
                async for request in requests:
                    yield request

        forwarded = tuple((k, v) for k, v in metadata if not k.startswith("grpc-") and k != "user-agent")
        timeout = context.time_remaining()
        call = self._channel.stream_stream(method)(sent(), metadata=forwarded, timeout=timeout)
        try:
            await context.send_initial_metadata(tuple(await call.initial_metadata() or ()))
            async for piece in call:
                yield piece
            context.set_trailing_metadata(tuple(await call.trailing_metadata() or ()))
        finally:
            call.cancel()


def _port(peer: str) -> int:
    return int(peer.rpartition(":")[2] or 0)


def _words(message: bytes, gate: Gate) -> str:
    """Which of the scenario's objects a message is about, without knowing messages: the longest word with its name."""
    found = {word.decode() for word in WORDS.findall(message)}
    for name in gate.subjects:
        about = [word for word in found if name in word]
        if about:
            return max(sorted(about), key=len)
    return ""
