"""HTTP in and out: paths as they were sent (GitLab's have encoded slashes), one call as a value, pages of lists.

Handlers run in threads, one at a time; all but the reading ones inside a transaction.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from cdl.embedded.forge.accounts import DEVELOPER, NOBODY, REPORTER, User
from cdl.embedded.forge.errors import ApiError, forbidden, incomplete, missing, unauthorized
from cdl.embedded.forge.git import GitError, Repository
from cdl.embedded.forge.store import Tree

if TYPE_CHECKING:
    from cdl.embedded.forge.forge import Forge

NUMBER = re.compile(r"[0-9]{1,15}")
API = "/api/v4"
LARGEST_PAGE = 100
LARGEST_BODY = 64 << 20
TRUE = {"true", "1", "t", "yes", "on"}


@dataclass
class Call:
    """A request that has been read and whose sender is known."""

    forge: Forge
    method: str
    path: str
    user: User
    names: Mapping[str, str]
    given: Tree
    headers: dict[str, str] = field(default_factory=dict)
    """What the answer carries beside its body."""

    def name(self, name: str) -> str:
        """Give a part of the path."""
        return self.names[name]

    def number(self, name: str) -> int:
        """Give a part of the path that is a number.

        Raises:
            ApiError: it is none.
        """
        if not NUMBER.fullmatch(self.names[name]):
            raise incomplete(name, "is invalid")
        return int(self.names[name])

    def text(self, name: str, default: str = "") -> str:
        """Give a parameter as text."""
        value = self.given.get(name)
        return default if value is None else str(value)

    def needed(self, name: str) -> str:
        """Give a parameter that must be there.

        Raises:
            ApiError: it is not.
        """
        if self.given.get(name) is None:
            raise incomplete(name)
        if not (value := str(self.given[name])):
            raise incomplete(name, "is empty")
        return value

    def whole(self, name: str, default: int) -> int:
        """Give a numeric parameter.

        Raises:
            ApiError: it is no number.
        """
        value = self.text(name)
        if value and not NUMBER.fullmatch(value):
            raise incomplete(name, "is invalid")
        return int(value) if value else default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give a parameter that is on or off."""
        value = self.given.get(name)
        return default if value is None else value is True or str(value).lower() in TRUE

    def words(self, name: str) -> list[str]:
        """Give a list, sent as such or with commas."""
        value = self.given.get(name, [])
        return [str(word) for word in value] if isinstance(value, list) else [w for w in str(value).split(",") if w]

    def project(self, access: int = 0) -> Tree:
        """Give the project of the path, if the caller has that role in it.

        Raises:
            ApiError: there is none for this caller, or the role is too small.
        """
        found = self.forge.project(self.name("project"))
        level = self.forge.accounts.access(self.user, found) if found else 0
        if found is None or (not level and found["visibility"] != "public"):
            raise missing("Project")
        if level < access:
            raise forbidden() if self.user.id else unauthorized()
        return found

    def repository(self, access: int = REPORTER) -> tuple[Tree, Repository]:
        """Give the project and its repository."""
        project = self.project()
        if project["visibility"] != "public" or access > REPORTER:
            project = self.project(access)
        return project, self.forge.repository(project)

    def writes(self, access: int = DEVELOPER) -> Tree:
        """Give the project of a call that changes it; the token of a job may not.

        Raises:
            ApiError: as `project`.
        """
        if self.user.job:
            raise forbidden()
        return self.project(access)

    def page(self, found: Sequence[Any]) -> Response:
        """Cut one page out of a list, with GitLab's headers."""
        size = min(max(self.whole("per_page", 20), 1), LARGEST_PAGE)
        number = max(self.whole("page", 1), 1)
        last = max(-(-len(found) // size), 1)
        return self.answer_page(list(found[(number - 1) * size : number * size]), number, size, last, len(found))

    def answer_page(self, items: list[Any], number: int, size: int, last: int, total: int) -> Response:
        """Answer one page of a list that is known to be that long."""
        near = {"prev": number - 1 if number > 1 else 0, "next": number + 1 if number < last else 0}
        links = {rel: page for rel, page in (near | {"first": 1, "last": last}).items() if page}
        rest = {k: v for k, v in self.given.items() if k not in {"page", "per_page"} and not isinstance(v, list | dict)}
        address = f"{self.forge.url}{self.path}"
        link = ", ".join(
            f'<{address}?{urlencode(rest | {"page": page, "per_page": size})}>; rel="{rel}"'
            for rel, page in links.items()
        )
        headers = {
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Next-Page": str(near["next"] or ""),
            "X-Prev-Page": str(near["prev"] or ""),
            "X-Total": str(total),
            "X-Total-Pages": str(last),
            "Link": link,
        }
        return JSONResponse(items, headers=headers)


Answer = Mapping[str, Any] | Response | Sequence[Any] | None
Handler = Callable[[Call], Answer]


class Routes:
    """Collect handlers under paths."""

    def __init__(self, forge: Forge) -> None:
        """Serve this forge."""
        self._forge = forge
        self._found: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Serve `method path` below the API; {name} stands for one part of the path, {name*} for all the rest."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(API + path))
        pattern = re.sub(r"\\{(\w+)\\\*\\}", r"(?P<\1>.+)", pattern)
        self._found.append((method, re.compile(pattern), handler))

    async def serve(self, request: Request) -> Response:
        """Find the handler, read the request, say who calls, answer."""
        path = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0]
        matches = [(method, match, run) for method, rule, run in self._found if (match := rule.fullmatch(path))]
        fitting = [(match, run) for method, match, run in matches if method == request.method]
        try:
            if not fitting:
                raise ApiError(405, {"error": "405 Not Allowed"}) if matches else missing()
            match, handler = fitting[0]
            given = dict(request.query_params) | await _body(request)
            user = self._forge.caller(request)
            names = {name: unquote(value) for name, value in match.groupdict().items()}
            if any("\0" in word for word in _words([names, given])):
                raise ApiError(400, {"message": "400 Bad request - string contains null byte"})
            call = Call(self._forge, request.method, path, user, names, given)
            return await run_in_threadpool(self._run, call, handler)
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status)
        except ClientDisconnect:
            return Response(status_code=499)
        except (sqlite3.Error, OSError) as error:
            print(f"forge: {request.method} {request.url.path}: {error}", file=sys.stderr)
            return JSONResponse({"message": "500 Internal Server Error"}, status_code=500)

    def _run(self, call: Call, handler: Handler) -> Response:
        store = self._forge.store
        if call.method != "GET":
            if call.user is NOBODY:
                raise unauthorized()
            if call.user.read_only:
                raise _insufficient()
        with store.lock:
            try:
                if call.method == "GET":
                    return _response(handler(call), call)
                with store.transaction():
                    answer = handler(call)
            except GitError as error:
                raise ApiError(400, {"message": str(error).splitlines()[0]}) from error
        self._forge.outbox.wake()
        return _response(answer, call)


