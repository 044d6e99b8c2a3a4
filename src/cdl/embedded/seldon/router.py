"""The router: /seldon/<namespace>/<name>/... to the processes of a deployment, by weight."""

from __future__ import annotations

import logging
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import httptools

from cdl.embedded.seldon import framing
from cdl.embedded.seldon.endpoint import Endpoint
from cdl.embedded.seldon.framing import Headers, Message
from cdl.embedded.seldon.routes import Key, Route, Routes
from cdl.embedded.seldon.shadows import Shadows
from cdl.embedded.seldon.upstream import Lost, Sink, Upstream, connected, give_back

LOG = logging.getLogger("cdl.embedded.seldon")
PATH = re.compile(rb"/seldon/(?P<namespace>[a-z0-9.-]+)/(?P<name>[a-z0-9.-]+)(?P<rest>/.*)?", re.DOTALL)
PREDICTION = re.compile(rb"/(api/v[01]\.[01]/predictions|predict|v2/models/.+/infer|v2/models/infer)/?(\?.*)?")
RETRY_AFTER = (b"retry-after", b"1")


class AnswerSink(Sink, Protocol):
    """Where an answer goes, and how far it got."""

    begun: bool
    status: int

    def end(self) -> None:
        """Write the end of the body."""
        ...


class Asker(Protocol):
    """The side of a connection that waits for an answer."""

    def say(self, message: Message, status: int, sentence: str, headers: Headers) -> None:
        """Answer with a sentence of the router's own."""
        ...

    def show(self, message: Message, body: bytes, content_type: bytes) -> None:
        """Answer with a page of the router's own."""
        ...

    def sink(self, message: Message, added: Headers, upstream: Upstream) -> AnswerSink:
        """Give the place where a model server's answer goes."""
        ...

    def hang_up(self) -> None:
        """Break the connection."""
        ...


@dataclass(frozen=True)
class Refused(Exception):  # noqa: N818 - it is an answer
    """The router answers itself."""

    status: int
    sentence: str


@dataclass(frozen=True)
class Call:
    """A request that has found its deployment."""

    message: Message
    key: Key
    route: Route
    path: bytes
    prefix: bytes
    puid: bytes


