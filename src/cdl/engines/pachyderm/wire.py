"""The messages whose number decides the speed, written and read by hand; and a channel with deadlines.

The SDK spends 150 microseconds on building one AddFile and 230 on reading one FileInfo; a side of a dataset has
thousands of them. The bytes are the ones that the SDK would send, on the SDK's own channel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from pachyderm_sdk import Client, constants
from pachyderm_sdk.api import pfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE = 1 << 20
CALL_SECONDS = 60.0
STREAM_SECONDS = 1800.0
FILE = 1
"""FileType.FILE."""
LENGTH_DELIMITED = 2
QUICK_TO_RETURN = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2000)]
"""A channel that has found nobody waits up to two minutes before it knocks again; ours is asked every few seconds."""

Untyped = Any  # grpc and the SDK have no types; what leaves this module has


class Entry(NamedTuple):
    """One file of a commit."""

    path: str
    hash: str
    size: int


class _Deadlines(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]  # grpc has no types
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]  # the same
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]  # the same
):
    """No method of the SDK takes a deadline: a pachd that hangs would hold its caller for ever."""

    def intercept_unary_unary(self, go_on: Untyped, details: Untyped, request: Untyped) -> Untyped:
        return go_on(details._replace(timeout=details.timeout or CALL_SECONDS), request)

    def intercept_unary_stream(self, go_on: Untyped, details: Untyped, request: Untyped) -> Untyped:
        return go_on(details._replace(timeout=details.timeout or STREAM_SECONDS), request)

    def intercept_stream_unary(self, go_on: Untyped, details: Untyped, requests: Untyped) -> Untyped:
        return go_on(details._replace(timeout=details.timeout or STREAM_SECONDS), requests)


def connect(address: str, token: str | None) -> Client:
    """Make the SDK's client; no call is made yet."""
    options = constants.GRPC_CHANNEL_OPTIONS  # one list for every client there is; the SDK takes options nowhere else
    options.extend(option for option in QUICK_TO_RETURN if option not in options)
    client = Client.from_pachd_address(address, auth_token=token)
    client._channel = grpc.intercept_channel(client._channel, _Deadlines())  # noqa: SLF001 - the SDK has no other door to its channel
    client._init_api()  # noqa: SLF001 - binds the methods to that channel
    return client


def write(client: Client, commit: pfs.Commit, requests: Iterable[bytes]) -> None:
    """Send one ModifyFile stream: the commit first, then requests made by `added` and `emptied`."""

    def stream() -> Iterator[bytes]:
        yield _field(1, bytes(commit))
        yield from requests

    call = client._channel.stream_unary("/pfs_v2.API/ModifyFile")  # noqa: SLF001 - without serialisers: bytes pass as they are
    call(stream())


def walk(client: Client, commit: pfs.Commit) -> list[Entry]:
    """List every file of a commit, folders left out.

    Raises:
        grpc.RpcError: as the SDK would raise it.
    """
    request = bytes(pfs.WalkFileRequest(file=pfs.File(commit=commit, path="/")))
    call = client._channel.unary_stream("/pfs_v2.API/WalkFile")  # noqa: SLF001 - as above
    found = (_file_info(message) for message in call(request))
    return [entry for entry in found if entry is not None]


def messages(client: Client, method: str, request: bytes = b"") -> Iterator[bytes]:
    """Stream a method's answers as they are on the wire; read to the end, or grpc complains in the log.

    The request is sent as it is: the SDK cannot leave out a repository, it sends a nameless one.

    Raises:
        grpc.RpcError: as the SDK would raise it.
    """
    yield from client._channel.unary_stream(method)(request, timeout=CALL_SECONDS)  # noqa: SLF001 - as above


def parts(message: bytes) -> dict[int, int | bytes]:
    """Give the fields of a message by number, the last of each."""
    return dict(_fields(message))


def emptied() -> bytes:
    """Ask to delete everything there is."""
    return _field(3, _field(1, b"/"))


def deleted(path: str) -> bytes:
    """Ask to delete one file, or a folder whose name ends in a slash; what is not there is no mistake."""
    return _field(3, _field(1, path.encode()))


def added(path: str, file: Path) -> Iterator[bytes]:
    """Ask to add one file, in pieces; an empty file is one empty piece."""
    with file.open("rb") as content:
        yield piece(path, content.read(PIECE))
        while more := content.read(PIECE):
            yield piece(path, more)


def piece(path: str, content: bytes) -> bytes:
    """Ask to add a piece of a file at its end."""
    return _field(2, _field(1, path.encode()) + _field(3, _field(1, content) if content else b""))


def fetched(path: str, url: str) -> bytes:
    """Ask the server to read a folder of its own machine."""
    source = _field(1, url.encode()) + b"\x10\x01"
    return _field(2, _field(1, path.encode()) + _field(4, source))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: number, and its varint or its bytes."""
    at = 0
    while at < len(message):
        key, at = _read(message, at)
        if key & 7 == LENGTH_DELIMITED:
            size, at = _read(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        else:  # FileInfo and File have no fixed-width fields
            value, at = _read(message, at)
            yield key >> 3, value


def _read(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _file_info(message: bytes) -> Entry | None:
    found = parts(message)
    file, content, size = found.get(1, b""), found.get(5, b""), found.get(4, 0)
    if found.get(2) != FILE or not isinstance(file, bytes) or not isinstance(content, bytes):
        return None
    path = parts(file).get(2, b"")
    return Entry(path.decode() if isinstance(path, bytes) else "", content.hex(), size if isinstance(size, int) else 0)
