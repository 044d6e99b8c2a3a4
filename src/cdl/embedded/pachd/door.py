"""The gRPC door: handlers by name in, generic handlers out; refusals become status codes."""

import functools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import grpc

from cdl.embedded.pachd import wire
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import is_full
from cdl.embedded.pachd.transactions import OF_CALL
from cdl.embedded.pachd.vault import Vault
from cdl.embedded.pachd.wire import Method, Msg

Unary = Callable[[Msg], Awaitable[Msg]]
Stream = Callable[[Msg], AsyncIterator[Msg]]
Handlers = Mapping[str, Unary | Stream]
Admit = Callable[[Msg, str], None]
HEADER = "authn-token"
NO_AUTH = "the auth service is not activated"


def _refusal(error: Exception) -> tuple[str, str] | None:
    """Turn an error into a status code and a sentence; None for a fault of ours."""
    if isinstance(error, RefusedError):
        return error.code, error.text
    if is_full(error):
        return "RESOURCE_EXHAUSTED", "the disk that holds pachd's data is full; nothing of this request was kept"
    if isinstance(error, sqlite3.OperationalError):
        return "UNAVAILABLE", f"pachd's database cannot be used now: {error}"
    return None


async def _abort(context: Msg, error: Exception) -> None:
    found = _refusal(error)
    if found is None:
        raise error
    await context.abort(getattr(grpc.StatusCode, found[0]), found[1])


def _said(context: Msg, name: str) -> str:
    """Read what came with a call."""
    return next((str(v) for k, v in context.invocation_metadata() or () if k == name), "")


def _unary(handler: Unary, admit: Admit) -> Callable[[Msg, Msg], Awaitable[Msg]]:
    @functools.wraps(handler)
    async def answer(request: Msg, context: Msg) -> Msg:
        # Each call is a task of its own, and so is what it knows.
        OF_CALL.set(_said(context, "pach-transaction"))
        try:
            admit(request, _said(context, HEADER))
            return await handler(request)
        except (RefusedError, OSError, sqlite3.OperationalError) as error:
            await _abort(context, error)

    return answer


def _stream(handler: Stream, admit: Admit) -> Callable[[Msg, Msg], AsyncIterator[Msg]]:
    @functools.wraps(handler)
    async def answer(request: Msg, context: Msg) -> AsyncIterator[Msg]:
        try:
            admit(request, _said(context, HEADER))
            async for message in handler(request):
                yield message
        except (RefusedError, OSError, sqlite3.OperationalError) as error:
            await _abort(context, error)

    return answer


def _refuse(text: str) -> Msg:
    """Answer a method that is not offered; it works for every kind, for no message is read."""

    async def answer(_requests: Msg, context: Msg) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    return grpc.stream_stream_rpc_method_handler(answer)


def _offer(method: Method, handler: Unary | Stream, vault: Vault | None) -> Msg:
    make = getattr(grpc, f"{method.kind}_rpc_method_handler")

    def admit(request: Msg, token: str) -> None:
        if vault is not None:  # of what comes as a stream nothing is known before it is read
            vault.admit(method, None if method.kind.startswith("stream_") else request, token)

    wrapped = _stream(handler, admit) if method.kind.endswith("_stream") else _unary(handler, admit)  # type: ignore[arg-type]  # the kind says which
    return make(
        wrapped, request_deserializer=method.request.FromString, response_serializer=method.response.SerializeToString
    )


def _absence(method: Method) -> str:
    if method.service == "auth_v2.API":
        return NO_AUTH
    return f"{method.service}/{method.name} is not offered by the embedded pachd"


def services(handlers: Handlers, vault: Vault | None = None) -> list[Msg]:
    """Make a generic handler for every service of the SDK; what nobody handles is refused by name."""
    table = wire.methods()
    if unknown := handlers.keys() - table.keys():
        raise ValueError(f"handlers for methods that the SDK does not know: {sorted(unknown)}")
    grouped: dict[str, dict[str, Msg]] = {}
    for key, method in table.items():
        made = _offer(method, handlers[key], vault) if key in handlers else _refuse(_absence(method))
        grouped.setdefault(method.service, {})[method.name] = made
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in grouped.items()]
