"""The Kubernetes REST paths of `seldondeployments`, as a raw ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import yaml

from cdl.embedded.seldon.discovery import GROUP_VERSION, HEALTH, PAGES
from cdl.embedded.seldon.fields import Object
from cdl.embedded.seldon.refusals import KIND, PLURAL, Refusal, bad_request
from cdl.embedded.seldon.resource import Resource
from cdl.embedded.seldon.store import Store
from cdl.embedded.seldon.watching import Selection, Watch, error_line

LOG = logging.getLogger("cdl.embedded.seldon")
OBJECTS = re.compile(
    rf"/apis/{re.escape(GROUP_VERSION)}(?:/namespaces/(?P<namespace>[^/]+))?/{PLURAL}"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>status|log))?)?"
)
BODY_LIMIT = 3 << 20  # what etcd and the API server take
MERGE = ("application/merge-patch+json",)
APPLY = ("application/apply-patch+yaml", "application/apply-patch+json")

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, Object | str]


@dataclass(frozen=True)
class Asked:
    """A request, understood."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: bytes
    namespace: str = ""
    name: str = ""
    part: str = ""

    def document(self) -> Object:
        """Read the body as JSON or YAML."""
        try:
            is_yaml = "yaml" in self.content_type
            value = yaml.safe_load(self.body) if is_yaml else json.loads(self.body)
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            first = str(error).splitlines()[0]
            raise bad_request(f"the object provided is not valid: {first}") from error
        if not isinstance(value, dict):
            raise bad_request("the object provided is not an object")
        return value

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        return self.query.get("dryRun") == "All"


