"""Load a release, then listen.

Exit codes: 0 asked to stop; 2 a bad setting or a port in use; 3 the release is not what its digest says, or not
approved; 4 the model's own code failed at start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from cdl.serving import approval
from cdl.serving.app import App
from cdl.serving.counter import Counter
from cdl.serving.environment import Environment, read
from cdl.serving.exposition import Exposition
from cdl.serving.faults import BAD_MODEL, BAD_SETTING, Fault, Refused
from cdl.serving.interface import Interface, parse
from cdl.serving.listening import Beside, until_stopped
from cdl.serving.model import Model, build
from cdl.serving.release import read as read_release
from cdl.serving.served import Served
from cdl.serving.tensors import tensors_of, zeros
from cdl.serving.unpack import unpack

LOG = logging.getLogger("cdl.serving")


def main() -> int:
    """Run the server until it is told to stop; returns the exit code."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    workspace = Path(tempfile.mkdtemp(prefix="cdl-serving-"))
    try:
        # A stop that comes while the model loads ends the process like any other way out: the workspace goes too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        environment = read(os.environ)
        listeners = [_bind(environment.host, environment.port)]
        if environment.metrics_port not in (None, environment.port):
            listeners.append(_bind(environment.host, environment.metrics_port or 0))
        served = load(environment, workspace)
        return _serve(served, environment, listeners, workspace)
    except Refused as refusal:
        sys.stderr.write(f"cdl-serve: {refusal.sentence}\n")
        return refusal.exit_code
    except KeyboardInterrupt:
        return 0
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def load(environment: Environment, workspace: Path) -> Served:
    """Verify, unpack, import, build, load and warm up the release that the environment names."""
    interface = parse(environment.interface)
    release = read_release(environment.release_uri, environment.release_digest)
    approval.check(environment, release)
    unpacked = unpack(release, workspace)
    serve_first = tuple(reversed(unpacked.code))
    parameters = {**environment.parameters, "model_uri": str(unpacked.checkpoint)}
    begun = time.time()
    model = build(release.entrypoint, serve_first, parameters)
    model.load()
    _warm_up(model, interface)
    loading = (begun, time.time() - begun)
    labels = {
        "deployment_name": environment.deployment,
        "predictor_name": environment.predictor,
        "predictor_version": release.version,
        "model_name": environment.unit or release.model,
        "model_image": environment.image,
        "model_version": release.version,
    }
    exposition = Exposition(labels, {"release": release.name, "digest": release.digest}, loading)
    classes, features = _names(model)
    return Served(environment.unit or release.model, release, model, interface, classes, exposition, features)


def _warm_up(model: Model, interface: Interface) -> None:
    """Ask for one answer before anybody else does; where the input is fully known, it must work."""
    if not interface.inputs or not model.predicts:
        return
    arrays = zeros(interface.inputs)
    try:
        answer = model.predict(next(iter(arrays.values())) if len(arrays) == 1 else arrays, [])
        tensors_of(answer, interface)
    except Fault as fault:
        if all(field.fixed for field in interface.inputs):
            raise Refused(f"the warm-up request failed: {fault.sentence}", BAD_MODEL) from fault
        LOG.warning("the warm-up request failed, perhaps for its made-up shape: %s", fault.sentence)


def _names(model: Model) -> tuple[list[str], list[str]]:
    """What the model calls the columns of an answer, and those of a row."""
    try:
        return model.class_names(), model.feature_names()
    except Fault as fault:
        raise Refused(fault.sentence, BAD_MODEL) from fault


def _bind(host: str, port: int) -> socket.socket:
    """Take the port before the long work; connections are refused until it listens."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror or error}", BAD_SETTING) from error
    return listener


def _grpc(
    served: Served, environment: Environment, counter: Counter, app: App
) -> Callable[[], Awaitable[Beside]] | None:
    """What listens for gRPC; nothing where no port for it was told."""
    port = environment.grpc_port
    if port is None:
        return None
    from cdl.serving.grpc_door import Door  # grpc takes memory that nobody needs who speaks HTTP alone

    return lambda: Door(served, counter, app).listen(environment.host, port)


def _serve(served: Served, environment: Environment, listeners: list[socket.socket], workspace: Path) -> int:
    counter = Counter(environment.concurrency, environment.queue, environment.timeout_seconds)
    app = App(served, counter, environment.metrics_path, environment.body_seconds)
    beside = _grpc(served, environment, counter, app)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(until_stopped(app, listeners, environment, beside))
        except OSError as error:
            address = f"{environment.host}:{environment.port}"
            raise Refused(f"cannot listen on {address}: {error.strerror or error}", BAD_SETTING) from error
        finally:
            app.close()
            counter.close()
    if counter.inside:
        # A model that never answers holds a thread that never ends; nobody waits for it any more.
        LOG.warning("%d calls of the model did not end", counter.inside)
        shutil.rmtree(workspace, ignore_errors=True)
        sys.stderr.flush()
        os._exit(0)
    return 0
