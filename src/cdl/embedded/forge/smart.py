"""Git over HTTP: `git http-backend` as a CGI program, tokens as passwords, rules for what is protected.

What a push is answered is held back until its refs are settled: who has pushed finds merge requests and hooks to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from cdl.embedded.forge import changes, protections
from cdl.embedded.forge.accounts import DEVELOPER, REPORTER, User
from cdl.embedded.forge.errors import ApiError
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.git import ENVIRONMENT
from cdl.embedded.forge.store import Tree

PART = 1 << 16
SERVICES = {"git-upload-pack", "git-receive-pack"}
PASSED = {"content-type": "CONTENT_TYPE", "content-encoding": "HTTP_CONTENT_ENCODING", "git-protocol": "GIT_PROTOCOL"}


class Smart:
    """Fetches and pushes."""

    def __init__(self, forge: Forge) -> None:
        """Serve this forge."""
        self._forge = forge
        self._pushing: dict[int, asyncio.Lock] = {}

    async def serve(self, request: Request) -> Response:
        """Answer one request of git."""
        path, what = str(request.path_params["path"]), str(request.path_params["what"])
        service = request.query_params.get("service", "") if what == "info/refs" else what
        if service not in SERVICES:
            return PlainTextResponse("This forge speaks smart HTTP only.\n", status_code=403)
        pushes = service == "git-receive-pack"
        try:
            user = self._forge.caller_of_git(request.headers.get("authorization", ""))
            project = await run_in_threadpool(self._project, path, user, pushes=pushes)
        except ApiError as error:
            return _refusal(error)
        if not pushes or what == "info/refs":
            return await self._run(request, project, user, what)
        async with self._pushing.setdefault(project["id"], asyncio.Lock()):
            await run_in_threadpool(self._forge.store.begin_push, project["id"], user.id)
            try:
                return await self._run(request, project, user, what, hold=True)
            finally:
                # Whatever came of the answer: what the push moved is told of.
                await asyncio.shield(run_in_threadpool(self._settle, project, user))

    def _project(self, path: str, user: User, *, pushes: bool) -> Tree:
        with self._forge.store.lock:
            found = self._forge.project(path)
            level = self._forge.accounts.access(user, found) if found else 0
        readable = found is not None and (level >= REPORTER or found["visibility"] == "public")
        if not readable and not user.id:
            raise ApiError(401, {"message": "HTTP Basic: Access denied."})
        if found is None or not readable:
            raise ApiError(404, {"message": "The project you were looking for could not be found."})
        if pushes and not user.id:
            raise ApiError(401, {"message": "HTTP Basic: Access denied."})
        if pushes and (level < DEVELOPER or user.read_only or user.job):
            raise ApiError(403, {"message": "You are not allowed to push code to this project."})
        return found

    def _settle(self, project: Tree, user: User) -> None:
        changes.settle(self._forge, project, user)
        self._forge.outbox.wake()

    async def _run(self, request: Request, project: Tree, user: User, what: str, *, hold: bool = False) -> Response:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=await run_in_threadpool(self._environment, request, project, user, what),
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(request, process))
        try:
            status, headers = await _head(process)
            if hold:
                parts = [part async for part in _rest(process, feeding)]
                return Response(b"".join(parts), status_code=status, headers=headers)
        except BaseException:
            await _end(process, feeding)
            raise
        return StreamingResponse(_rest(process, feeding), status_code=status, headers=headers)

    def _environment(self, request: Request, project: Tree, user: User, what: str) -> dict[str, str]:
        folder = self._forge.repository(project).folder
        with self._forge.store.lock:
            level = self._forge.accounts.access(user, project)
            orders = json.dumps(protections.orders(self._forge.store, project, level))
        headers = {PASSED[name]: value for name, value in request.headers.items() if name in PASSED}
        given = {"CONTENT_LENGTH": request.headers["content-length"]} if "content-length" in request.headers else {}
        return {
            **ENVIRONMENT,
            **headers,
            **given,
            "GIT_PROJECT_ROOT": str(folder.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_COMMITTER_NAME": user.name or "nobody",
            "GIT_COMMITTER_EMAIL": user.email or "nobody@forge.invalid",
            "FORGE_ORDERS": orders,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "PATH_INFO": f"/{folder.name}/{what}",
            "QUERY_STRING": request.url.query,
            "REMOTE_ADDR": request.client.host if request.client else "",
            "REMOTE_USER": user.username,
            "REQUEST_METHOD": request.method,
            "SERVER_PROTOCOL": "HTTP/1.1",
        }


def _refusal(error: ApiError) -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="GitLab"'} if error.status == 401 else {}
    return PlainTextResponse(f"{error}\n", status_code=error.status, headers=headers)


async def _feed(request: Request, process: asyncio.subprocess.Process) -> None:
    """Pass on what git sends; a program that wants no more is no mistake."""
    out = process.stdin
    if out is None:
        return
    with contextlib.suppress(ConnectionError, ClientDisconnect):
        async for part in request.stream():
            out.write(part)
            await out.drain()
    out.close()


async def _head(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    """Read the headers of a CGI program."""
    status, headers = 200, {}
    source = process.stdout
    while source is not None and (line := (await source.readline()).decode("latin-1").strip()):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return (status, headers) if headers or status != 200 else (500, headers)


async def _rest(process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> AsyncIterator[bytes]:
    source = process.stdout
    try:
        while source is not None and (part := await source.read(PART)):
            yield part
        await feeding
        await process.wait()
    finally:
        await _end(process, feeding)


async def _end(process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> None:
    """Leave nothing running behind a client that left."""
    feeding.cancel()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await asyncio.shield(process.wait())
