"""Stands in for etcd, kube-apiserver and kube-controller-manager, well or broken as the file beside it says.

It answers over TLS what the trying-out asks, and nothing more.
"""

import http.server
import json
import os
import ssl
import sys
from pathlib import Path

OPTIONS = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
ME = Path(__file__)
FAULT = (ME.parent / "fault").read_text() if (ME.parent / "fault").exists() else ""
STORED = {}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers."""

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        maps = self.path.rpartition("/")[0].endswith("configmaps")
        there = not maps or self.path in STORED
        self.reply(200 if there else 404, {"health": "true"})

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/words") and FAULT == "dies":
            os._exit(2)
        if self.path.endswith("/words") and FAULT == "refuses":
            return self.reply(422, {"message": "text: Invalid value: null"})
        name = document["metadata"]["name"]
        STORED[f"{self.path}/{name}"] = document
        document["metadata"]["uid"] = name
        return self.reply(201, document)

    def do_DELETE(self):
        STORED.pop(self.path)
        if FAULT != "keeps":
            STORED.clear()
        self.reply(200, {})

    def log_message(self, *_):
        pass


if "--help" in sys.argv:
    print("usage: --secure-port int")
    sys.exit()
if "--version" in sys.argv:
    print("Kubernetes v0.0.0-master")
    sys.exit()
if FAULT == "silent" and ME.name == "etcd":
    sys.exit("I will not")
port = OPTIONS.get("secure-port") or OPTIONS["listen-client-urls"].rpartition(":")[2]
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
certificate = OPTIONS.get("tls-cert-file") or OPTIONS["cert-file"]
context.load_cert_chain(certificate, OPTIONS.get("tls-private-key-file") or OPTIONS["key-file"])
server.socket = context.wrap_socket(server.socket, server_side=True)
with (ME.parent / "started").open("a") as record:
    record.write(f"{ME.name}\n")
server.serve_forever()
