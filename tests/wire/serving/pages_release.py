"""Three tiny models with what the page at `/` is for: a text, a picture, a row of a table."""

from __future__ import annotations

from tests.wire.serving.tiny_release import TinyRelease, packed

SERVE_CODE = """
import numpy as np


class Topics:
    def predict(self, X, names):
        goals = np.array([str(text).lower().count("goal") for text in X], dtype="f4")
        sport = (goals + 0.25) / (goals + 0.5)
        return np.stack([1 - sport, sport], axis=1)

    def class_names(self):
        return ["business", "<b>sport</b>"]


class Halves:
    '''Where most of the light is.'''

    def predict(self, X, names):
        assert X.dtype == np.uint8
        sums = [X[:, :, :14].sum(axis=(1, 2)), X[:, :, 14:].sum(axis=(1, 2))]
        light = np.stack(sums, axis=1).astype("f4") + 1
        return light / light.sum(axis=1, keepdims=True)

    def class_names(self):
        return ["left", "right"]


class Kinds:
    feature_names = ["length", "width", "weight"]

    def predict(self, X, names):
        scores = np.exp(X - X.max(axis=1, keepdims=True))
        return (scores / scores.sum(axis=1, keepdims=True)).astype("f4")

    def class_names(self):
        return ["long", "wide", "heavy"]
"""


def interface(name: str, datatype: str, shape: list[int], classes: int) -> dict:
    return {
        "inputs": [{"name": name, "datatype": datatype, "shape": shape}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]}],
    }


TEXT = ("serve:Topics", interface("text", "BYTES", [-1], 2))
IMAGE = ("serve:Halves", interface("image", "UINT8", [-1, 28, 28], 2))
TABLE = ("serve:Kinds", interface("measures", "FP64", [-1, 3], 3))


def served(starter, folder, model):
    """Start the server of one of the models; give it as it runs."""
    entrypoint, declared = model
    folder.mkdir(exist_ok=True)
    release = TinyRelease(folder, entrypoint, serve=packed({"serve.py": SERVE_CODE})).write()
    return starter.serve(release, declared)
