"""Whatever is sent, the answer is a prediction or a sentence; never a failure of the server."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.serving.tiny_release import Starter, TinyRelease

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
NUMBERS = st.lists(LEAVES | st.lists(LEAVES, max_size=4), max_size=5)
DATATYPES = st.sampled_from(["BOOL", "UINT8", "INT64", "UINT64", "FP16", "FP32", "FP64", "BYTES", "BF16", "", None])
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "y", ""]) | ANY,
        "shape": st.lists(st.integers(-1, 5), max_size=4) | ANY,
        "datatype": DATATYPES | ANY,
        "data": NUMBERS | ANY,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "content_type"]), LEAVES) | ANY,
    },
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | ANY},
    optional={
        "id": ANY,
        "outputs": st.lists(st.fixed_dictionaries({"name": ANY}), max_size=2) | ANY,
        "parameters": ANY,
    },
)
V01 = st.one_of(
    st.fixed_dictionaries({"data": st.fixed_dictionaries({"ndarray": NUMBERS | ANY}, optional={"names": ANY})}),
    st.fixed_dictionaries(
        {"data": st.fixed_dictionaries({"tensor": ANY | st.fixed_dictionaries({"shape": ANY, "values": NUMBERS})})}
    ),
    st.fixed_dictionaries({"jsonData": ANY}, optional={"meta": ANY}),
    st.fixed_dictionaries({"strData": ANY}),
    st.dictionaries(st.sampled_from(["data", "strData", "jsonData", "binData", "meta"]), ANY),
)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    starting = Starter(folder)
    yield starting.serve(TinyRelease(folder, "serve:Echo").write(), None).client
    starting.stop()


@QUICK
@given(body=V2)
def test_v2_never_fails(rows, echo, body):
    for client in (rows.client, echo):
        reply = client.post("/v2/models/infer", json=body)
        assert reply.status_code in (200, 400), (reply.text, body)
        assert set(reply.json()) >= ({"outputs"} if reply.status_code == 200 else {"error"})


@QUICK
@given(body=V01)
def test_v01_never_fails(rows, echo, body):
    reply = rows.client.post("/api/v1.0/predictions", json=body)
    assert reply.status_code in (200, 400), (reply.text, body)
    # Without an interface anything may be sent as jsonData; a model that sends it back is then itself at fault.
    reply = echo.post("/api/v1.0/predictions", json=body)
    assert reply.status_code in (200, 400) or "the model returned" in reply.json()["status"]["info"], (reply.text, body)


@QUICK
@given(body=st.binary(max_size=200), announced=st.integers(-5, 300))
def test_bytes_never_fail(rows, body, announced):
    headers = {"inference-header-content-length": str(announced)}
    assert rows.client.post("/v2/models/infer", content=body, headers=headers).status_code == 400


@QUICK
@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=30))
def test_paths_never_fail(rows, path):
    from urllib.parse import quote

    assert rows.client.get("/v2/models/" + quote(path, safe="/%")).status_code in (200, 404, 405)
