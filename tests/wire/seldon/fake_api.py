"""An API server in a hundred lines: lists, watches that can be cut anywhere, and every bad mood."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import parse_qsl, urlsplit

COLLECTION = "/apis/machinelearning.seldon.io/v1/seldondeployments"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/seldondeployments.machinelearning.seldon.io"


def status(code, message="no"):
    return {"kind": "Status", "code": code, "message": message, "reason": "Because"}


class FakeApi:
    """Objects with resource versions, and how the next requests are treated."""

    def __init__(self):
        self.version = 10
        self.objects, self.history = {}, []
        self.forgotten = 0  # versions up to this one are answered with 410
        self.defined, self.page = True, 500
        self.bad = []  # answers for the next requests, before any is understood
        self.watchers = set()
        self.conflicts = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.cut()
        self._server.close()
        await asyncio.sleep(0)

    # -- what happens to objects --------------------------------------------------------------------------------------

    def put(self, name, **parts):
        """Create or change an object."""
        self.version += 1
        known = self.objects.get(name)
        meta = {"name": name, "namespace": "team", "uid": f"u{self.version}", "generation": 1}
        meta = {**(known["metadata"] if known else meta), "resourceVersion": str(self.version)}
        self.objects[name] = {**(known or {}), **parts, "metadata": meta}
        self._happened("MODIFIED" if known else "ADDED", self.objects[name])

    def remove(self, name):
        self.version += 1
        gone = self.objects.pop(name)
        meta = {**gone["metadata"], "resourceVersion": str(self.version)}
        self._happened("DELETED", {**gone, "metadata": meta})

    def bookmark(self):
        self._tell("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def forget(self):
        """Keep no history, as after compaction."""
        self.forgotten = self.version
        self.history.clear()

    def cut(self, half_a_line=b""):
        """Break every watch, in the middle of a line if need be."""
        for writer in list(self.watchers):
            if half_a_line:
                writer.write(b"%x\r\n%b\r\n" % (len(half_a_line), half_a_line))
            writer.close()
        self.watchers.clear()

    def say(self, kind, document):
        """Say something to every watcher that did not happen."""
        self._tell(kind, document)

    def _happened(self, kind, document):
        self.history.append((self.version, kind, document))
        self._tell(kind, document)

    def _tell(self, kind, document):
        for writer in list(self.watchers):
            self._line(writer, kind, document)

    @staticmethod
    def _line(writer, kind, document):
        line = json.dumps({"type": kind, "object": document}).encode() + b"\n"
        writer.write(b"%x\r\n%b\r\n" % (len(line), line))

    # -- the wire -----------------------------------------------------------------------------------------------------

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split()
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._answer(writer, method, urlsplit(target), json.loads(body or "null")):
                    break
        writer.close()

    async def _answer(self, writer, method, url, body):
        query = dict(parse_qsl(url.query))
        if self.bad:
            bad = self.bad.pop(0)
            if bad == "hang up":
                return False
            return self._reply(writer, *bad)
        if url.path == DEFINITION:
            self.defined = self.defined or method == "PATCH"
            return self._reply(writer, 200 if self.defined else 404, {"metadata": {}} if self.defined else status(404))
        if not self.defined:
            return self._reply(writer, 404, "404 page not found\n")
        if url.path == COLLECTION and query.get("watch"):
            return self._watch(writer, int(query["resourceVersion"]))
        if url.path == COLLECTION:
            return self._list(writer, query)
        return self._write(writer, url.path.split("/")[-2], body)

    def _list(self, writer, query):
        start = int(query.get("continue", 0))
        names = sorted(self.objects)[start : start + self.page]
        after = str(start + self.page) if start + self.page < len(self.objects) else ""
        meta = {"resourceVersion": str(self.version), "continue": after}
        return self._reply(writer, 200, {"metadata": meta, "items": [self.objects[name] for name in names] or None})

    def _watch(self, writer, version):
        if version < self.forgotten:
            return self._reply(writer, 410, status(410))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
        for at, kind, document in self.history:
            if at > version:
                self._line(writer, kind, document)
        self.watchers.add(writer)
        return True

    def _write(self, writer, name, body):
        known = self.objects.get(name)
        if known is None:
            return self._reply(writer, 404, status(404))
        if self.conflicts or body["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            self.conflicts = max(self.conflicts - 1, 0)
            return self._reply(writer, 409, status(409))
        self.put(name, status=body["status"])
        return self._reply(writer, 200, self.objects[name])

    @staticmethod
    def _reply(writer, code, answer):
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (code, len(content), content))
        return True
