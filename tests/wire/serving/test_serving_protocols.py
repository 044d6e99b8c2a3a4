"""Both protocols, asked over real HTTP."""

from __future__ import annotations

import json
import struct

import pytest

from tests.wire.serving.tiny_release import PAIRS, ROWS, WORDS, TinyRelease

X = [[1, 2, 3, 4], [5, 6, 7, 8]]
FLAT = [1, 2, 3, 4, 5, 6, 7, 8]
SCORES = [20.0, -20.0, 52.0, -52.0]
INFER = "/v2/models/classifier/infer"


def v2(data, shape=(2, 4), datatype="FP32", name="x", **more):
    return {"inputs": [{"name": name, "shape": list(shape), "datatype": datatype, "data": data, **more}]}


def origin(reply):
    return reply.headers["x-cdl-release"], reply.headers["x-cdl-digest"]


@pytest.mark.parametrize("data", [X, FLAT], ids=["nested", "flat"])
def test_v2_infers_and_says_which_release_answered(rows, data):
    reply = rows.client.post(INFER, json={**v2(data), "id": "call-7"}, headers={"seldon-puid": "abc"})
    body = reply.json()
    assert reply.status_code == 200
    assert body["model_name"] == "classifier"
    assert body["model_version"] == "3"
    assert body["id"] == "call-7"
    assert body["parameters"]["release"] == "rows-3"
    assert body["parameters"]["weight"] == 2.0
    assert body["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": SCORES}]
    assert origin(reply) == ("rows-3", body["parameters"]["digest"])
    assert reply.headers["seldon-puid"] == "abc"
    assert body["parameters"]["prediction"] == reply.headers["x-cdl-prediction"] == f"{digits(reply)}-abc"


def digits(reply):
    return reply.headers["x-cdl-digest"].removeprefix("sha256:")[:12]


def test_every_answer_has_an_id_that_begins_with_its_release(rows):
    replies = [rows.client.post(INFER, json=v2(X)) for _ in range(2)]
    ids = [reply.json()["id"] for reply in replies]
    assert len(set(ids)) == 2
    for reply, name in zip(replies, ids, strict=True):
        assert name == reply.headers["x-cdl-prediction"] == f"{digits(reply)}-{reply.headers['seldon-puid']}"
    named = rows.client.post(INFER, json={**v2(X), "id": "call-8"})
    assert named.headers["x-cdl-prediction"] == f"{digits(named)}-call-8"
    odd = rows.client.post(INFER, json={**v2(X), "id": "two\nlines"})
    assert odd.json()["id"] == "two\nlines"
    assert odd.headers["x-cdl-prediction"] == f"{digits(odd)}-{odd.headers['seldon-puid']}"
    seldon = rows.client.post("/predict", json={"jsonData": X})
    assert seldon.json()["meta"]["tags"]["prediction"] == f"{digits(seldon)}-{seldon.json()['meta']['puid']}"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/classifier/versions/3/infer",
        "/v2/models/rows/infer",
        "/v2/models/infer",
    ],
)
def test_v2_model_may_be_named_in_every_allowed_way(rows, path):
    assert rows.client.post(path, json=v2(X)).json()["outputs"][0]["data"] == SCORES


def test_v2_health_and_metadata(rows):
    assert rows.client.get("/v2/health/live").json() == {"live": True}
    assert rows.client.get("/v2/health/ready").json()["ready"] is True
    assert rows.client.get("/v2/models/classifier/ready").json() == {"name": "classifier", "ready": True}
    assert rows.client.get("/v2").json()["name"] == "cdl"
    metadata = rows.client.get("/v2/models/classifier/versions/3").json()
    assert (metadata["name"], metadata["versions"]) == ("classifier", ["3"])
    assert metadata["inputs"] == ROWS["inputs"]
    assert metadata["outputs"] == ROWS["outputs"]
    assert rows.client.post("/v2/repository/index", json={}).json()[0]["state"] == "READY"
    assert rows.client.head("/v2/health/ready").status_code == 200


