"""The door for webhooks: a small server that answers at once and only rings a bell."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cdl.ports.errors import Rejected

from .knock import Doorkeeper, Knock

LARGEST = 8 << 20
"""Bytes of a body; a push of many files is long, and nothing of it is used."""
PATIENCE = 10
"""Seconds for each read of a request."""
AT_ONCE = 64
"""Connections that are listened to; the rest is turned away, and polling finds what they meant."""
CLAIMS = ("X-Gitlab-Token", "webhook-id", "webhook-timestamp", "webhook-signature")
EVENTS = frozenset({"Push Hook", "System Hook", "Merge Request Hook", ""})
"""What can move a branch; a signed message may name none."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, at: tuple[str, int], keeper: Doorkeeper, ring: Callable[[], None], heard: Callable[[str], None]
    ) -> None:
        super().__init__(at, _Handler)
        self.heard = heard
        self.keeper = keeper
        self.ring = ring
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.heard("turned away: too many at once")
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who hung up; a request may hold what no log shows."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version = "cdl-gitops"
    sys_version = ""

    def do_POST(self) -> None:
        """Let in who may knock, ring, answer."""
        keeper, now = self.server.keeper, int(time.time())
        knock = Knock(*(self.headers.get(name, "") for name in CLAIMS))
        by_token = bool(knock.token)
        if not (keeper.knows_token(knock) if by_token else keeper.may_be_signed(knock, now)):
            late = knock.signature and knock.message
            self._refuse("wrong token" if by_token else "signed too long ago" if late else "no token and no signature")
            return
        body = self._body()
        if body is None:
            return
        if not by_token and not keeper.knows_signature(knock, body):
            self._refuse("wrong signature")
            return
        wakes = self.headers.get("X-Gitlab-Event", "") in EVENTS
        if wakes and (by_token or keeper.first(knock.message, now)):
            self.server.heard("accepted")
            self.server.ring()
        else:
            self.server.heard("accepted: a second time" if wakes else "accepted: of nothing that is followed")
        self._answer(HTTPStatus.ACCEPTED if wakes else HTTPStatus.OK)

    def do_GET(self) -> None:
        """Say that somebody listens."""
        self._answer(HTTPStatus.OK if self.path == "/healthz" else HTTPStatus.NOT_FOUND)

    def _body(self) -> bytes | None:
        given = self.headers.get("Content-Length", "")
        if not given.isascii() or not given.isdigit():
            self._refuse("no length", HTTPStatus.LENGTH_REQUIRED)
            return None
        if int(given[:18]) > LARGEST or len(given) > 18:
            self._refuse("too long", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(int(given))

    def _refuse(self, why: str, status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> None:
        """Count why; the caller learns nothing of it."""
        self.server.heard(f"refused: {why}")
        self._answer(status)

    def _answer(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Say nothing: a request may hold what no log shows."""


@contextmanager
def listening(
    host: str, port: int, secret: str, ring: Callable[[], None], heard: Callable[[str], None] = lambda _: None
) -> Iterator[int]:
    """Listen while the block runs, and give the port; `heard` hears in a few words what became of each request.

    Raises:
        Rejected: the address cannot be had, or the secret is none.
    """
    try:
        server = _Server((host, port), Doorkeeper(secret), ring, heard)
    except (OSError, OverflowError) as error:
        raise Rejected(
            f"--webhook: cannot listen on {host}:{port}: {getattr(error, 'strerror', '') or error}"
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="webhook", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
