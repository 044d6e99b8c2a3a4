"""HTTP/1.1 messages as the router forwards them: what a head means, and how a head is written."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]

# Valid for one connection only (RFC 9110, 7.6.1), so never forwarded; Content-Length is written anew.
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
PUID = b"seldon-puid"
ROUTE = b"x-seldon-route"
PREFIX = b"x-forwarded-prefix"
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass
class Message:
    """A request, complete."""

    method: bytes = b""
    target: bytes = b""
    headers: Headers = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = True
    chunks_allowed: bool = True  # HTTP/1.1; an older caller gets a body that ends with the connection

    def header(self, name: bytes) -> bytes:
        """Give a header's value, empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), b"")


@dataclass(frozen=True)
class Response:
    """A response's head."""

    status: int
    reason: bytes
    headers: Headers


def forwardable(headers: Headers, *more: bytes) -> Headers:
    """Leave out what belongs to one connection, and more names."""
    listed = {
        token.strip().lower() for key, value in headers if key.lower() == b"connection" for token in value.split(b",")
    }
    dropped = HOP_BY_HOP | listed | set(more)
    return [(key, value) for key, value in headers if key.lower() not in dropped]


def request_bytes(message: Message, path: bytes, prefix: bytes, puid: bytes, *, close: bool = False) -> bytes:
    """Write a request for a model server: complete, with its length."""
    lines = [message.method + b" " + path + b" HTTP/1.1"]
    lines += [
        key + b": " + value
        for key, value in forwardable(message.headers, b"content-length", b"expect", PUID, ROUTE, PREFIX)
    ]
    lines += [PUID + b": " + puid, PREFIX + b": " + prefix]
    if message.body or message.method not in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        lines.append(b"content-length: %d" % len(message.body))
    if close:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(message.body)


def puid_of(message: Message) -> bytes:
    """Give the caller's name for the prediction, or a new one."""
    return message.header(PUID) or secrets.token_hex(13).encode()


@dataclass(frozen=True)
class Framing:
    """How the body of an answer ends: after a length, with the last chunk, or with the connection."""

    bodiless: bool
    chunked: bool
    close: bool


def framing(message: Message, response: Response) -> Framing:
    """Choose how to send a body on."""
    bodiless = message.method == b"HEAD" or response.status in (204, 304)
    measured = any(key.lower() == b"content-length" for key, _ in response.headers)
    chunked = not bodiless and not measured and message.chunks_allowed
    return Framing(bodiless, chunked, not message.keep_alive or not (bodiless or measured or chunked))


def response_head(response: Response, frame: Framing, added: Headers) -> bytes:
    """Write the head of an answer for the caller."""
    names = {key for key, _ in added}
    lines = [b"HTTP/1.1 %d " % response.status + response.reason]
    lines += [key + b": " + value for key, value in forwardable(response.headers, *names)]
    lines += [key + b": " + value for key, value in added]
    if frame.chunked:
        lines.append(b"transfer-encoding: chunked")
    lines.append(b"connection: close" if frame.close else b"connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def own_answer(message: Message, status: int, sentence: str, headers: Headers) -> tuple[bytes, bool]:
    """Write an answer of the router's own, in both protocols' error shapes; says whether to hang up."""
    reason = "MICROSERVICE_BAD_DATA" if status < 500 else "MICROSERVICE_INTERNAL_ERROR"
    said = {"status": 1, "info": sentence, "code": status, "reason": reason}
    body = json.dumps({"error": sentence, "status": said}).encode()
    return own_bytes(message, status, body, [(b"content-type", b"application/json"), *headers])


def own_bytes(message: Message, status: int, body: bytes, headers: Headers) -> tuple[bytes, bool]:
    """Write a complete answer."""
    close = not message.keep_alive
    frame = Framing(message.method == b"HEAD", chunked=False, close=close)
    everything = [*headers, (b"content-length", b"%d" % len(body))]
    head = response_head(Response(status, REASONS.get(status, "").encode(), []), frame, everything)
    return head + (b"" if frame.bodiless else body), close
