"""The paths of both protocols on one port, as a raw ASGI application."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from cdl.serving import oip, pages, seldon, tryit
from cdl.serving.counter import Counter
from cdl.serving.exchange import (
    Event,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    answer,
    body,
    deliver,
    head,
    new_puid,
    page,
)
from cdl.serving.exposition import CONTENT_TYPE
from cdl.serving.faults import Fault
from cdl.serving.model import TRANSFORMS
from cdl.serving.served import Served

LOG = logging.getLogger("cdl.serving")
MODEL = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready)?/?")
SELDON_PATHS = ("/api/", "/predict", "/transform-", "/send-feedback", "/health/", "/metadata")
HEALTH_SECONDS = 5

Handler = Callable[[Request], Awaitable[Reply]]


class App:
    """Answers every request; whatever happens, in the error shape of the caller's protocol."""

    def __init__(self, served: Served, counter: Counter, metrics_path: str, body_seconds: float) -> None:
        self._served = served
        self._counter = counter
        self._body_seconds = body_seconds
        self._health = Counter(1, 64, HEALTH_SECONDS)
        self._headers = {"x-cdl-release": served.release.name, "x-cdl-digest": served.release.digest}
        self._routes = self._table() | {metrics_path: {"GET": ("metrics", self._exposition)}}
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                event: Event = {"type": "websocket.close", "code": 1003}
                await send(event)
            return
        began = time.perf_counter()
        request = head(scope)
        service = "other"
        try:
            service, handler = self._route(request)
            if request.method == "POST":
                request = replace(request, body=await body(request, receive, self._body_seconds))
            reply = await handler(request)
        except Fault as fault:
            reply = _refusal(request.path, fault)
        except Exception as error:  # a fault of ours is answered and logged, never shown
            LOG.exception("%s %s failed", request.method, request.path)
            reply = _refusal(
                request.path, Fault(500, f"the server failed with {type(error).__name__}; its log says more")
            )
        seconds = time.perf_counter() - began
        self._served.exposition.request(service, request.method.lower(), reply.status, seconds)
        await deliver(send, reply, {**self._headers, "seldon-puid": request.puid or new_puid()})

    def close(self) -> None:
        """Stop the threads of the health checks."""
        self._health.close()

    # -- routing ------------------------------------------------------------------------------------------------------

    def _route(self, request: Request) -> tuple[str, Handler]:
        path = request.path.rstrip("/") or "/"
        methods = self._routes.get(path)
        if methods is None and (match := MODEL.fullmatch(request.path)):
            methods = self._model_routes(match["model"], match["version"], match["verb"] or "")
        if methods is None:
            raise Fault(404, f"path {request.path!r} does not exist; / lists what does")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            allowed = ", ".join(sorted(methods))
            raise Fault(
                405, f"{request.method} is not allowed at {request.path!r}; allowed: {allowed}", {"allow": allowed}
            )
        return methods[method]

    def _model_routes(self, model: str, version: str | None, verb: str) -> dict[str, tuple[str, Handler]]:
        if model == "infer" and not verb and version is None:  # /v2/models/infer: the only model there is
            return {"POST": ("predictions", self._infer)}
        self._served.named(model, version)
        match verb:
            case "/infer":
                return {"POST": ("predictions", self._infer)}
            case "/ready":
                return {"GET": ("status", self._ready)}
            case _:
                return {"GET": ("metadata", self._metadata)}

    def _table(self) -> dict[str, dict[str, tuple[str, Handler]]]:
        reading: dict[str, tuple[str, Handler]] = {
            "/": ("metadata", self._index),
            "/v2": ("metadata", self._server),
            "/v2/health/live": ("status", self._live),
            "/live": ("status", self._live),
            "/v2/health/ready": ("status", self._ready),
            "/ready": ("status", self._ready),
            "/health/ping": ("status", self._ping),
            "/health/status": ("status", self._status),
            "/api/v1.0/health/status": ("status", self._status),
            "/api/v1.0/status": ("status", self._status),
            "/metadata": ("metadata", self._metadata),
            "/api/v1.0/metadata": ("metadata", self._metadata),
            "/metrics": ("metrics", self._exposition),
            "/prometheus": ("metrics", self._exposition),
            "/v2/docs": ("docs", self._docs),
            "/api/v1.0/doc": ("docs", self._docs),
            "/v2/openapi.json": ("docs", self._openapi),
            "/try/model.json": ("docs", self._model),
            **{f"/try/{name}": ("docs", self._file(name)) for name in ("page.js", "page.css")},
            "/api/v1.0/doc/openapi.json": ("docs", self._openapi),
        }
        for path in ("/api/v1.0/metadata", "/api/v1.0/status"):
            reading[f"{path}/{self._served.name}"] = reading[path]
        writing: dict[str, tuple[str, Handler]] = {
            "/v2/repository/index": ("metadata", self._repository),
            **dict.fromkeys(
                ("/predict", "/api/v0.1/predictions", "/api/v1.0/predictions"), ("predictions", self._predict)
            ),
            **dict.fromkeys(
                ("/send-feedback", "/api/v0.1/feedback", "/api/v1.0/feedback"), ("feedback", self._feedback)
            ),
        }
        for method in TRANSFORMS:
            writing[f"/{method.replace('_', '-')}"] = ("predictions", self._transform(method))
        table = {path: {"GET": route} for path, route in reading.items()}
        return table | {path: {"POST": route} for path, route in writing.items()}

    # -- predictions --------------------------------------------------------------------------------------------------

    async def _infer(self, request: Request) -> Reply:
        return await oip.infer(self._served, self._counter, request)

    async def _predict(self, request: Request) -> Reply:
        return await seldon.predict(self._served, self._counter, request)

    def _transform(self, method: str) -> Handler:
        async def handler(request: Request) -> Reply:
            return await seldon.transform(self._served, self._counter, request, method)

        return handler

    async def _feedback(self, request: Request) -> Reply:
        reply, reward = await seldon.feedback(self._served, self._counter, request)
        self._served.exposition.feedback(reward)
        return reply

    # -- health -------------------------------------------------------------------------------------------------------

    async def _live(self, _: Request) -> Reply:
        return answer({"live": True})

    async def _ready(self, _: Request) -> Reply:
        await self.healthy()
        return answer({"name": self._served.name, "ready": True})

    async def _ping(self, _: Request) -> Reply:
        return Reply(200, b"pong", "text/plain; charset=utf-8")

    async def _status(self, _: Request) -> Reply:
        await self.healthy()
        return answer({"meta": {"tags": self._served.labels()}, "strData": "healthy"})

    async def healthy(self) -> None:
        """Refuse while the server is leaving or the model says that it cannot answer."""
        if self.draining:
            raise Fault(503, "the server is shutting down", {"retry-after": "1"})
        if self._served.model.checks_itself:
            try:
                await self._health.run(self._served.model.health_status)
            except Fault as fault:
                raise Fault(503, fault.sentence, {"retry-after": "5"}) from fault

    # -- descriptions -------------------------------------------------------------------------------------------------

    async def _index(self, request: Request) -> Reply:
        if tryit.wants_page(request.headers.get("accept", "")):
            reply = tryit.file("page.html")
        else:
            reply = answer({**self._served.metadata(), "paths": sorted(self._routes), "docs": "v2/docs"})
        return replace(reply, headers={**reply.headers, "vary": "accept"})

    async def _model(self, _: Request) -> Reply:
        return answer(tryit.described(self._served))

    @staticmethod
    def _file(name: str) -> Handler:
        async def handler(_: Request) -> Reply:
            return tryit.file(name)

        return handler

    async def _server(self, _: Request) -> Reply:
        return answer(oip.SERVER)

    async def _metadata(self, _: Request) -> Reply:
        return answer(self._served.metadata())

    async def _repository(self, _: Request) -> Reply:
        return answer(
            [{"name": self._served.name, "version": self._served.release.version, "state": "READY", "reason": ""}]
        )

    async def _exposition(self, _: Request) -> Reply:
        return Reply(200, self._served.exposition.text().encode(), CONTENT_TYPE)

    async def _docs(self, _: Request) -> Reply:
        return page(pages.docs(self._served))

    async def _openapi(self, _: Request) -> Reply:
        return answer(pages.openapi(self._served))


def _refusal(path: str, fault: Fault) -> Reply:
    """Say no in the words of the protocol that was spoken."""
    if path.startswith(SELDON_PATHS):
        reason = "MICROSERVICE_BAD_DATA" if fault.status < 500 else "MICROSERVICE_INTERNAL_ERROR"
        content: dict[str, object] = {
            "status": {"status": 1, "info": fault.sentence, "code": fault.status, "reason": reason}
        }
    else:
        content = {"error": fault.sentence}
    return replace(answer(content, fault.status), headers=fault.headers)