class Router:
    """Forwards requests. One instance for all connections."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._chance = random.Random()  # noqa: S311 - it shares traffic out, it keeps no secret
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._seconds: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        self._shadows = Shadows()

    async def answer(self, message: Message, caller: Asker) -> None:
        """Answer one request on the caller's connection."""
        began = perf_counter()
        try:
            call = self._understood(message)
        except Refused as refused:
            headers = [RETRY_AFTER] if refused.status == 503 else []
            caller.say(message, refused.status, refused.sentence, headers)
            return
        if call is None:
            self._answer_itself(message, caller)
            return
        predictor, status = await self._forward(call, caller)
        self._count(call.key, predictor, status, perf_counter() - began)

    def text(self) -> str:
        """Write down what was counted, for Prometheus."""
        lines = ["# TYPE cdl_router_requests_total counter"]
        for (namespace, name, predictor, code), number in sorted(self._counts.items()):
            labels = f'namespace="{namespace}",deployment_name="{name}",predictor_name="{predictor}",code="{code}"'
            lines.append(f"cdl_router_requests_total{{{labels}}} {number}")
        lines.append("# TYPE cdl_router_seconds_total counter")
        for (namespace, name, predictor), seconds in sorted(self._seconds.items()):
            labels = f'namespace="{namespace}",deployment_name="{name}",predictor_name="{predictor}"'
            lines.append(f"cdl_router_seconds_total{{{labels}}} {seconds:.6f}")
        lines.append("# TYPE cdl_router_shadow_copies_total counter")
        lines += [
            f'cdl_router_shadow_copies_total{{result="{result}"}} {number}'
            for result, number in sorted(self._shadows.counts.items())
        ]
        return "\n".join(lines) + "\n"

    async def close(self) -> None:
        """End the copies that are under way."""
        await self._shadows.close()

    # -- one request --------------------------------------------------------------------------------------------------

    def _understood(self, message: Message) -> Call | None:
        try:
            url = httptools.parse_url(message.target)
        except httptools.HttpParserInvalidURLError as error:
            raise Refused(400, "the request's path cannot be read") from error
        path = url.path or b"/"
        if path in (b"/", b"/ready", b"/metrics"):
            return None
        match = PATH.fullmatch(path)
        if match is None:
            raise Refused(404, "no such path; deployments are at /seldon/<namespace>/<name>/")
        key = match["namespace"].decode(), match["name"].decode()
        if not self._routes.known(key):
            raise Refused(404, f"no deployment {key[1]!r} in namespace {key[0]!r}")
        route = self._routes.get(key)
        if route is None:
            raise Refused(503, f"deployment {key[0]}/{key[1]} is not ready yet")
        rest = (match["rest"] or b"/") + (b"?" + url.query if url.query else b"")
        prefix = path[: len(path) - len(match["rest"] or b"")]
        return Call(message, key, route, rest, prefix, framing.puid_of(message))

    async def _forward(self, call: Call, caller: Asker) -> tuple[str, int]:
        failed: Endpoint | None = None
        for _ in range(2):  # a connection that cannot be made is the one failure that is tried again
            chosen = call.route.choose(self._chance.random(), self._routes.turn(), failed)
            if chosen is None and failed is not None:
                chosen = call.route.choose(self._chance.random(), self._routes.turn())
            if chosen is None:
                break
            predictor, endpoint = chosen
            endpoint.enter()
            try:
                upstream = await connected(endpoint)
            except OSError:
                failed = endpoint
                endpoint.leave()
                continue
            except BaseException:
                endpoint.leave()
                raise
            try:
                if failed is None:
                    self._copy(call)
                return predictor, await self._exchange(call, caller, predictor, upstream)
            finally:
                give_back(endpoint, upstream)
                endpoint.leave()
        caller.say(
            call.message, 503, f"no predictor of {call.key[0]}/{call.key[1]} is ready", [RETRY_AFTER, self._puid(call)]
        )
        return "", 503

    async def _exchange(self, call: Call, caller: Asker, predictor: str, upstream: Upstream) -> int:
        added = [(framing.ROUTE, predictor.encode()), self._puid(call)]
        sink = caller.sink(call.message, added, upstream)
        request = framing.request_bytes(call.message, call.path, call.prefix, call.puid)
        try:
            await upstream.exchange(request, sink, call.route.timeout_seconds)
        except (Lost, TimeoutError) as error:
            late = isinstance(error, TimeoutError)
            sentence = f"no answer within {call.route.timeout_seconds:g} seconds" if late else str(error)
            if sink.begun:
                caller.hang_up()  # a part is out; only a broken connection says that it is not the whole
            else:
                caller.say(call.message, 504 if late else 502, sentence, added)
            return 504 if late else 502
        sink.end()
        return sink.status

    def _copy(self, call: Call) -> None:
        if call.message.method != b"POST" or not PREDICTION.fullmatch(call.path):
            return
        for predictor, endpoint in call.route.shadows(self._chance.random()):
            request = framing.request_bytes(call.message, call.path, call.prefix, call.puid, close=True)
            self._shadows.send(predictor, endpoint, request, call.route.timeout_seconds)

    @staticmethod
    def _puid(call: Call) -> tuple[bytes, bytes]:
        return framing.PUID, call.puid

    # -- the router's own pages ---------------------------------------------------------------------------------------

    def _answer_itself(self, message: Message, caller: Asker) -> None:
        if message.target.partition(b"?")[0] == b"/metrics":
            caller.show(message, self.text().encode(), b"text/plain; version=0.0.4; charset=utf-8")
        else:
            caller.show(message, "\n".join(self._routes.listed()).encode() + b"\n", b"text/plain; charset=utf-8")

    def _count(self, key: Key, predictor: str, status: int, seconds: float) -> None:
        self._counts[(*key, predictor, str(status))] += 1
        self._seconds[(*key, predictor)] += seconds
