"""Every wrong input gets a 4xx that names the field, what was found and what is expected."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

INFER = "/v2/models/classifier/infer"
ROW = [1, 2, 3, 4]


def tensor(**changes):
    entry = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": ROW, **changes}
    return {"inputs": [{name: value for name, value in entry.items() if value is not ...}]}


WRONG_V2 = {
    "wrong name": (tensor(name="y"), ["'y'", "'x'"]),
    "no name": (tensor(name=...), ["inputs[0] has no name"]),
    "wrong datatype": (tensor(datatype="INT64"), ["'x'", "'INT64'", "FP32"]),
    "no datatype": (tensor(datatype=...), ["'x'", "null", "FP32"]),
    "wrong shape": (tensor(shape=[1, 3], data=[1, 2, 3]), ["'x'", "[1, 3]", "[-1, 4]"]),
    "wrong rank": (tensor(shape=[4]), ["'x'", "[4]", "[-1, 4]"]),
    "shape is text": (tensor(shape="1,4"), ["'x'", "shape", "'1,4'"]),
    "shape has a boolean": (tensor(shape=[True, 4]), ["'x'", "shape"]),
    "negative shape": (tensor(shape=[-1, 4]), ["'x'", "shape"]),
    "huge shape": (tensor(shape=[2**62, 4]), ["'x'", "needs 18446744073709551616"]),
    "too few values": (tensor(data=[1, 2, 3]), ["'x'", "3 values", "needs 4"]),
    "nested otherwise": (tensor(data=[[1, 2], [3, 4]]), ["'x'", "[2, 2]", "[1, 4]"]),
    "ragged": (tensor(data=[[1, 2], [3, 4, 5]]), ["'x'", "ragged"]),
    "text among numbers": (tensor(data=[1, 2, "three", 4]), ["'x'", "'three'", "[2]", "a number"]),
    "null among numbers": (tensor(data=[1, None, 3, 4]), ["'x'", "null", "[1]"]),
    "boolean among numbers": (tensor(data=[1, 2, 3, True]), ["'x'", "true", "[3]"]),
    "object among numbers": (tensor(data=[[1, 2, 3, {}]]), ["'x'", "an object", "[0][3]"]),
    "out of range": (tensor(data=[1, 2, 3, 1e39]), ["'x'", "inf", "finite"]),
    "empty data": (tensor(data=[]), ["'x'", "empty"]),
    "empty batch": (tensor(shape=[0, 4], data=[]), ["'x'", "empty"]),
    "empty rows": (tensor(data=[[]]), ["'x'", "empty"]),
    "no data": (tensor(data=...), ["'x'", "no data"]),
    "data is a number": (tensor(data=5), ["'x'", "the number 5"]),
    "no inputs": ({}, ["inputs"]),
    "empty inputs": ({"inputs": []}, ["inputs"]),
    "inputs is an object": ({"inputs": {"x": ROW}}, ["inputs", "an object"]),
    "input is a number": ({"inputs": [3]}, ["inputs[0]"]),
    "twice": ({"inputs": tensor()["inputs"] * 2}, ["'x'", "twice"]),
    "id is a number": ({**tensor(), "id": 3}, ["id", "the number 3"]),
    "unknown output": ({**tensor(), "outputs": [{"name": "z"}]}, ["'z'", "'scores'"]),
    "parameters is a list": (tensor(parameters=[]), ["'x'", "parameters"]),
    "binary without bytes": (tensor(parameters={"binary_data_size": 16}), ["'x'", "binary_data_size"]),
}


@pytest.mark.parametrize("case", WRONG_V2)
def test_v2_refuses(rows, case):
    body, words = WRONG_V2[case]
    reply = rows.client.post(INFER, json=body)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    assert [word for word in words if word not in reply.json()["error"]] == [], reply.text
    assert reply.headers["x-cdl-release"] == "rows-3"


WRONG_V01 = {
    "no payload": ({}, ["none of them", "data"]),
    "two payloads": ({"strData": "a", "jsonData": 1}, ["strData and jsonData"]),
    "data is a list": ({"data": [ROW]}, ["data", "a list"]),
    "neither ndarray nor tensor": ({"data": {"tftensor": {}}}, ["'tftensor'", "ndarray or tensor"]),
    "wrong shape": ({"data": {"ndarray": [[1, 2, 3]]}}, ["data.ndarray", "[1, 3]", "[-1, 4]", "'x'"]),
    "wrong rank": ({"data": {"ndarray": ROW}}, ["data.ndarray", "[4]", "[-1, 4]"]),
    "ragged": ({"data": {"ndarray": [[1, 2], [3]]}}, ["data.ndarray", "ragged"]),
    "text": ({"data": {"ndarray": [["a", "b", "c", "d"]]}}, ["data.ndarray", "'a'", "[0][0]"]),
    "null": ({"data": {"ndarray": [[1, 2, None, 4]]}}, ["data.ndarray", "null", "[0][2]"]),
    "empty": ({"data": {"ndarray": []}}, ["data.ndarray", "empty"]),
    "not a list": ({"data": {"ndarray": 7}}, ["data.ndarray", "the number 7"]),
    "tensor size": ({"data": {"tensor": {"shape": [2, 4], "values": ROW}}}, ["data.tensor", "4 values", "needs 8"]),
    "tensor shape": ({"data": {"tensor": {"shape": "x", "values": ROW}}}, ["data.tensor.shape", "'x'"]),
    "tensor without values": ({"data": {"tensor": {"shape": [1, 4]}}}, ["data.tensor.values", "null"]),
    "names": ({"data": {"names": [1], "ndarray": [ROW]}}, ["data.names"]),
    "strData for numbers": ({"strData": "hello"}, ["strData", "'hello'", "a number"]),
    "strData is a number": ({"strData": 5}, ["strData", "the number 5"]),
    "jsonData unknown": ({"jsonData": {"y": [ROW]}}, ["'y'", "'x'"]),
    "binData": ({"binData": "aGk="}, ["binData"]),
}


@pytest.mark.parametrize("case", WRONG_V01)
def test_v01_refuses(rows, case):
    body, words = WRONG_V01[case]
    reply = rows.client.post("/api/v1.0/predictions", json=body)
    status = reply.json()["status"]
    assert (reply.status_code, status["reason"], status["status"]) == (400, "MICROSERVICE_BAD_DATA", 1)
    assert [word for word in words if word not in status["info"]] == [], reply.text


@pytest.mark.parametrize("path", [INFER, "/predict", "/api/v1.0/feedback"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"3", b'{"a": NaN}', b"\xff\xfe", b"[" * 5000, b'{"inputs":' * 3000],
    ids=["empty", "cut", "a list", "a number", "NaN", "not UTF-8", "deep", "deep objects"],
)
def test_a_body_that_is_no_json_object_is_refused(rows, path, body):
    reply = rows.client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert "body" in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "/nowhere"),
        ("POST", "/v2/models/other/infer", 404, "'other'"),
        ("GET", "/v2/models/other", 404, "'other'"),
        ("POST", "/v2/models/classifier/versions/9/infer", 404, "'9'"),
        ("GET", "/v2/models/classifier/explain", 404, "explain"),
        ("GET", INFER, 405, "POST"),
        ("POST", "/v2/health/ready", 405, "GET"),
        ("DELETE", "/api/v1.0/predictions", 405, "POST"),
        ("PUT", "/v2", 405, "GET"),
    ],
)
def test_unknown_paths_models_and_methods(rows, method, path, status, words):
    reply = rows.client.request(method, path)
    assert reply.status_code == status
    assert words in reply.text
    assert ("allow" in reply.headers) is (status == 405)
    assert reply.headers["seldon-puid"]


def test_other_formats_are_refused(rows):
    for headers, word in (
        ({"content-type": "text/csv"}, "text/csv"),
        ({"content-type": "application/json", "content-encoding": "br"}, "br"),
    ):
        for path in (INFER, "/predict"):
            reply = rows.client.post(path, content=b"1,2", headers=headers)
            assert (reply.status_code, word in reply.text) == (415, True)


@pytest.mark.parametrize("framing", ["announced", "chunked"])
def test_a_body_over_the_limit_is_refused(rows, framing):
    block = b" " * (1 << 20)
    blocks = (block for _ in range(65))
    content = block * 65 if framing == "announced" else blocks
    reply = rows.client.post(INFER, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 413
    assert "64 MiB" in reply.json()["error"]
    assert rows.client.get("/v2/health/ready").status_code == 200


def test_what_the_model_raises_is_one_sentence_and_the_traceback_is_in_the_log(rows):
    body = tensor(data=[666, 0, 0, 0])
    reply = rows.client.post(INFER, json=body)
    assert (reply.status_code, reply.json()) == (
        500,
        {"error": "the model's predict failed with ValueError: unlucky number"},
    )
    seldon = rows.client.post("/predict", json={"data": {"ndarray": [[666, 0, 0, 0]]}})
    assert (seldon.status_code, seldon.json()["status"]["reason"]) == (500, "MICROSERVICE_INTERNAL_ERROR")
    assert "Traceback" not in reply.text + seldon.text
    assert "Traceback" in rows.log.read_text()


def test_what_a_check_of_the_model_refuses_is_the_callers_to_mend(rows):
    reply = rows.client.post(INFER, json=tensor(data=[555, 0, 0, 0]))
    assert (reply.status_code, reply.json()) == (
        400,
        {"error": "check low found first 555.0, allowed is a number to 500"},
    )
    seldon = rows.client.post("/predict", json={"data": {"ndarray": [[555, 0, 0, 0]]}})
    assert (seldon.status_code, seldon.json()["status"]["reason"]) == (400, "MICROSERVICE_BAD_DATA")


def test_a_model_that_answers_nan_is_a_failure_not_a_null(rows):
    reply = rows.client.post(INFER, json=tensor(data=[777, 0, 0, 0]))
    assert (reply.status_code, "NaN" in reply.json()["error"]) == (500, True)


def test_a_slow_model_times_out_and_health_answers_meanwhile(rows):
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(rows.client.post, INFER, json=tensor(data=[5000, 0, 0, 0])) for _ in range(6)]
        time.sleep(0.2)  # the two threads are busy now, the queue of two is full
        health = rows.client.get("/v2/health/live", timeout=1)
        statuses = sorted(future.result().status_code for future in slow)
    assert health.status_code == 200
    assert statuses == [503, 503, 504, 504, 504, 504]
    deadline = time.monotonic() + 10
    while rows.client.post(INFER, json=tensor()).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_caller_that_leaves_in_the_middle_harms_nobody(rows):
    address = (rows.client.base_url.host, rows.client.base_url.port)
    with socket.create_connection(address) as caller:
        caller.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
    with socket.create_connection(address) as caller:
        caller.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 400")
    assert rows.client.post(INFER, json=tensor()).json()["outputs"][0]["data"] == [20.0, -20.0]


def test_error_bodies_are_json_whatever_the_field_holds(rows):
    reply = rows.client.post(INFER, json=tensor(name="</script>\u2028\"'\n" + "x" * 500))
    assert reply.status_code == 400
    assert json.loads(reply.content)["error"]
