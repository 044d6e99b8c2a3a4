"""The servers, each with the same class: a perceptron of 784-128-10 in NumPy, weights of one seed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import rfc8785

MODEL = """
import numpy as np


class Mlp:
    def __init__(self, model_uri=""):
        chance = np.random.default_rng(0)
        self.first = chance.normal(size=(784, 128)).astype("f4") / 28
        self.second = chance.normal(size=(128, 10)).astype("f4") / 11

    def predict(self, X, names=None):
        X = np.asarray(X, "f4").reshape(-1, 784)
        return np.maximum(X @ self.first, 0) @ self.second
"""
HELLO = """
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    body = b"0" * 200
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"200")]})
    await send({"type": "http.response.body", "body": body})
"""
FASTAPI = """
from fastapi import FastAPI
from pydantic import BaseModel

from model import Mlp

app, model = FastAPI(), Mlp()


class Rows(BaseModel):
    rows: list[list[float]]


class Scores(BaseModel):
    scores: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> Scores:
    return Scores(scores=model.predict(rows.rows).tolist())
"""
MLSERVER = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

from model import Mlp


class Runtime(MLModel):
    async def load(self):
        self.mlp = Mlp()
        return True

    async def predict(self, payload):
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        output = NumpyCodec.encode_output("scores", self.mlp.predict(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])
"""
ROW = [(n % 256) / 256 for n in range(784)]
OIP = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 784], "data": ROW}]}).encode()
V01 = json.dumps({"data": {"ndarray": [ROW]}}).encode()
START_SECONDS = 90
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Server:
    """How one is started, and how it is asked."""

    name: str
    command: tuple[str, ...]
    environ: dict[str, str]
    path: str
    body: bytes


def servers(folder: Path, peers: Path) -> tuple[list[Server], list[str]]:
    """Write what each serves; gives those that can be started, and a sentence for each that cannot."""
    for name, text in (("model", MODEL), ("Mlp", MODEL), ("hello", HELLO), ("plain", FASTAPI), ("runtime", MLSERVER)):
        (folder / f"{name}.py").write_text(text)
    (folder / "model-settings.json").write_text('{"name": "m", "implementation": "runtime.Runtime"}')
    ours = (sys.executable, "-m", "cdl.serving")
    told = {"PREDICTIVE_UNIT_PARAMETERS": json.dumps(_parameters(folder))}
    port = "PREDICTIVE_UNIT_HTTP_SERVICE_PORT"
    uvicorn = ("-m", "uvicorn", "--log-level", "critical", "--port", "PORT")
    found = [
        Server("ours", ours, {**told, port: "PORT"}, "/v2/models/infer", OIP),
        Server("floor: HTTP alone", (sys.executable, *uvicorn, "hello:app"), {}, "/", OIP),
    ]
    missing = []
    mlserver = {"MLSERVER_HTTP_PORT": "PORT", "MLSERVER_GRPC_PORT": "0", "MLSERVER_METRICS_PORT": "0"}
    wrapper = ("Mlp", "--http-port", "PORT", "--service-type", "MODEL")
    for name, program, rest, environ, path, body in (
        ("fastapi", "python", (*uvicorn, "plain:app"), {}, "/predict", json.dumps({"rows": [ROW]}).encode()),
        ("seldon", "seldon-core-microservice", wrapper, {}, "/predict", V01),
        (
            "mlserver",
            "mlserver",
            ("start", "."),
            {**mlserver, "MLSERVER_PARALLEL_WORKERS": "0"},
            "/v2/models/m/infer",
            OIP,
        ),
    ):
        place = peers / name / "bin" / program
        if place.exists():
            found.append(Server(name, (str(place), *rest), environ, path, body))
        else:
            missing.append(f"{name} was left out: there is no {place}")
    return found, missing


class Started:
    """A server as a process of its own, until the block ends."""

    def __init__(self, server: Server, folder: Path) -> None:
        """Start it, and wait until it answers as it should."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        port = str(self.port)
        environ = {name: value.replace("PORT", port) for name, value in server.environ.items()}
        self._log = folder / f"{server.name.partition(':')[0]}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [port if word == "PORT" else word for word in server.command],
                cwd=folder, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(folder), **environ},
            )  # fmt: skip
        self._server = server

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        url, headers = f"http://127.0.0.1:{self.port}{self._server.path}", {"content-type": "application/json"}
        while True:
            try:
                if httpx.post(url, content=self._server.body, headers=headers).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.2)
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"{self._server.name} did not start: {self._log.read_text()[-500:]}")

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()


def _parameters(folder: Path) -> list[dict[str, str]]:
    """Make a release of the class, and what names it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder / "model.py", "model.py")
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "none.json").write_text("{}")
    (folder / "serve.tar.gz").write_bytes(buffer.getvalue())
    code: dict[str, Any] = {"digest": _sha256(buffer.getvalue()), "uri": f"file://{folder}/serve.tar.gz"}
    files = {"none.json": _sha256(b"{}")}
    kept = {"uuid": "c", "uri": f"file://{checkpoint}", "digest": _sha256(rfc8785.dumps(files)), "files": files}
    members: dict[str, Any] = {
        "code": {"model": code, "serve": {**code, "entrypoint": "model:Mlp"}},
        "checkpoint": kept,
    }
    digest = _sha256(rfc8785.dumps(members))
    document = {"model": "m", "version": 1, "digest": digest, "members": members}
    (folder / "release.json").write_text(json.dumps(document))
    interface = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 784]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
    }
    said = {
        "release_uri": f"file://{folder}/release.json",
        "release_digest": digest,
        "interface": json.dumps(interface),
    }
    return [{"name": name, "value": value, "type": "STRING"} for name, value in said.items()]


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
