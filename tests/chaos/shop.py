"""A web server on loopback that gives every DataPipeline its archive: what the operator fetches passes a proxy too."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.chaos.materials import notes


class _Counter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Give the archive that the path names; every name has its own bytes, always the same."""
        content = notes(self.path.rpartition("/")[2])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Shop:
    """Open as long as a with block lasts."""

    def __init__(self) -> None:
        """Take a port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Counter)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="chaos-shop", daemon=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Open."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
