"""The embedded Seldon as a process, and objects to give it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
from kubernetes import client as kubernetes

from tests.wire.serving.tiny_release import ROWS, TinyRelease

GROUP, VERSION, PLURAL = "machinelearning.seldon.io", "v1", "seldondeployments"
SERVING = shlex.join([sys.executable, "-m", "cdl.serving"])
INFER = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}

# A server without cdl: it answers health at once, says who it is, and does as the path says.
PLAIN = """
import http.server, json, os, subprocess, sys, time

def note(line):
    if os.environ.get("NOTES"):
        with open(os.environ["NOTES"], "a") as file:
            file.write(line + "\\n")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def reply(self, body, headers=()):
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def do_GET(self):
        if self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"a" * 10, b"b" * 100000, b"c"):
                self.wfile.write(b"%x\\r\\n%b\\r\\n" % (len(part), part))
            self.wfile.write(b"0\\r\\n\\r\\n")
        elif self.path == "/until-close":
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"d" * 100000)
        elif self.path == "/cut":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"e" * 10)
        elif self.path == "/silence":
            self.close_connection = True
        elif self.path == "/none":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/die":
            os._exit(7)
        else:
            self.reply(json.dumps({"who": os.environ["PREDICTOR_ID"], "path": self.path, "pid": os.getpid(),
                                   "headers": dict(self.headers)}).encode())
    do_HEAD = do_GET
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        note(f"{os.environ['PREDICTOR_ID']} {self.headers['Seldon-Puid']} {len(body)}")
        time.sleep(float(os.environ.get("SLEEP", "0")))
        self.reply(json.dumps({"who": os.environ["PREDICTOR_ID"], "size": len(body), "path": self.path,
                               "sum": sum(body), "headers": dict(self.headers)}).encode())
    def log_message(self, *_):
        pass

if "SWITCH" in os.environ and not os.path.exists(os.environ["SWITCH"]):
    sys.exit("the switch is off")
if "CHILD" in os.environ:
    subprocess.Popen(["sleep", "300"])
time.sleep(float(os.environ.get("LATE", "0")))
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])), Handler).serve_forever()
"""


def predictor(name: str, traffic: int | None = None, **more) -> dict:
    """One predictor on the plain server."""
    environ = [{"name": key, "value": str(value)} for key, value in more.pop("env", {}).items()]
    unit = {"name": "model", "image": more.pop("image", "plain"), "env": environ}
    made = {"name": name, "graph": {"name": "model"}, "componentSpecs": [{"spec": {"containers": [unit]}}], **more}
    return made if traffic is None else {**made, "traffic": traffic}


def released(name: str, release: TinyRelease, traffic: int | None = None, **more) -> dict:
    """One predictor on the model server."""
    made = predictor(name, traffic, image="cdl/serving:1", **more)
    made["graph"]["parameters"] = release.parameters(ROWS)
    return made


def deployment(name: str, *predictors: dict, **spec) -> dict:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SeldonDeployment",
        "metadata": {"name": name},
        "spec": {"predictors": list(predictors), **spec},
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """One embedded Seldon on one folder; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.router_port = free_port(), free_port()
        plain = folder / "plain.py"
        folder.mkdir(parents=True, exist_ok=True)
        plain.write_text(PLAIN)
        self.images = {"cdl/serving": SERVING, "plain": shlex.join([sys.executable, str(plain)])}
        self.process: subprocess.Popen | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        self.router = httpx.Client(base_url=f"http://127.0.0.1:{self.router_port}", timeout=20)
        configuration = kubernetes.Configuration(host=f"http://127.0.0.1:{self.port}")
        self.client = kubernetes.ApiClient(configuration)
        self.objects = kubernetes.CustomObjectsApi(self.client)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self) -> list[str]:
        images = [word for name, command in self.images.items() for word in ("--image", f"{name}={command}")]
        ports = ["--port", str(self.port), "--router-port", str(self.router_port)]
        return [sys.executable, "-m", "cdl.embedded.seldon", "--data", str(self.data), *ports, *images]

    def start(self, limit: int = 0) -> Engine:
        """Start it; a limit is the size in bytes that no file of it may pass, as on a full disk."""
        command = ["prlimit", f"--fsize={limit}", *self.command()] if limit else self.command()
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ)
        line = self.process.stdout.readline()
        api, router = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.router_port}"
        assert line == f"seldon ready {api} router {router}\n"
        return self

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def close(self) -> None:
        self.http.close()
        self.router.close()
        self.client.close()
        if self.process.poll() is None:
            self.terminate()
        assert self.processes() == []

    def processes(self, deployment: str = "") -> list[psutil.Process]:
        """Every process that belongs to this engine's data, or to one deployment, whoever started it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                environ = process.environ()
                ours = environ.get("CDL_EMBEDDED_SELDON") == str(self.data.resolve())
                if ours and deployment in ("", environ.get("SELDON_DEPLOYMENT_ID")):
                    found.append(process)
        return found

    # -- the SDK ------------------------------------------------------------------------------------------------------

    def create(self, document: dict, namespace: str = "default") -> dict:
        return self.objects.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, document)

    def get(self, name: str, namespace: str = "default") -> dict:
        return self.objects.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)

    def patch(self, name: str, patch: dict, namespace: str = "default") -> dict:
        return self.objects.patch_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, patch)

    def apply(self, document: dict, applier: str = "tests", force: bool = False, namespace: str = "default") -> dict:
        name = document["metadata"]["name"]
        answer = self.objects.patch_namespaced_custom_object(
            GROUP,
            VERSION,
            namespace,
            PLURAL,
            name,
            document,
            field_manager=applier,
            force=force,
            _content_type="application/apply-patch+yaml",
        )
        # A new object is answered with 201, as on a real API server; this client reads a patch's body only with 200.
        return answer or self.get(name, namespace)

    def delete(self, name: str, namespace: str = "default") -> dict:
        return self.objects.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)

    def until(self, name: str, state: str = "Available", seconds: float = 30) -> dict:
        """Wait until the newest generation of an object has this state."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(name)
            status = found.get("status", {})
            if status.get("observedGeneration") == found["metadata"]["generation"] and status["state"] == state:
                return found
            assert time.monotonic() < deadline, f"{status}\n{self.log(name)}"
            time.sleep(0.05)

    def log(self, name: str) -> str:
        return self.http.get(f"/apis/{GROUP}/{VERSION}/namespaces/default/{PLURAL}/{name}/log").text

    def url(self, name: str, rest: str = "/api/v1.0/predictions") -> str:
        return f"/seldon/default/{name}{rest}"


def eventually(claim, seconds: float = 15):
    """Wait until a claim holds; gives what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = claim()
        if found:
            return found
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.05)
