"""The ASGI application of a forge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cdl.embedded.forge import changes, pages
from cdl.embedded.forge.api import committing, mergerequests, notes, projects, repository, settings, statuses
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.smart import Smart
from cdl.embedded.forge.web import API, Routes

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
GIT = "info/refs|git-upload-pack|git-receive-pack"


def build(forge: Forge) -> Starlette:
    """Put the endpoints together; messages go out as long as the server runs."""
    routes = Routes(forge)
    for subject in (projects, repository, committing, statuses, mergerequests, notes, settings):
        subject.add_to(routes)
    smart = Smart(forge)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sending = asyncio.create_task(forge.outbox.run())
        yield
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        forge.store.close()

    return Starlette(
        routes=[
            Route("/-/health", healthy, methods=["GET"]),
            Route(f"{API}/{{rest:path}}", routes.serve, methods=METHODS),
            *[
                Route(f"/{{path:path}}.git/{what}", _named(smart, what), methods=["GET", "POST"])
                for what in GIT.split("|")
            ],
            *pages.routes(forge),
        ],
        lifespan=lifespan,
    )


def _named(smart: Smart, what: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        request.path_params["what"] = what
        return await smart.serve(request)

    return serve


async def healthy(_request: Request) -> Response:
    """Say that the server answers."""
    return JSONResponse({"status": "ok"})


def catch_up(forge: Forge) -> None:
    """Tell what moved while nobody was here to tell of it."""
    for project in forge.store.all("project"):
        if forge.repository(project).folder.exists():
            projects.hooks(forge, project)
            changes.settle(forge, project)
