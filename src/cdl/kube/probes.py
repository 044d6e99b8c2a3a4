"""The page that probes and Prometheus ask: /healthz, /readyz, /metrics. A few answers at a time, and no more."""

from __future__ import annotations

import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from prometheus_client import CollectorRegistry

    Question = Callable[[], tuple[bool, str]]
    """Answers yes or no, and why."""

AT_ONCE = 8
"""Connections answered at the same time; who comes when all are taken is turned away."""
REQUEST_SECONDS = 2
TEXT = "text/plain; charset=utf-8"

log = logging.getLogger(__name__)


class Probes:
    """A small server in threads of its own; `port` is where it listens, `close` ends it."""

    def __init__(
        self, registry: CollectorRegistry | None, host: str, port: int, healthy: Question, ready: Question
    ) -> None:
        """Listen at once; port 0 takes a free one. Without a registry there are no metrics.

        Raises:
            OSError: the port is taken or not ours to take.
        """
        self._server = _Server((host, port), registry, {"/healthz": healthy, "/readyz": ready})
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="cdl-probes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry | None, questions: dict[str, Question]
    ) -> None:
        self.registry = registry
        self.questions = questions
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._free.release()
            raise

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away or dawdled is no news."""
        log.debug("a probe was not answered: %s", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS
    protocol_version = "HTTP/1.0"  # one request a connection: nobody keeps a place

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics" and self.server.registry is not None:
            self._metrics(self.server.registry)
        elif path in self.server.questions:
            self._ask(self.server.questions[path])
        else:
            self._say(404, TEXT, b"there are /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _metrics(self, registry: CollectorRegistry) -> None:
        encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            page = encoder(registry)
        except Exception as error:
            log.exception("the metrics could not be read")
            self._say(500, TEXT, f"a metric could not be read: {type(error).__name__}\n".encode())
            return
        self._say(200, content_type, page)

    def _ask(self, question: Question) -> None:
        try:
            yes, why = question()
        except Exception as error:
            log.exception("a probe could not be answered")
            yes, why = False, f"the question itself failed: {type(error).__name__}"
        self._say(200 if yes else 503, TEXT, f"{why or ('ok' if yes else 'no')}\n".encode())

    def _say(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "cdl"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        log.debug(format, *args)
