"""HTTP in and out: one call as a value, answers and errors in grpc-gateway's JSON."""

import inspect
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cdl.embedded.determined.errors import ApiError, Code, invalid
from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.records import Allocation

API = "/api/v1"
TRUE = ("true", "1")
NUMBER = re.compile(r"-?[0-9]{1,18}")  # what fits a column
LARGEST_BODY = 128 << 20


@dataclass(frozen=True)
class User:
    """Who is calling."""

    id: int
    username: str
    admin: bool
    active: bool
    display_name: str = ""
    remote: bool = False


@dataclass(frozen=True)
class Call:
    """A request that has been read and whose sender is known."""

    request: Request
    body: Tree
    user: User
    token: str
    allocation: Allocation | None

    def path(self, name: str) -> str:
        """Return a path parameter."""
        return str(self.request.path_params[name])

    def id(self, name: str = "id") -> int:
        """Return a numeric path parameter.

        Raises:
            ApiError: it is not a number.
        """
        value = self.path(name)
        if not NUMBER.fullmatch(value) or value.startswith("-"):
            raise invalid(f"{name} must be a number, found {value!r}")
        return int(value)

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.request.query_params.get(name, default)

    def queries(self, name: str) -> list[str]:
        """Return a repeated query parameter."""
        return self.request.query_params.getlist(name)

    def whole(self, name: str, default: int = 0) -> int:
        """Return a numeric query parameter.

        Raises:
            ApiError: it is not a number.
        """
        value = self.query(name)
        if value and not NUMBER.fullmatch(value):
            raise invalid(f"{name} must be a number, found {value!r}")
        return int(value) if value else default

    def admin(self, what: str) -> None:
        """Go on only for an administrator.

        Raises:
            ApiError: the caller is none.
        """
        if not self.user.admin:
            raise ApiError(Code.PERMISSION_DENIED, f"user '{self.user.username}' may not {what}: only an admin may")

    def owner(self, user_id: int, what: str) -> None:
        """Go on only for an administrator or the one it belongs to.

        Raises:
            ApiError: the caller is neither.
        """
        if user_id != self.user.id:
            self.admin(what)

    def flag(self, name: str) -> bool | None:
        """Return a boolean query parameter, None when absent."""
        value = self.query(name)
        return value.lower() in TRUE if value else None


Answer = Mapping[str, object] | Response
Handler = Callable[[Call], Answer | Awaitable[Answer]]
Authenticate = Callable[[Request], tuple[User, str, Allocation | None]]
NOBODY = User(0, "", admin=False, active=False)


class Routes:
    """Collect handlers under paths; every one but the open ones needs a token."""

    def __init__(self, authenticate: Authenticate) -> None:
        """Ask ``authenticate`` who is calling."""
        self.found: list[Route] = []
        self._authenticate = authenticate

    def add(self, method: str, path: str, handler: Handler, *, public: bool = False) -> None:
        """Serve ``method path`` below /api/v1; a path that starts with // is taken as it is."""
        whole = path[1:] if path.startswith("//") else API + path

        async def serve(request: Request) -> Response:
            found = (NOBODY, "", None) if public else self._authenticate(request)
            answer = handler(Call(request, await _body(request), *found))
            if inspect.isawaitable(answer):
                answer = await answer
            return answer if isinstance(answer, Response) else JSONResponse(dict(answer))

        self.found.append(Route(whole, serve, methods=[method]))


async def _body(request: Request) -> Tree:
    """Read a JSON object; clients send none, or send it without a content type."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise invalid(f"the request body is larger than {LARGEST_BODY >> 20} MiB")
    if not raw:
        return {}
    try:
        found = json.loads(bytes(raw), parse_constant=str)  # NaN and infinities travel as strings
    except ValueError as error:
        raise invalid(f"the request body is not JSON: {error}") from error
    except RecursionError as error:
        raise invalid("the request body is nested too deeply") from error
    if not isinstance(found, dict):
        raise invalid("the request body must be a JSON object")
    return found


def stream(lines: AsyncIterator[Mapping[str, object]]) -> Response:
    """Answer newline-delimited results; an error in the middle becomes the last line."""

    async def encode() -> AsyncIterator[bytes]:
        try:
            async for line in lines:
                yield json.dumps({"result": line}).encode() + b"\n"
        except ApiError as error:
            yield json.dumps({"error": _stream_error(error)}).encode() + b"\n"

    return StreamingResponse(encode(), media_type="application/json")


def page(call: Call, name: str, found: list[Tree]) -> Tree:
    """Cut one page out of a list; no limit means all."""
    total, offset = len(found), call.whole("offset")
    start = min(max(total + offset if offset < 0 else offset, 0), total)
    limit = call.whole("limit")
    end = min(start + limit, total) if limit > 0 else total
    bounds = {"offset": offset, "limit": limit, "startIndex": start, "endIndex": end}
    return {name: found[start:end], "pagination": bounds | {"total": total}}


def stamp(when: float | None) -> str | None:
    """Write a time as RFC 3339."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(written: str) -> float:
    """Read an RFC 3339 time; now when there is none.

    Raises:
        ApiError: it is something else.
    """
    if not written:
        return time.time()
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError as error:
        raise invalid(f"not a timestamp: {written!r}") from error


def _refusal(code: Code, message: str) -> Response:
    body = {"error": {"code": code.number, "reason": code.reason, "error": message}}
    return JSONResponse(body | {"message": message}, status_code=code.status)


def _stream_error(error: ApiError) -> Tree:
    return {
        "grpcCode": error.code.number,
        "httpCode": error.code.status,
        "message": error.message,
        "httpStatus": error.code.reason,
        "details": [],
    }


async def on_api_error(_request: Request, error: Exception) -> Response:
    """Answer a client's mistake."""
    code = error.code if isinstance(error, ApiError) else Code.INTERNAL
    return _refusal(code, str(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what no route serves: 404, or 501 when the path exists with another method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = Code.UNIMPLEMENTED if status == 405 else Code.NOT_FOUND
    return _refusal(code, f"{request.method} {request.url.path} is not served by this master")


async def on_store_error(_request: Request, error: Exception) -> Response:
    """Answer a full or broken disk; the transaction has been taken back."""
    return _refusal(Code.RESOURCE_EXHAUSTED, f"the master could not store the change: {error}")


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """The client left while sending; nobody reads this."""
    return Response(status_code=499)


ON_ERROR: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ApiError: on_api_error,
    HTTPException: on_http_error,
    sqlite3.Error: on_store_error,
    OSError: on_store_error,
    ClientDisconnect: on_disconnect,
}
