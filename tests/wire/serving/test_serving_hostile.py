"""Hostile bodies, slow callers and huge uploads: refused, and the server is what it was before, in memory too."""

from __future__ import annotations

import gzip
import json
import socket
import struct

import psutil
import pytest

from tests.wire.serving.tiny_release import ROWS, Starter, TinyRelease

MIB = 1 << 20
INFER = "/v2/models/infer"
GOOD = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
GROWTH = 48 * MIB  # less than one upload; what an allocator keeps for itself is within it


def v2(name="x", shape="[1,4]", datatype="FP32", data="[1,2,3,4]", more=""):
    return f'{{"inputs":[{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{data}{more}}}]}}'.encode()


def with_bytes(head, raw, size=None):
    return head + raw, {"inference-header-content-length": str(len(head) if size is None else size)}


def binary(size):
    text = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    return json.dumps({"inputs": [text]}).encode()


BODIES = {
    "deep lists": v2(data="[" * 200_000 + "]" * 200_000),
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "open deep lists": b'{"inputs":' + b"[" * 500_000,
    "a number too large": v2(data="[1e400,2,3,4]"),
    "an integer of many digits": v2(data="[" + "9" * 100_000 + ",2,3,4]"),
    "a shape beyond every machine": v2(shape=f"[{2**62},{2**62},4]"),
    "a shape that overflows to fit": v2(shape=f"[{2**32},{2**32},4]"),
    "a thousand dimensions": v2(shape=json.dumps([1] * 1000)),
    "half a character": v2(name="\\ud800"),
    "no UTF-8": v2().replace(b'"x"', b'"\xc3\x28"'),
    "a name of a megabyte": v2(name="n" * MIB),
    "a hundred thousand tensors": b'{"inputs":[' + b"{}," * 100_000 + b"{}]}",
    "a hundred thousand keys": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
    "NUL bytes": b"\0" * MIB,
    "spaces": b" " * MIB,
    "script": v2(name="<script>alert(1)</script>"),
    "binary size negative": with_bytes(binary(-1), b"\0" * 16),
    "binary size huge": with_bytes(binary(2**63), b"\0" * 16),
    "binary size a fraction": with_bytes(binary(15.5), b"\0" * 16),
    "binary head beyond the body": with_bytes(binary(16), b"", size=2**40),
    "binary head of no number": with_bytes(binary(16), b"\0" * 16, size="٣"),
    "binary NaN": with_bytes(binary(16), struct.pack("<4f", 1, float("nan"), 3, 4)),
    "a bomb of gzip": (gzip.compress(b" " * (64 * MIB)), {"content-encoding": "gzip"}),
    "a form": (b"--b\r\n\r\nx\r\n--b--", {"content-type": "multipart/form-data; boundary=b"}),
}
# What is no HTTP, or HTTP that two readers could understand in two ways.
HEAD = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
WIRE = {
    "negative length": HEAD + b"Content-Length: -5\r\n\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}",
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk of every size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "a header with a line break": HEAD + b"X: a\nb\0: c\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no protocol": b"\0" * 10_000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    starting = Starter(folder)
    release = TinyRelease(folder).write()
    yield starting.serve(release, ROWS)
    starting.stop()


def alive(server):
    reply = server.client.post(INFER, json=GOOD)
    assert (reply.status_code, reply.json()["outputs"][0]["data"]) == (200, [20.0, -20.0])


def sent(server, body):
    content, headers = body if isinstance(body, tuple) else (body, {})
    headers = {"content-type": "application/json", **{k: v.encode() for k, v in headers.items()}}
    return server.client.post(INFER, content=content, headers=headers)


def connected(server):
    caller = socket.create_connection((server.client.base_url.host, server.client.base_url.port), timeout=60)
    caller.settimeout(60)
    return caller


def heard(caller):
    """Everything until the server hangs up."""
    parts = []
    try:
        while part := caller.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused_in_a_sentence(server, name):
    reply = sent(server, BODIES[name])
    assert reply.status_code in (400, 415), reply.text[:200]
    assert reply.json()["error"]
    assert reply.headers["content-type"] == "application/json"
    alive(server)


@pytest.mark.parametrize("name", WIRE)
def test_what_is_no_http_is_hung_up_on(server, name):
    with connected(server) as caller:
        caller.sendall(WIRE[name])
        caller.shutdown(socket.SHUT_WR)
        answer = heard(caller)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ")), answer[:200]
    alive(server)


def test_slow_callers_are_hung_up_on_while_others_are_answered(starter, tiny):
    server = starter.serve(tiny, CDL_HEAD_SECONDS="3", CDL_BODY_SECONDS="3")
    beginnings = [b"", b"POST", HEAD, HEAD + b"X-Slow: 1\r\n"]
    bodies = [HEAD + b"Content-Length: 100\r\n\r\n", HEAD + b"Content-Length: 100\r\n\r\n{", HEAD
              + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r"]  # fmt: skip
    callers = [connected(server) for _ in range(10 * len(beginnings + bodies))]
    for caller, said in zip(callers, 10 * (beginnings + bodies), strict=True):
        caller.sendall(said)
    alive(server)
    ends = {said: set() for said in beginnings + bodies}
    for caller, said in zip(callers, 10 * (beginnings + bodies), strict=True):
        ends[said].add(heard(caller).partition(b"\r\n")[0])
        caller.close()
    assert [ends[said] for said in beginnings] == [{b""}] * len(beginnings)
    assert [ends[said] for said in bodies] == [{b"HTTP/1.1 408 Request Timeout"}] * len(bodies)
    alive(server)


def test_a_caller_that_reads_nothing_harms_nobody(server):
    with connected(server) as caller:
        caller.sendall(b"GET /v2/docs HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        alive(server)
    assert server.client.get("/v2/health/ready").status_code == 200


def uploaded(server, megabytes, *, announced):
    block = b" " * MIB
    with connected(server) as caller:
        if announced:
            caller.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (megabytes * MIB))
        else:
            caller.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(megabytes):
            caller.sendall(block if announced else b"%x\r\n%s\r\n" % (MIB, block))
        if not announced:
            caller.sendall(b"0\r\n\r\n")
        return caller.recv(20)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_memory_is_flat_under_uploads_of_a_hundred_megabytes(starter, tiny, announced):
    server = starter.serve(tiny)

    def memory():
        assert [uploaded(server, 100, announced=announced) for _ in range(2)] == [b"HTTP/1.1 413 Request"] * 2
        alive(server)
        return psutil.Process(server.process.pid).memory_info().rss

    before = memory()
    assert max(memory() for _ in range(3)) - before < GROWTH


def test_memory_is_flat_under_hostile_bodies(server):
    def memory():
        for body in BODIES.values():
            sent(server, body)
        alive(server)
        return psutil.Process(server.process.pid).memory_info().rss

    before = max(memory() for _ in range(2))
    assert max(memory() for _ in range(4)) - before < GROWTH
