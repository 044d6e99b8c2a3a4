"""A tiny release in the canonical format, and the model server as a process of its own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cdl.ports.signing import Signer

MODEL_CODE = """
import json
from pathlib import Path

WEIGHTS = "weights.json"

def read(folder):
    return json.loads((Path(folder) / WEIGHTS).read_text())
"""

SERVE_CODE = '''
import os
import time

import numpy as np

from cdl.checks import Judge
from network import read

if os.environ.get("CDL_TEST_PROOF"):
    open(os.environ["CDL_TEST_PROOF"], "w").close()


class Rows:
    """Sums each row of four numbers and scales the sum by the checkpoint's weight."""

    def __init__(self, model_uri, factor=1, **others):
        self.model_uri, self.factor, self.others = model_uri, factor, others
        self.sick = False

    def load(self):
        self.weight = read(self.model_uri)["weight"]

    def predict(self, X, names=None):
        if X[0, 0] == 666:
            raise ValueError("unlucky number\\nwith a second line")
        if X[0, 0] == 555:
            Judge.of([{"name": "low", "field": "first", "range": {"max": 500}}]).hold({"first": X[0, 0]})
        if X[0, 0] == 777:
            return np.full((len(X), 2), np.nan, dtype="f4")
        if X[0, 0] > 1000:
            time.sleep(float(X[0, 0] - 1000) / 1000)
        total = X.sum(axis=1) * self.weight * self.factor
        return np.stack([total, -total], axis=1).astype("f4")

    def class_names(self):
        return ["up", "down"]

    def tags(self):
        return {"weight": self.weight}

    def metrics(self):
        return [{"type": "COUNTER", "key": "rows_seen", "value": 1}]

    def send_feedback(self, X, names, reward, truth):
        self.sick = reward < 0

    def health_status(self):
        if self.sick:
            raise RuntimeError("the last reward was negative")


class Words:
    class_names = ["length"]

    def __init__(self, model_uri):
        pass

    def predict(self, X, features_names):
        assert all(type(text) is str for text in X)
        return {"label": ["long" if len(text) > 5 else "short" for text in X],
                "length": np.array([[len(text)] for text in X])}


class Pairs:
    def predict(self, X):
        return X["left"] + X["right"]


class Echo:
    def predict(self, X, names, meta):
        return X


class Odd:
    def __init__(self, wrong):
        self.wrong = wrong

    def load(self):
        if self.wrong == "load":
            raise OSError("no such weights")

    def predict(self, X, names):
        if self.wrong == "predict":
            raise KeyError("layer")
        if self.wrong == "shape":
            return np.zeros((1, 3))
        return np.zeros((1, 2))


class Mute:
    pass
