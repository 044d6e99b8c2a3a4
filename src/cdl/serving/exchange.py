"""One HTTP request and its answer, on raw ASGI."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field

import orjson

from cdl.serving.faults import Fault, shown

JSON_TYPE = "application/json"
BODY_LIMIT = 64 << 20
PUID = re.compile(r"[\x21-\x7e]{1,128}")  # visible ASCII: it is echoed in a header

PREDICTION = "x-cdl-prediction"
"""The header that names an answer."""

Scope = MutableMapping[str, object]
Event = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What a caller sent, body and all."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    puid: str = ""

    def json(self) -> dict[str, object]:
        """Read the body as a JSON object."""
        return json_object(self.body)


@dataclass(frozen=True)
class Reply:
    """What the caller gets."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


def answer(value: object, status: int = 200) -> Reply:
    """Make a JSON reply."""
    return Reply(status, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def page(text: str) -> Reply:
    """Make an HTML reply."""
    return Reply(200, text.encode(), "text/html; charset=utf-8")


def json_object(body: bytes) -> dict[str, object]:
    """Read bytes as a JSON object, or say at which byte they are not one."""
    if not body:
        raise Fault(400, "the body is empty; expected a JSON object")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Fault(400, f"the body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise Fault(400, f"the body is {shown(value)}; expected a JSON object")
    return value


def head(scope: Scope) -> Request:
    """Read everything but the body."""
    raw = scope["headers"]
    headers: dict[str, str] = {}
    if isinstance(raw, list):
        for name, value in raw:
            headers[name.decode("latin-1")] = value.decode("latin-1")
    puid = headers.get("seldon-puid", "")
    return Request(
        method=str(scope["method"]),
        path=str(scope["path"]),
        headers=headers,
        puid=puid if PUID.fullmatch(puid) else "",
    )


async def body(request: Request, receive: Receive, seconds: float) -> bytes:
    """Read the body, as long as its sender needs no more than these seconds for it."""
    try:
        async with asyncio.timeout(seconds):
            return await _whole(request, receive)
    except TimeoutError as error:
        sentence = f"the body was not complete within {seconds:g} seconds"
        raise Fault(408, sentence, {"connection": "close"}) from error


async def _whole(request: Request, receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """Read all of the body; one that is too large is read away unkept, so that its sender sees the refusal."""
    announced = request.headers.get("content-length", "0")
    size = int(announced) if announced.isdigit() else 0
    parts: list[bytes] = []
    kept = seen = 0
    while seen <= 4 * limit:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Fault(400, "the caller left before the body was complete")
        part = event.get("body", b"")
        seen += len(part) if isinstance(part, bytes) else 0
        if isinstance(part, bytes) and part and max(size, seen) <= limit:
            parts.append(part)
            kept += len(part)
        elif part:
            parts.clear()
        if not event.get("more_body", False):
            if kept == seen:
                return b"".join(parts)
            break
    raise Fault(413, f"the body is larger than {limit >> 20} MiB, which is the limit", {"connection": "close"})


def check_json_type(request: Request, also: tuple[str, ...] = ()) -> None:
    """Refuse a body in a format nobody here reads."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Fault(415, f"the body has the encoding {encoding!r}; expected none")
    found = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    if found != JSON_TYPE and not found.endswith("+json") and found not in also:
        raise Fault(415, f"the body has the content type {found!r}; expected {JSON_TYPE}")


def new_puid() -> str:
    """Name a prediction nobody has named."""
    return secrets.token_hex(13)


async def deliver(send: Send, reply: Reply, headers: dict[str, str]) -> None:
    """Send the reply with the headers that every answer carries."""
    everything = {
        "content-type": reply.content_type,
        "content-length": str(len(reply.body)),
        **headers,
        **reply.headers,
    }
    encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in everything.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