class Api:
    """Answers every request; whatever is refused is a Status object."""

    def __init__(self, store: Store, log_folder: Callable[[tuple[str, str]], Path]) -> None:
        self._store = store
        self._resource = Resource(store)
        self._log_folder = log_folder
        self._watches: set[Watch] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def answered() -> Answer | None:
            asked = await understood(scope, receive)
            if asked.method == "GET" and asked.query.get("watch") in ("true", "1") and not asked.part:
                await self._watch(asked, receive, send)
                return None
            return self._answer(asked)

        await replied(scope, send, answered())

    def end_watches(self) -> None:
        """Let every watch end."""
        for watch in self._watches:
            watch.end()

    # -- verbs --------------------------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> Answer:
        if asked.method in ("GET", "HEAD") and asked.path in HEALTH:
            return 200, "ok"
        if asked.method in ("GET", "HEAD") and asked.path in PAGES:
            return 200, PAGES[asked.path]
        if not OBJECTS.fullmatch(asked.path):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if not asked.name:
            return self._collection(asked)
        if not asked.namespace:
            raise bad_request("an object has a namespace; none is in the path")
        if asked.part == "log":
            return 200, self._logs(asked)
        return self._object(asked)

    def _collection(self, asked: Asked) -> tuple[int, Object]:
        if asked.method in ("GET", "HEAD"):
            selection = Selection.parse(asked.namespace, asked.query)
            items = [document for document in self._store.everything(selection.namespace) if selection.has(document)]
            listed: Object = {
                "apiVersion": GROUP_VERSION,
                "kind": f"{KIND}List",
                "metadata": {"resourceVersion": str(self._store.version)},
                "items": items,
            }
            return 200, listed
        if asked.method == "POST" and asked.namespace:
            return 201, self._resource.create(asked.namespace, asked.document(), dry_run=asked.dry_run)
        raise _not_allowed(asked)

    def _object(self, asked: Asked) -> tuple[int, Object]:
        key = (asked.namespace, asked.name)
        match asked.method:
            case "GET" | "HEAD":
                return 200, self._resource.get(*key)
            case "PUT":
                return 200, self._resource.replace(*key, asked.document(), asked.part, dry_run=asked.dry_run)
            case "PATCH":
                return self._patch(asked)
            case "DELETE" if not asked.part:
                options = asked.document() if asked.body else {}
                return 200, self._resource.delete(*key, options, dry_run=asked.dry_run)
        raise _not_allowed(asked)

    def _patch(self, asked: Asked) -> tuple[int, Object]:
        key = (asked.namespace, asked.name)
        if asked.content_type in MERGE:
            return 200, self._resource.merge(*key, asked.document(), asked.part, dry_run=asked.dry_run)
        if asked.content_type in APPLY:
            applied, new = self._resource.apply(
                *key,
                asked.document(),
                asked.query.get("fieldManager", ""),
                part=asked.part,
                force=asked.query.get("force") == "true",
                dry_run=asked.dry_run,
            )
            return (201 if new else 200), applied
        allowed = ", ".join((*MERGE, *APPLY))
        raise Refusal(
            415,
            "UnsupportedMediaType",
            f"the body of the request was in an unknown format - accepted media types include: {allowed}",
        )

    def _logs(self, asked: Asked) -> str:
        self._resource.get(asked.namespace, asked.name)
        return printed(self._log_folder((asked.namespace, asked.name)), asked.query)

    # -- watching -----------------------------------------------------------------------------------------------------

    async def _watch(self, asked: Asked, receive: Receive, send: Send) -> None:
        match = OBJECTS.fullmatch(asked.path)
        if match is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        query = asked.query if not asked.name else {**asked.query, "fieldSelector": f"metadata.name={asked.name}"}
        try:
            watch = Watch(self._store, Selection.parse(asked.namespace, query), query)
        except Refusal as refusal:
            if refusal.code != 410:
                raise
            await _reply(send, 200, error_line(refusal), "application/json")
            return
        self._watches.add(watch)
        await send(_head(200, "application/json"))

        async def write(line: bytes) -> None:
            await send({"type": "http.response.body", "body": line, "more_body": True})

        sending = asyncio.ensure_future(watch.send_to(write))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watches.discard(watch)
            watch.close()
            for task in (sending, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def replied(scope: Message, send: Send, answering: Awaitable[Answer | None]) -> None:
    """Send an answer; whatever is refused is a Status object, and None was sent already."""
    try:
        answered = await answering
    except Refusal as refusal:
        answered = refusal.code, refusal.status()
    except Exception:  # a fault of ours is answered and logged, never shown
        LOG.exception("%s %s failed", scope["method"], scope["path"])
        answered = 500, Refusal(500, "InternalError", "the embedded Seldon failed; its log says more").status()
    if answered is None:
        return
    code, answer = answered
    if isinstance(answer, str):
        await _reply(send, code, answer.encode(), "text/plain; charset=utf-8")
    else:
        await _reply(send, code, json.dumps(answer, separators=(",", ":")).encode(), "application/json")


def printed(folder: Path, query: dict[str, str]) -> str:
    """Give what the processes of a deployment have printed, of one predictor or of all."""
    wanted = query.get("predictor", "")
    files = [file for file in sorted(folder.glob("*.log")) if wanted in ("", file.stem)]
    lines = [line for file in files for line in file.read_text(errors="replace").splitlines(keepends=True)]
    tail = query.get("tailLines", "")
    return "".join(lines[-int(tail) :] if tail.isdigit() and int(tail) else lines)


async def understood(scope: Message, receive: Receive) -> Asked:
    """Read a request."""
    raw = scope["headers"]
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in raw} if isinstance(raw, list) else {}
    query = scope["query_string"]
    pairs = parse_qsl(query.decode("latin-1") if isinstance(query, bytes) else "", keep_blank_values=True)
    path = str(scope["path"])
    match = OBJECTS.fullmatch(path)
    parts = {key: value or "" for key, value in match.groupdict().items()} if match else {}
    method = str(scope["method"])
    return Asked(
        method=method,
        path=path,
        query=dict(pairs),
        content_type=headers.get("content-type", "application/json").partition(";")[0].strip().lower(),
        body=await _body(receive) if method in ("POST", "PUT", "PATCH", "DELETE") else b"",
        **parts,
    )


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad_request("the caller left before the body was complete")
        part = message.get("body", b"")
        if isinstance(part, bytes):
            size += len(part)
            if size <= BODY_LIMIT:
                parts.append(part)
        if not message.get("more_body", False):
            break
    if size > BODY_LIMIT:
        raise Refusal(
            413, "RequestEntityTooLarge", f"the body is larger than {BODY_LIMIT >> 20} MiB, which is the limit"
        )
    return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _head(code: int, content_type: str) -> Message:
    return {"type": "http.response.start", "status": code, "headers": [(b"content-type", content_type.encode())]}


async def _reply(send: Send, code: int, body: bytes, content_type: str) -> None:
    head = _head(code, content_type)
    length = (b"content-length", str(len(body)).encode())
    await send({**head, "headers": [(b"content-type", content_type.encode()), length]})
    await send({"type": "http.response.body", "body": body})


def _not_allowed(asked: Asked) -> Refusal:
    return Refusal(405, "MethodNotAllowed", f"{asked.method} is not allowed at {asked.path}")
