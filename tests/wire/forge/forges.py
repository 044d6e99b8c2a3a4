"""A forge process, people with tokens, and git as a client of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gitlab

ROLES = {
    "developer": "developer",
    "validator": "maintainer",
    "platform": "maintainer",
    "reporter": "reporter",
    "guest": "guest",
}
PATIENCE = 30.0


def token(username):
    return f"glpat-{username}-of-the-tests"


def users():
    people = [{"username": name, "role": role, "token": token(name)} for name, role in ROLES.items()]
    people += [{"username": "reader", "role": "developer", "token": token("reader"), "read_only": True}]
    return {"users": people}


def until(said, patience=PATIENCE):
    """Give the first truthy answer."""
    deadline = time.monotonic() + patience
    while not (answer := said()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


@dataclass
class ForgeServer:
    """A forge that may be killed and started again on the same folder and port."""

    data: Path
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        people = self.data.with_suffix(".users.json")
        people.write_text(json.dumps(users()))
        words = ["--data", str(self.data), "--port", str(self.port), "--users", str(people)]
        command = [sys.executable, "-m", "cdl.embedded.forge", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == f"forge ready {self.url}\n"
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=20)
        return self.process.returncode

    def client(self, username="validator", **more):
        return gitlab.Gitlab(self.url, private_token=token(username), timeout=20, **more)

    def address(self, path, username="developer"):
        return f"http://{username}:{token(username)}@127.0.0.1:{self.port}/{path}.git"


def git(folder, *words, check=True):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "developer", f"GIT_{who}_EMAIL": "developer@forge.invalid"}
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, env=env, check=False)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def commit(folder, name, content, message="Change"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-m", message)
    return git(folder, "rev-parse", "HEAD").stdout.strip()


class Receiver:
    """Somebody who is told by webhooks."""

    def __init__(self):
        self.got = []
        self.refuse = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                status = 503 if outer.refuse else 200
                outer.refuse = max(outer.refuse - 1, 0)
                outer.got.append((self.headers, content, status))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def taken(self, event):
        """The bodies of an event that were taken."""
        return [
            json.loads(body) for head, body, status in self.got if status == 200 and head["X-Gitlab-Event"] == event
        ]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
