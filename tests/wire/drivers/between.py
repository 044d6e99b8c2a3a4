"""A gRPC server that stands before a pachd, passes bytes through, and refuses what its judge refuses."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import grpc


class Between(grpc.GenericRpcHandler):
    """Asks `judge(method, metadata, first request)` for a code and a text, or None, and counts refusals."""

    def __init__(self, address, judge):
        self.channel = grpc.insecure_channel(address)
        self.judge = judge
        self.refused = 0

    def service(self, details):
        metadata = dict(details.invocation_metadata)
        return grpc.stream_stream_rpc_method_handler(
            lambda asked, context: self._pass(details.method, metadata, asked, context)
        )

    def _pass(self, method, metadata, asked, context):
        first = next(asked)
        refusal = self.judge(method, metadata, first)
        if refusal is not None:
            self.refused += 1
            context.abort(*refusal)
        try:
            yield from self.channel.stream_stream(method)(itertools.chain([first], asked))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


@contextlib.contextmanager
def standing_before(address, judge):
    """Give the server and its address."""
    between = Between(address, judge)
    server = grpc.server(ThreadPoolExecutor(8), handlers=(between,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield between, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        between.channel.close()