def test_v2_binary_tensors_both_ways(rows):
    raw = struct.pack("<8f", *FLAT)
    entry = {"name": "x", "shape": [2, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    reply = rows.client.post(INFER, content=head + raw, headers=headers)
    size = int(reply.headers["inference-header-content-length"])
    output = json.loads(reply.content[:size])["outputs"][0]
    assert output["parameters"] == {"binary_data_size": 16}
    assert list(struct.unpack("<4f", reply.content[size:])) == SCORES

    short = rows.client.post(INFER, content=head + raw[:-4], headers=headers)
    assert short.status_code == 400
    assert "binary_data_size" in short.json()["error"]


def test_v2_bytes_and_several_outputs(starter, tiny):
    tiny.entrypoint = "serve:Words"
    words = starter.serve(tiny.write(), WORDS).client
    body = words.post(INFER, json=v2(["hi", "a long way"], [2], "BYTES", "text")).json()
    assert body["outputs"][0] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["short", "long"]}
    assert body["outputs"][1] == {"name": "length", "datatype": "INT64", "shape": [2, 1], "data": [2, 10]}
    wanted = words.post(INFER, json={**v2(["hi"], [1], "BYTES", "text"), "outputs": [{"name": "length"}]}).json()
    assert [output["name"] for output in wanted["outputs"]] == ["length"]

    raw = b"".join(struct.pack("<I", len(text)) + text for text in (b"hi", "über".encode()))
    entry = {"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [entry]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    assert words.post(INFER, content=head + raw, headers=headers).json()["outputs"][1]["data"] == [2, 4]

    for payload in (
        {"data": {"ndarray": ["hi"]}},
        {"data": {"ndarray": [["hi"]]}},
        {"strData": "hi"},
        {"jsonData": {"text": "hi"}},
    ):
        reply = words.post("/api/v1.0/predictions", json=payload).json()
        assert reply["jsonData"] == {"label": ["short"], "length": [[2]]}, payload
    assert words.post(INFER, json=v2([1], [1], "BYTES", "text")).status_code == 400
    assert words.post("/predict", json={"data": {"ndarray": [[3]]}}).status_code == 400


def test_several_inputs_reach_predict_by_name(starter, tiny):
    tiny.entrypoint = "serve:Pairs"
    pairs = starter.serve(tiny.write(), PAIRS).client
    both = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": data}
        for name, data in (("right", [1, 2]), ("left", [10, 20]))
    ]
    assert pairs.post(INFER, json={"inputs": both}).json()["outputs"][0]["data"] == [11.0, 22.0]
    missing = pairs.post(INFER, json={"inputs": both[:1]})
    assert (missing.status_code, "'left' is missing" in missing.json()["error"]) == (400, True)
    reply = pairs.post("/predict", json={"jsonData": {"left": [1, 1], "right": [2, 3]}}).json()
    assert reply["data"]["tensor"]["values"] == [3.0, 4.0]
    refused = pairs.post("/predict", json={"data": {"ndarray": [1, 2]}}).json()
    assert "'left', 'right'" in refused["status"]["info"]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-5, 5]),
        ("INT32", [-5, 5]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, -2.0]),
        ("FP32", [0.5, -2.0]),
        ("FP64", [0.1, 1e300]),
        ("BYTES", ["ä", ""]),
    ],
)
def test_every_datatype_survives_the_way_there_and_back(echo, datatype, data):
    reply = echo.post(INFER, json=v2(data, [2], datatype))
    assert reply.json()["outputs"][0] == {"name": "output", "datatype": datatype, "shape": [2], "data": data}


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    from tests.wire.serving.tiny_release import Starter

    folder = tmp_path_factory.mktemp("echo")
    starting = Starter(folder)
    yield starting.serve(TinyRelease(folder, "serve:Echo").write(), None).client
    starting.stop()


def test_a_model_without_interface_takes_what_comes(echo):
    assert echo.post("/predict", json={"data": {"ndarray": [["a", "b"]]}}).json()["data"]["ndarray"] == [["a", "b"]]
    assert echo.post("/predict", json={"strData": "a"}).json()["strData"] == "a"
    assert echo.post("/predict", json={"jsonData": {"a": [1, {"b": 2}]}}).json()["jsonData"] == {"a": [1, {"b": 2}]}
    assert echo.post("/predict", json={"data": {"ndarray": [[1, 2]]}}).json()["data"]["names"] == ["t:0", "t:1"]
    with_parameters = echo.post(INFER, json=v2(["x"], [1], "BYTES", parameters={"content_type": "str"}))
    assert with_parameters.status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/api/v0.1/predictions", "/api/v1.0/predictions"])
