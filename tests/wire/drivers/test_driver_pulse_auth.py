"""Where auth is on, pachd does not list the branches of all repositories; the driver asks for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from cdl.engines.pachyderm import PachydermEngine
from tests.wire.drivers.test_driver_pulse import TestPachydermPulse

from .conftest import ROOT

REFUSAL = "Cannot list branches from all repos with auth activated"


class Guard(grpc.GenericRpcHandler):
    """Stands before a pachd, passes bytes through, and refuses what auth refuses."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.refused = 0

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(lambda asked, context: self._pass(details.method, asked, context))

    def _pass(self, method, asked, context):
        if method == "/pfs_v2.API/ListBranch":
            request = next(asked)
            if request == b"":
                self.refused += 1
                context.abort(grpc.StatusCode.UNKNOWN, REFUSAL)
            asked = iter([request])
        try:
            yield from self.channel.stream_stream(method)(asked)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


@pytest.fixture(scope="module")
def guarded(pachd):
    guard = Guard(pachd.address)
    server = grpc.server(ThreadPoolExecutor(8), handlers=(guard,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield guard, f"127.0.0.1:{port}"
    server.stop(None).wait()
    guard.channel.close()


class TestPulseWithAuth(TestPachydermPulse):
    @pytest.fixture
    def engine(self, guarded):
        guard, address = guarded
        made = PachydermEngine(address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
        before = guard.refused
        yield made
        assert guard.refused > before


del TestPachydermPulse  # it has its own module
