"""The few questions that are asked of a real API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import httpx

from cdl.embedded.seldon.definition import DEFINITION, DEFINITIONS, MANAGER, NAME, OURS
from cdl.embedded.seldon.discovery import GROUP_VERSION
from cdl.embedded.seldon.fields import Object, key_of, listing, mapping, meta, text, whole
from cdl.embedded.seldon.kubeconfig import Access
from cdl.embedded.seldon.objects import Event
from cdl.embedded.seldon.refusals import PLURAL, Refusal

COLLECTION = f"/apis/{GROUP_VERSION}/{PLURAL}"
PAGE = 500
CALL_SECONDS = 15.0
WATCH_SECONDS = 240
SILENT_SECONDS = 90.0  # bookmarks come every minute; a line that is silent for longer is dead
TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
LATER = (408, 425, 429)


class Unreachable(Exception):  # noqa: N818 - said of the API server
    """Nobody answered, or asked to come back; the message is one sentence."""


class ApiServer:
    """One API server, asked as whoever the kubeconfig says."""

    def __init__(self, access: Access) -> None:
        self.address = access.server
        self._access = access
        verify = access.context if access.context is not None else True
        self._client = httpx.AsyncClient(base_url=access.server, verify=verify, timeout=CALL_SECONDS, trust_env=False)

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def objects(self) -> tuple[list[Object], str]:
        """Give every object, and the version from which a watch misses nothing."""
        found: list[Object] = []
        query: dict[str, str] = {"limit": str(PAGE)}
        while True:
            page = await self._call("GET", COLLECTION, query=query)
            version = text(meta(page).get("resourceVersion"))
            if not version:  # whoever answers in its place must not make us believe that there is nothing
                raise Unreachable(f"what answers at {self.address} is no API server")
            found += [{"apiVersion": GROUP_VERSION, **mapping(item)} for item in listing(page.get("items"))]
            after = text(meta(page).get("continue"))
            if not after:
                return found, version
            query["continue"] = after

    async def changes(self, version: str) -> AsyncIterator[Event]:
        """Give the changes after a version as they happen, bookmarks too, until the API server ends the watch.

        Raises:
            Refusal: with 410 when the version is too old; then only a new list helps.
            Unreachable: the line was cut; a watch from the last version misses nothing.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = httpx.Timeout(CALL_SECONDS, read=SILENT_SECONDS)
        try:
            headers = self._access.headers()
            async with self._client.stream("GET", COLLECTION, params=query, headers=headers, timeout=timeout) as answer:
                if answer.status_code != 200:
                    _judge(answer.status_code, _document(await answer.aread()))
                async for line in answer.aiter_lines():
                    event = _document(line.encode())
                    document = mapping(event.get("object"))
                    if event.get("type") == "ERROR":
                        _judge(whole(document.get("code"), 500), document)
                    if event.get("type") not in TYPES or "resourceVersion" not in meta(document):
                        raise Unreachable(f"{self.address} said what is no change: {line[:80]}")
                    yield Event(text(event.get("type")), document)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._silent(error) from error

    async def write_status(self, document: Object, status: Object) -> Object:
        """Replace the status of an object as it was seen; a Refusal with 409 says that it has changed since."""
        namespace, name = key_of(document)
        path = f"/apis/{GROUP_VERSION}/namespaces/{namespace}/{PLURAL}/{name}/status"
        written = await self._call("PUT", path, {**document, "status": status})
        if key_of(written) != (namespace, name):
            raise Unreachable(f"what answers at {self.address} is no API server")
        return written

    async def define(self) -> None:
        """Make sure that the API server knows SeldonDeployments; a definition of somebody else's is left alone."""
        path = f"{DEFINITIONS}/{NAME}"
        try:
            there = await self._call("GET", path)
        except Refusal as refusal:
            if refusal.code != 404:
                raise
        else:
            if any(mapping(meta(there).get("labels")).get(name) != value for name, value in OURS.items()):
                return
        query = {"fieldManager": MANAGER, "force": "true"}
        await self._call("PATCH", path, DEFINITION, query, "application/apply-patch+yaml")

    async def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = {**self._access.headers(), "content-type": content_type}
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = await self._client.request(method, path, params=query, content=content, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise self._silent(error) from error
        document = _document(answer.content)
        if answer.status_code >= 300:
            _judge(answer.status_code, document)
        return document

    def _silent(self, error: Exception) -> Unreachable:
        return Unreachable(f"the API server at {self.address} does not answer: {str(error) or type(error).__name__}")


def _document(content: bytes) -> Object:
    """Read an answer; an API server that does not know a path answers in plain text."""
    try:
        return mapping(json.loads(content))
    except ValueError:
        return {"message": content[:200].decode(errors="replace").strip()} if content.strip() else {}


def _judge(code: int, said: Object) -> None:
    """Raise what an answer means that is not a good one."""
    message = text(said.get("message")) or f"the API server answered {code}"
    if code >= 500 or code in LATER:
        raise Unreachable(message)
    raise Refusal(code, text(said.get("reason")), message)
