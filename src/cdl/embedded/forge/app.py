"""The ASGI application of a forge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cdl.embedded.forge import changes, pages
from cdl.embedded.forge.accounts import User
from cdl.embedded.forge.api import (
    approvals,
    artifacts,
    committing,
    mergerequests,
    notes,
    projects,
    repository,
    settings,
    statuses,
)
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.smart import Smart
from cdl.embedded.forge.web import API, Routes

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
GIT = "info/refs|git-upload-pack|git-receive-pack"


SECOND_LOOKS = (1.0, 5.0, 20.0)
"""Seconds after a start at which to look again where a push was under way when the server before us died."""


def build(forge: Forge, unsure: Mapping[int, User]) -> Starlette:
    """Put the endpoints together; messages go out as long as the server runs."""
    routes = Routes(forge)
    reviewing = (mergerequests, notes, approvals)
    for subject in (projects, repository, committing, statuses, artifacts, *reviewing, settings):
        subject.add_to(routes)
    smart = Smart(forge)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(forge.outbox.run()), asyncio.create_task(_look_again(forge, unsure))]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
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


def catch_up(forge: Forge) -> dict[int, User]:
    """Tell what moved while nobody was here to tell of it; give who was pushing where when the server died."""
    unsure = {}
    for project in forge.store.all("project"):
        if not forge.repository(project).folder.exists():
            continue
        if pusher := forge.store.pusher(project["id"]):
            unsure[project["id"]] = forge.user(pusher)
        projects.hooks(forge, project)
        changes.settle(forge, project)
    return unsure


async def _look_again(forge: Forge, unsure: Mapping[int, User]) -> None:
    """Settle what git programs did that outlived the server that had started them."""
    for seconds in SECOND_LOOKS if unsure else ():
        await asyncio.sleep(seconds)
        for number, user in unsure.items():
            if project := await asyncio.to_thread(forge.store.get, "project", number):
                await asyncio.to_thread(changes.settle, forge, project, user)
        forge.outbox.wake()