def test_v01_mirrors_the_kind_of_the_request(rows, path):
    reply = rows.client.post(path, json={"data": {"names": list("abcd"), "ndarray": X}})
    body = reply.json()
    assert body["data"] == {"names": ["up", "down"], "ndarray": [[20.0, -20.0], [52.0, -52.0]]}
    assert body["meta"]["tags"]["release"] == "rows-3"
    assert body["meta"]["tags"]["digest"] == reply.headers["x-cdl-digest"]
    assert body["meta"]["tags"]["weight"] == 2.0
    assert body["meta"]["puid"] == reply.headers["seldon-puid"] != ""
    tensor = rows.client.post(path, json={"data": {"tensor": {"shape": [2, 4], "values": FLAT}}}).json()
    assert tensor["data"]["tensor"] == {"shape": [2, 2], "values": SCORES}
    by_json = rows.client.post(path, json={"jsonData": X}).json()
    assert by_json["data"]["tensor"]["values"] == SCORES
    named = rows.client.post(path, json={"meta": {"puid": "mine"}, "jsonData": {"x": X}})
    assert named.json()["meta"]["puid"] == named.headers["seldon-puid"] == "mine"


def test_v01_health_and_metadata(rows):
    assert rows.client.get("/health/ping").text == "pong"
    assert rows.client.get("/health/status").json()["strData"] == "healthy"
    assert rows.client.get("/api/v1.0/health/status").status_code == 200
    for path in ("/metadata", "/api/v1.0/metadata", "/api/v1.0/metadata/classifier"):
        assert rows.client.get(path).json()["inputs"] == ROWS["inputs"]


def test_feedback_reaches_the_model_and_is_counted(starter, tiny):
    client = starter.serve(tiny).client
    good = {"request": {"data": {"ndarray": X}}, "response": {"meta": {"puid": "p1"}}, "reward": 0.5}
    reply = client.post("/api/v1.0/feedback", json=good)
    assert (reply.status_code, reply.headers["seldon-puid"]) == (200, "p1")
    assert client.get("/health/status").status_code == 200
    assert client.post("/send-feedback", json={**good, "reward": -1}).status_code == 200
    assert client.get("/health/status").status_code == 503  # the class says so: a negative reward makes it sick
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/health/live").status_code == 200
    assert client.post("/api/v0.1/feedback", json={"reward": "much"}).status_code == 400
    text = client.get("/prometheus").text
    labels = '{deployment_name="news",predictor_name="v3",predictor_version="3",model_name="classifier"'
    assert f"seldon_api_model_feedback_total{labels}" in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("seldon_api_model_feedback")] == [
        "2",
        "-0.5",
    ]


def test_metrics_count_requests_and_what_the_model_reports(starter, tiny):
    client = starter.serve(tiny).client
    for _ in range(3):
        client.post(INFER, json=v2(X))
    client.post(INFER, json=v2(X, [1, 8]))
    text = client.get("/metrics").text
    counts = {
        line.split('code="')[1][:3]: line.split()[-1]
        for line in text.splitlines()
        if "seconds_count" in line and "predictions" in line
    }
    assert counts == {"200": "3", "400": "1"}
    assert any(line.startswith("rows_seen{") and line.endswith(" 3") for line in text.splitlines())
    assert 'release="rows-3"' in text


def test_the_page_and_its_openapi_document_show_this_model(rows):
    page = rows.client.get("/v2/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v2/models/classifier/infer" in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1", "")  # nothing from anywhere else
    assert rows.client.get("/api/v1.0/doc/").status_code == 200
    document = rows.client.get("/v2/openapi.json").json()
    example = document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert rows.client.post(INFER, json=example).status_code == 200
    seldon = document["paths"]["/api/v1.0/predictions"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert rows.client.post("/api/v1.0/predictions", json=seldon).status_code == 200
    assert rows.client.get("/").json()["docs"] == "v2/docs"
