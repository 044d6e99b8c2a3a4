"""gRPC below what a client library does: typed contents, headers, metrics, and how it begins and ends."""

from __future__ import annotations

import json
import re
import signal

import grpc
import pytest
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc as stubs

from tests.wire.serving.tiny_release import Starter, TinyRelease

GRPC = {"PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "0"}


def address(running):
    return re.search(r"ready for gRPC at (\S+)", running.log.read_text())[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    starting = Starter(folder)
    yield starting.serve(TinyRelease(folder).write(), **GRPC)
    starting.stop()


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(address(server)) as channel:
        yield stubs.GRPCInferenceServiceStub(channel)


def asked(contents=None, raw=(), **changes):
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": contents or {}, **changes}
    return wire.ModelInferRequest(model_name="classifier", inputs=[entry], raw_input_contents=raw)


def refused(stub, request):
    with pytest.raises(grpc.RpcError) as failed:
        stub.ModelInfer(request)
    return failed.value.code().name, failed.value.details()


def test_typed_contents_are_answered_in_kind(stub):
    answer = stub.ModelInfer(asked({"fp32_contents": [1, 2, 3, 4]}))
    assert list(answer.outputs[0].contents.fp32_contents) == [20, -20]
    assert (list(answer.raw_output_contents), list(answer.outputs[0].shape)) == ([], [1, 2])


def test_the_answer_names_its_release_and_itself(stub):
    answer, call = stub.ModelInfer.with_call(
        asked({"fp32_contents": [1, 2, 3, 4]}), metadata=(("seldon-puid", "mine-1"),)
    )
    told = dict(call.initial_metadata())
    assert (told["x-cdl-release"], told["seldon-puid"]) == ("rows-3", "mine-1")
    assert told["x-cdl-digest"] == answer.parameters["digest"].string_param
    digits = told["x-cdl-digest"].removeprefix("sha256:")[:12]
    assert told["x-cdl-prediction"] == answer.parameters["prediction"].string_param == f"{digits}-mine-1"
    assert (answer.model_version, answer.parameters["weight"].double_param) == ("3", 2.0)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(), ["'x'", "empty"]),
        (asked({"fp32_contents": [1, 2, 3]}), ["'x'", "3 values", "needs 4"]),
        (asked({"int_contents": [1, 2, 3, 4]}), ["'x'", "int_contents", "fp32_contents"]),
        (asked({"fp32_contents": [1, 2, 3, float("inf")]}), ["'x'", "inf"]),
        (asked({"fp32_contents": [1]}, shape=[-1, 4]), ["'x'", "shape"]),
        (asked(raw=[b"123"]), ["'x'", "3 bytes"]),
        (asked(raw=[b"", b""]), ["raw_input_contents", "2", "1"]),
        (wire.ModelInferRequest(model_name="classifier"), ["inputs"]),
    ],
    ids=["none", "few", "elsewhere", "inf", "shape", "torn", "more", "nothing"],
)
def test_what_is_wrong_is_named(stub, request_, words):
    code, details = refused(stub, request_)
    assert code == "INVALID_ARGUMENT"
    assert [word for word in words if word not in details] == [], details


def test_bytes_that_are_no_message_and_too_many_of_them_leave_the_server_as_it_is(server, stub):
    with grpc.insecure_channel(address(server)) as channel:
        for content, code in ((b"\xff" * 50, "INVALID_ARGUMENT"), (b"\0" * (65 << 20), "RESOURCE_EXHAUSTED")):
            method = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            with pytest.raises(grpc.RpcError) as failed:
                method(content)
            assert failed.value.code().name == code
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/inference.GRPCInferenceService/Nothing")(b"")
        assert failed.value.code().name == "UNIMPLEMENTED"
    assert stub.ServerReady(wire.ServerReadyRequest()).ready


def test_calls_are_counted_beside_those_over_http(server, stub):
    def counted():
        found = re.search(
            r'seconds_count{.*service="predictions",method="grpc",code="OK"} (\d+)', server.client.get("/metrics").text
        )
        return int(found[1]) if found else 0

    before = counted()
    stub.ModelInfer(asked({"fp32_contents": [1, 2, 3, 4]}))
    assert counted() == before + 1


def test_a_model_that_says_it_is_sick_is_not_ready(starter, tiny):
    running = starter.serve(tiny, **GRPC)
    with grpc.insecure_channel(address(running)) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        assert stub.ModelReady(wire.ModelReadyRequest(name="rows")).ready
        judged = {"reward": -1, "request": {"data": {"ndarray": [[1, 2, 3, 4]]}}}
        assert running.client.post("/send-feedback", json=judged).status_code == 200
        assert not stub.ServerReady(wire.ServerReadyRequest()).ready
        assert stub.ServerLive(wire.ServerLiveRequest()).live


def test_a_call_in_flight_is_answered_before_the_server_leaves(starter, tiny):
    running = starter.serve(tiny, **GRPC, CDL_CONCURRENCY="2")
    with grpc.insecure_channel(address(running)) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        slow = stub.ModelInfer.future(asked({"fp32_contents": [2000, 0, 0, 0]}))
        quick = stub.ModelInfer(asked({"fp32_contents": [1, 0, 0, 0]}), wait_for_ready=True)
        running.process.send_signal(signal.SIGTERM)
        assert quick.outputs[0].contents.fp32_contents[0] == 2
        assert slow.result().outputs[0].contents.fp32_contents[0] == 4000
    assert running.wait() == 0


def test_a_port_that_is_taken_is_said(server, starter, tiny):
    taken = address(server).rpartition(":")[2]
    environ = {"PREDICTIVE_UNIT_PARAMETERS": json.dumps(tiny.parameters()), "MLSERVER_GRPC_PORT": taken}
    code, sentence = starter.refused(environ)
    assert code == 2
    assert f"127.0.0.1:{taken} for gRPC" in sentence
