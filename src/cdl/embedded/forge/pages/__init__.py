"""The pages of a forge: projects, commits, merge requests with what was said, told and agreed.

Nothing on them comes from anywhere else; what people wrote is text to them, and Markdown without teeth.
"""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from cdl.embedded.forge.accounts import NOBODY, User
from cdl.embedded.forge.errors import ApiError
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.git import GitError
from cdl.embedded.forge.pages import layout, projects, review
from cdl.embedded.forge.store import Tree

COOKIE = "forge_session"
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
STRICT = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Page = Callable[[Forge, Tree, User, Request], str]


class Pages:
    """Who looks, and what they are shown."""

    def __init__(self, forge: Forge) -> None:
        """Show this forge; who signs in is known until it stops."""
        self._forge = forge
        self._sessions: dict[str, int] = {}

    def _user(self, request: Request) -> User:
        number = self._sessions.get(request.cookies.get(COOKIE, ""), 0)
        return self._forge.accounts.by_id.get(number, NOBODY)

    def of_project(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Serve a page of a project to who may see it."""

        async def serve(request: Request) -> Response:
            return await run_in_threadpool(self._show, page, request)

        return serve

    def _show(self, page: Page, request: Request) -> Response:
        user = self._user(request)
        with self._forge.store.lock:
            found = self._forge.store.by("project", 0, str(request.path_params["path"]).strip("/"))
            level = self._forge.accounts.access(user, found) if found else 0
            if found is None or (not level and found["visibility"] != "public"):
                return self._missing(user)
            try:
                return answer(page(self._forge, found, user, request))
            except (ApiError, GitError):
                return self._missing(user)

    def _missing(self, user: User) -> Response:
        hint = "" if user.id else " It may be there for you once you have signed in."
        body = f"<h1>Not found</h1><p>There is nothing at this address.{hint}</p>"
        return answer(layout.page("Not found", body, user), 404)

    async def home(self, request: Request) -> Response:
        """Show the projects."""
        return await run_in_threadpool(self._home, request)

    def _home(self, request: Request) -> Response:
        with self._forge.store.lock:
            return answer(projects.home(self._forge, self._user(request)))

    async def sign_in(self, request: Request) -> Response:
        """Ask for a token, and take one."""
        if request.method == "GET":
            return answer(layout.page("Sign in", layout.SIGN_IN, NOBODY))
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return answer(layout.page("Sign in", layout.SIGN_IN, NOBODY), 403)
        raw = (await request.body())[:4096].decode(errors="replace")
        token = dict(part.partition("=")[::2] for part in raw.split("&")).get("token", "")
        user = self._forge.accounts.of_token(token)
        if user is None:
            wrong = f'<p class="warn" role="alert">Nobody has this token.</p>{layout.SIGN_IN}'
            return answer(layout.page("Sign in", wrong, NOBODY), 401)
        session = secrets.token_urlsafe(24)
        self._sessions[session] = user.id
        found = RedirectResponse("/", status_code=303)
        found.set_cookie(COOKIE, session, httponly=True, samesite="strict")
        return found

    async def sign_out(self, request: Request) -> Response:
        """Forget who looks."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        found = RedirectResponse("/", status_code=303)
        found.delete_cookie(COOKIE)
        return found

    async def uploaded(self, request: Request) -> Response:
        """Show a picture that somebody put up; nothing else is shown."""
        return await run_in_threadpool(self._uploaded, request)

    def _uploaded(self, request: Request) -> Response:
        user = self._user(request)
        with self._forge.store.lock:
            project = self._forge.store.by("project", 0, request.path_params["path"])
            found = project and self._forge.store.by("upload", project["id"], request.path_params["secret"])
            seen = project and (self._forge.accounts.access(user, project) or project["visibility"] == "public")
        kind = mimetypes.guess_type(found["name"])[0] if found else None
        if not found or not seen or not project or kind not in IMAGES:
            return self._missing(user)
        content = (self._forge.data / "uploads" / str(project["id"]) / found["secret"]).read_bytes()
        return Response(content, media_type=kind, headers=STRICT)


def answer(body: str, status: int = 200) -> Response:
    """Give a page that loads nothing from elsewhere and runs no script."""
    return HTMLResponse(body, status_code=status, headers=STRICT)


def routes(forge: Forge) -> list[Route]:
    """Serve the pages."""
    pages = Pages(forge)
    return [
        Route("/", pages.home),
        Route("/-/sign_in", pages.sign_in, methods=["GET", "POST"]),
        Route("/-/sign_out", pages.sign_out, methods=["POST"]),
        Route("/{path:path}/uploads/{secret}/{name}", pages.uploaded),
        Route("/{path:path}/-/merge_requests/{iid:int}", pages.of_project(review.page)),
        Route("/{path:path}/-/commit/{sha}", pages.of_project(projects.commit)),
        Route("/{path:path}", pages.of_project(projects.project)),
    ]
