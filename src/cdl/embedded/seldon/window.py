"""What can still be asked here when the objects live in an API server: health, and what the processes printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cdl.embedded.seldon.api import Answer, Message, Receive, Send, printed, replied, understood
from cdl.embedded.seldon.discovery import HEALTH
from cdl.embedded.seldon.mirror import Mirror
from cdl.embedded.seldon.refusals import Refusal, not_found
from cdl.embedded.seldon.routes import Key

READY = "/readyz"


class Window:
    """A raw ASGI application that changes nothing."""

    def __init__(self, mirror: Mirror, log_folder: Callable[[Key], Path], server: str) -> None:
        self._mirror = mirror
        self._log_folder = log_folder
        self._server = server

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await replied(scope, send, self._answer(scope, receive))

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        asked = await understood(scope, receive)
        if asked.method in ("GET", "HEAD") and asked.path == READY and not self._mirror.synced:
            return 503, f"the API server at {self._server} has not said yet what there is"
        if asked.method in ("GET", "HEAD") and asked.path in HEALTH:
            return 200, "ok"
        if asked.method == "GET" and asked.part == "log":
            key = (asked.namespace, asked.name)
            if self._mirror.get(*key) is None:
                raise not_found(asked.name)
            return 200, printed(self._log_folder(key), asked.query)
        raise Refusal(404, "NotFound", f"only health and logs are here; the objects are at {self._server}")