def _response(answer: Answer, call: Call) -> Response:
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=204)
    body = dict(answer) if isinstance(answer, Mapping) else list(answer)
    return JSONResponse(body, status_code=201 if call.method == "POST" else 200, headers=call.headers)


def _words(given: object) -> Iterator[str]:
    """Give every text that was sent, however deep."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, dict):
        yield from _words([*given, *given.values()])
    elif isinstance(given, list | tuple):
        for part in given:
            yield from _words(part)


def _insufficient() -> ApiError:
    words = "The request requires higher privileges than provided by the access token."
    return ApiError(403, {"error": "insufficient_scope", "error_description": words, "scope": "api"})


async def _body(request: Request) -> Tree:
    """Read JSON, a form, or files in parts."""
    raw = await _bytes(request)
    kind = request.headers.get("content-type", "")
    if not raw:
        return {}
    if kind.startswith("multipart/form-data"):
        return _parts(kind, raw)
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode(errors="replace")))
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise ApiError(400, {"error": "Problem while parsing request body as JSON"}) from error
    if not isinstance(found, dict):
        raise ApiError(400, {"error": "The provided params are invalid."})
    return found


async def _bytes(request: Request) -> bytes:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > LARGEST_BODY:
            raise ApiError(413, {"error": "413 Request Entity Too Large"})
    return bytes(raw)


def _parts(kind: str, raw: bytes) -> Tree:
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
    found: Tree = {}
    for part in message.get_payload() if message.is_multipart() else []:
        if not isinstance(part, Message):
            continue
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            continue
        file = part.get_filename()
        found[name] = (file, content) if file is not None else content.decode(errors="replace")
    return found
