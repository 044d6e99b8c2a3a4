"""NVIDIA's own client, over HTTP with binary tensors and over gRPC: what goes in comes out, what is wrong is named."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http
from tritonclient.utils import InferenceServerException

from tests.wire.serving.tiny_release import WORDS, Starter, TinyRelease

GRPC = {"PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "0"}
X = np.array([[1, 2, 3, 4], [0, 0, 0, 0.5]], "f4")
SCORES = np.array([[20, -20], [1, -1]], "f4")
NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8",
    "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip


def opened(running, module):
    """A client of either protocol for a running server."""
    if module is by_http:
        return by_http.InferenceServerClient(running.client.base_url.netloc.decode())
    return by_grpc.InferenceServerClient(re.search(r"ready for gRPC at (\S+)", running.log.read_text())[1])


def tensor(module, name, array, datatype, **how):
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **how)
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One server of rows with an interface, and one that gives back whatever it gets, without."""
    folder = tmp_path_factory.mktemp("triton")
    starting = Starter(folder)
    servers = {}
    for name, entrypoint, interface in (("rows", "serve:Rows", ...), ("echo", "serve:Echo", None)):
        (folder / name).mkdir()
        release = TinyRelease(folder / name, entrypoint).write()
        servers[name] = starting.serve(release, **({} if interface is ... else {"interface": interface}), **GRPC)
    yield servers
    starting.stop()


@pytest.fixture(params=[by_http, by_grpc], ids=["http", "grpc"])
def module(request):
    return request.param


@pytest.fixture
def rows(both, module):
    client = opened(both["rows"], module)
    yield client
    client.close()


@pytest.fixture
def echo(both, module):
    client = opened(both["echo"], module)
    yield client
    client.close()


def test_a_server_and_its_model_say_that_they_are_ready(rows):
    assert rows.is_server_live()
    assert rows.is_server_ready()
    assert rows.is_model_ready("classifier")
    assert rows.is_model_ready("rows", "3")
    assert not told_ready(rows, "other")


def told_ready(client, name):
    try:
        return client.is_model_ready(name)
    except InferenceServerException:
        return False


def test_metadata_is_the_interface(rows, module):
    how = {} if module is by_http else {"as_json": True}
    found = rows.get_model_metadata("classifier", **how)
    assert (found["name"], found["versions"]) == ("classifier", ["3"])
    assert [(f["name"], f["datatype"], list(map(int, f["shape"]))) for f in found["inputs"] + found["outputs"]] == [
        ("x", "FP32", [-1, 4]),
        ("scores", "FP32", [-1, 2]),
    ]
    assert rows.get_server_metadata(**how)["name"] == "cdl"


def test_a_prediction_is_what_the_model_says(rows, module):
    answer = rows.infer("classifier", [tensor(module, "x", X, "FP32")], request_id="call-7")
    np.testing.assert_array_equal(answer.as_numpy("scores"), SCORES)
    assert answer.as_numpy("scores").dtype == np.float32
    response = answer.get_response() if module is by_http else answer.get_response(as_json=True)
    assert (response["id"], response["model_name"], response["model_version"]) == ("call-7", "classifier", "3")
    assert set(response["parameters"]) >= {"release", "digest", "prediction", "weight"}


@pytest.mark.parametrize("datatype", NUMPY)
def test_every_datatype_there_and_back(echo, module, datatype):
    array = np.array([[0, 1, 0], [1, 1, 0]], NUMPY[datatype])
    if datatype != "BOOL":
        info = (np.finfo if datatype.startswith("FP") else np.iinfo)(array.dtype)
        array[0, 0], array[1, 2] = info.min, info.max
    answer = echo.infer("classifier", [tensor(module, "input", array, datatype)])
    found = answer.as_numpy("output")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_texts_there_and_back(echo, module):
    array = np.array([b"hi", "über".encode(), b""], dtype=object)
    answer = echo.infer("classifier", [tensor(module, "input", array, "BYTES")])
    assert answer.as_numpy("output").tolist() == [b"hi", "über".encode(), b""]


@pytest.mark.parametrize(("sent", "wanted"), [(True, True), (True, False), (False, True), (False, False)])
def test_binary_and_json_mix_over_http(both, sent, wanted):
    client = opened(both["rows"], by_http)
    inputs = [tensor(by_http, "x", X, "FP32", binary_data=sent)]
    outputs = [by_http.InferRequestedOutput("scores", binary_data=wanted)]
    answer = client.infer("classifier", inputs, outputs=outputs)
    np.testing.assert_array_equal(answer.as_numpy("scores"), SCORES)
    assert ("data" in answer.get_output("scores")) is not wanted
    client.close()


@pytest.mark.parametrize(
    ("name", "array", "datatype", "words"),
    [
        ("y", X, "FP32", ["'y'", "'x'"]),
        ("x", X.astype("i8"), "INT64", ["'x'", "INT64", "FP32"]),
        ("x", X[:, :3].copy(), "FP32", ["'x'", "[2, 3]", "[-1, 4]"]),
        ("x", np.array([[1, np.nan, 0, 0]], "f4"), "FP32", ["'x'", "nan", "[1]"]),
    ],
    ids=["name", "dtype", "shape", "NaN"],
)
def test_a_refusal_names_the_field(rows, module, name, array, datatype, words):
    with pytest.raises(InferenceServerException) as refused:
        rows.infer("classifier", [tensor(module, name, array, datatype)])
    assert [word for word in words if word not in refused.value.message()] == [], refused.value.message()
    assert refused.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_other_models_versions_and_outputs_are_refused(rows, module):
    good = [tensor(module, "x", X, "FP32")]
    for arguments, word in (
        ({"model_name": "other"}, "'other'"),
        ({"model_name": "rows", "model_version": "9"}, "'9'"),
        ({"model_name": "rows", "outputs": [module.InferRequestedOutput("z")]}, "'z'"),
    ):
        with pytest.raises(InferenceServerException) as refused:
            rows.infer(inputs=good, **arguments)
        assert word in refused.value.message()
        assert refused.value.status() in ("400", "404", "StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT")


def test_what_the_model_raises_is_one_sentence(rows, module):
    with pytest.raises(InferenceServerException, match="ValueError: unlucky number") as failed:
        rows.infer("classifier", [tensor(module, "x", np.array([[666, 0, 0, 0]], "f4"), "FP32")])
    assert failed.value.status() in ("500", "StatusCode.INTERNAL")
    assert "Traceback" not in failed.value.message()


def test_several_outputs_of_texts_and_numbers(starter, tiny, module):
    tiny.entrypoint = "serve:Words"
    client = opened(starter.serve(tiny.write(), WORDS, **GRPC), module)
    array = np.array([b"hi", b"a long way"], dtype=object)
    outputs = [module.InferRequestedOutput(name) for name in ("length", "label")]
    answer = client.infer("classifier", [tensor(module, "text", array, "BYTES")], outputs=outputs)
    assert answer.as_numpy("length").tolist() == [[2], [10]]
    assert answer.as_numpy("label").tolist() == [b"short", b"long"]
    client.close()