'''

ROWS = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}],
}
WORDS = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "length", "datatype": "INT64", "shape": [-1, 1]},
    ],
}
PAIRS = {
    "inputs": [
        {"name": "left", "datatype": "FP64", "shape": [2]},
        {"name": "right", "datatype": "FP64", "shape": [2]},
    ],
    "outputs": [{"name": "sum", "datatype": "FP64", "shape": [2]}],
}


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class TinyRelease:
    """A release on disk, and what a deployment must say to get it."""

    folder: Path
    entrypoint: str = "serve:Rows"
    version: int = 3
    weight: float = 2.0
    serve: bytes = b""
    digest: str = ""
    members: dict = field(default_factory=dict)

    def write(self) -> TinyRelease:
        root = self.folder / "checkpoint-1"
        (root / "sub").mkdir(parents=True, exist_ok=True)
        (root / "weights.json").write_text(json.dumps({"weight": self.weight}))
        (root / "sub" / "more.bin").write_bytes(b"\0" * 1000)
        (self.folder / "model.tar.gz").write_bytes(packed({"network.py": MODEL_CODE}))
        (self.folder / "serve.tar.gz").write_bytes(self.serve or packed({"serve.py": SERVE_CODE}))
        files = {
            str(path.relative_to(root)): sha256(path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()
        }
        code = {
            side: {
                "digest": sha256((self.folder / f"{side}.tar.gz").read_bytes()),
                "uri": f"file://{self.folder}/{side}.tar.gz",
            }
            for side in ("model", "serve")
        }
        code["serve"]["entrypoint"] = self.entrypoint
        self.members = {
            "git": {"commit": "c0ffee"},
            "code": code,
            "checkpoint": {
                "uuid": "checkpoint-1",
                "uri": f"file://{root}",
                "digest": sha256(canonical(files)),
                "files": files,
            },
        }
        return self.seal()

    def seal(self) -> TinyRelease:
        self.digest = sha256(canonical(self.members))
        return self.save()

    def save(self) -> TinyRelease:
        document = {"model": "rows", "version": self.version, "digest": self.digest, "members": self.members}
        (self.folder / "release.json").write_text(json.dumps(document, indent=1))
        return self

    @property
    def uri(self) -> str:
        return f"file://{self.folder}/release.json"

    def approve(self, signer: Signer, **changes: object) -> str:
        """Sign the approval of the release as it is now, with changes to the statement; give its address."""
        decision = {"decision": "Approved", "by": "maria", "at": "2026-01-01T00:00:00Z", "reason": "good"}
        said = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": f"rows-{self.version}", "digest": {"sha256": self.digest.removeprefix("sha256:")}}],
            "predicateType": "https://cdl.dev/attestations/approval/v1",
            "predicate": decision,
        }
        envelope = signer.sign(canonical(said | changes), "application/vnd.in-toto+json")
        path = self.folder / "approval.json"
        path.write_bytes(canonical(envelope))
        return f"file://{path}"

    def parameters(self, interface: dict | None = ROWS, **more: tuple[str, str]) -> list[dict[str, str]]:
        listed = [
            {"name": "release_uri", "value": self.uri, "type": "STRING"},
            {"name": "release_digest", "value": self.digest, "type": "STRING"},
        ]
        if interface is not None:
            listed.append({"name": "interface", "value": json.dumps(interface), "type": "STRING"})
        listed += [{"name": name, "value": value, "type": kind} for name, (kind, value) in more.items()]
        return listed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Running:
    process: subprocess.Popen
    client: httpx.Client
    log: Path

    def wait(self, seconds: float = 15) -> int:
        return self.process.wait(seconds)


class Starter:
    """Starts model servers and sees to it that none is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Running] = []

    def process(self, environ: dict[str, str], port: int | None = None) -> Running:
        port = free_port() if port is None else port
        number = len(self.started)
        log, scratch = self.folder / f"server-{number}.log", self.folder / f"tmp-{number}"
        scratch.mkdir()
        everything = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(port),
            "PREDICTIVE_UNIT_ID": "classifier",
            "PREDICTOR_ID": "v3",
            "SELDON_DEPLOYMENT_ID": "news",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(scratch),
            **environ,
        }
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-m", "cdl.serving"], env=everything, stdout=out, stderr=out)
        running = Running(process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20), log)
        self.started.append(running)
        return running

    def ready(self, environ: dict[str, str]) -> Running:
        running = self.process(environ)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and running.process.poll() is None:
            try:
                if running.client.get("/v2/health/ready").status_code == 200:
                    return running
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{running.log.read_text()}")

    def refused(self, environ: dict[str, str], port: int | None = None) -> tuple[int, str]:
        running = self.process(environ, port)
        code = running.wait()
        return code, running.log.read_text().strip().splitlines()[-1]

    def serve(self, release: TinyRelease, interface: dict | None = ROWS, **environ: str) -> Running:
        return self.ready({"PREDICTIVE_UNIT_PARAMETERS": json.dumps(release.parameters(interface)), **environ})

    def stop(self) -> None:
        for running in self.started:
            running.client.close()
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()
