"""An HTTP server that stands before a forge, passes everything on, and can lose the reply to what is written next."""

from __future__ import annotations

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Deaf(ThreadingHTTPServer):
    """Counts what it passed on."""

    daemon_threads = True

    def __init__(self, address):
        self.address = address
        self.lose = False
        self.refuse = 0
        self.status = 502
        self.passed = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    def _pass(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refuse:
            self.server.refuse -= 1
            self._answer(self.server.status, {}, b"<html>updating</html>")
            return
        upstream = http.client.HTTPConnection(self.server.address, timeout=20)
        with contextlib.closing(upstream):
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
        self.server.passed.append((self.command, self.path))
        if self.server.lose and self.command != "GET":
            self.server.lose = False
            self.close_connection = True
            return
        self._answer(answer.status, dict(answer.getheaders()), content)

    def _answer(self, status, headers, content):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "date", "server", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self._pass()

    def do_POST(self):
        self._pass()

    def do_PUT(self):
        self._pass()

    def do_DELETE(self):
        self._pass()

    def log_message(self, *_):
        return
