"""A class written for Seldon's wrapper runs as it is, and what is served is what it says without a server."""

from __future__ import annotations

import numpy as np
import pytest

from tests.wire.serving.pages_release import IMAGE, SERVE_CODE, TABLE, TEXT, served
from tests.wire.serving.tiny_release import TinyRelease, packed

INFER = "/v2/models/infer"
TRANSFORMER = """
import numpy as np


class Before:
    def transform_input(self, X, names, meta):
        return X / 255

    def tags(self):
        return {"scaled": True}


class Around(Before):
    def predict(self, X, names):
        return X

    def transform_output(self, X, names):
        return np.argmax(X, axis=1)[:, None]
"""


def offline(name):
    namespace = {}
    exec(SERVE_CODE, namespace)  # noqa: S102 - the same text that the server imports
    return namespace[name]()


def rows_of(kind):
    chance = np.random.default_rng(7)
    if kind is TEXT:
        return np.array(["a goal", "Goal! goal", "markets fell", "ünïcode 目标"], dtype=object)
    if kind is IMAGE:
        return chance.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    return chance.normal(size=(4, 3))


@pytest.mark.parametrize("kind", [TEXT, IMAGE, TABLE], ids=["text", "image", "table"])
def test_what_is_served_is_what_the_class_says_offline(starter, tmp_path, kind):
    client = served(starter, tmp_path / "model", kind).client
    asked = rows_of(kind)
    said = offline(kind[0].partition(":")[2]).predict(asked, [])
    field = kind[1]["inputs"][0]
    tensor = {**field, "shape": list(asked.shape), "data": asked.reshape(-1).tolist()}
    v2 = client.post(INFER, json={"inputs": [tensor]}).json()["outputs"][0]
    np.testing.assert_array_equal(np.array(v2["data"], "f4").reshape(v2["shape"]), said)
    v01 = client.post("/predict", json={"data": {"ndarray": asked.tolist()}}).json()["data"]["ndarray"]
    np.testing.assert_array_equal(np.array(v01, "f4"), said)
    one = [
        client.post("/predict", json={"data": {"ndarray": asked[n : n + 1].tolist()}}).json() for n in range(len(asked))
    ]
    np.testing.assert_array_equal(np.array([row["data"]["ndarray"][0] for row in one], "f4"), said)


@pytest.fixture
def transformer(starter, tmp_path):
    def start(name):
        return starter.serve(
            TinyRelease(tmp_path, f"serve:{name}", serve=packed({"serve.py": TRANSFORMER})).write(), None
        )

    return start


def test_a_class_that_only_transforms_is_served(transformer):
    client = transformer("Before").client
    assert client.get("/v2/health/ready").status_code == 200
    reply = client.post("/transform-input", json={"data": {"names": ["a", "b"], "ndarray": [[0, 255]]}}).json()
    assert reply["data"] == {"names": ["a", "b"], "ndarray": [[0.0, 1.0]]}
    assert reply["meta"]["tags"]["scaled"] is True
    assert reply["meta"]["tags"]["digest"].startswith("sha256:")
    refused = client.post("/predict", json={"data": {"ndarray": [[0, 255]]}})
    assert (refused.status_code, "it transforms only" in refused.json()["status"]["info"]) == (501, True)


def test_transform_output_gets_what_another_model_says(transformer):
    client = transformer("Around").client
    reply = client.post("/transform-output", json={"data": {"ndarray": [[0.1, 0.9], [0.8, 0.2]]}})
    assert reply.json()["data"]["ndarray"] == [[1], [0]]
    assert client.post("/transform-output", json={"data": 5}).json()["status"]["reason"] == "MICROSERVICE_BAD_DATA"


def test_a_class_that_does_not_transform_changes_nothing(rows):
    reply = rows.client.post("/transform-input", json={"data": {"ndarray": [[1, 2, 3, 4]]}})
    assert reply.json()["data"]["ndarray"] == [[1.0, 2.0, 3.0, 4.0]]
    wrong = rows.client.post("/transform-input", json={"data": {"ndarray": [[1, 2, 3]]}})
    assert (wrong.status_code, "[1, 3]" in wrong.json()["status"]["info"]) == (400, True)
