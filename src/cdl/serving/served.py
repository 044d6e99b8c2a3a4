"""What both protocols share: the model behind its interface, under the release's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cdl.serving.exposition import Exposition
from cdl.serving.faults import Fault
from cdl.serving.interface import Interface
from cdl.serving.model import Model
from cdl.serving.release import Release

RELEASE_DIGITS = 12
"""Digits of the Release's digest at the beginning of a prediction's id."""


@dataclass(frozen=True)
class Prediction:
    """What the model said, and what it wanted said beside it."""

    answer: object
    tags: Mapping[str, object]
    metrics: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Served:
    """One release, loaded and ready to answer."""

    name: str
    release: Release
    model: Model
    interface: Interface
    class_names: Sequence[str]
    exposition: Exposition
    feature_names: Sequence[str] = ()

    def answers_to(self, name: str) -> bool:
        """Whether a caller may mean this model by that name."""
        return name in (self.name, self.release.model)

    def named(self, name: str, version: str | None) -> None:
        """Refuse a caller who means another model, or another version of this one."""
        if not self.answers_to(name):
            raise Fault(404, f"model {name!r} is not served here; expected {self.name!r}")
        if version is not None and version != self.release.version:
            found = f"version {version!r} of model {self.name!r} is not served here"
            raise Fault(404, f"{found}; expected {self.release.version!r}")

    def labels(self) -> dict[str, object]:
        """What every answer says about its origin."""
        return {"release": self.release.name, "digest": self.release.digest}

    def prediction(self, request: str) -> str:
        """Call an answer by its Release and by the request's id: its origin is found by the name alone."""
        return f"{self.release.digest.removeprefix('sha256:')[:RELEASE_DIGITS]}-{request}"

    def metadata(self) -> dict[str, object]:
        """Spell the model's metadata, alike in both protocols."""
        return {
            "name": self.name,
            "versions": [self.release.version],
            "platform": "cdl_python",
            "inputs": [field.described() for field in self.interface.inputs],
            "outputs": [field.described() for field in self.interface.outputs],
            "parameters": self.labels(),
        }

    def complete(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse a request that lacks an input, or has one that nobody knows or that has the wrong shape."""
        if not self.interface.inputs:
            return
        expected = ", ".join(repr(field.name) for field in self.interface.inputs)
        for name, array in arrays.items():
            field = self.interface.input(name)
            if field is None:
                raise Fault(400, f"input {name!r} is unknown to model {self.name!r}; expected {expected}")
            if not field.admits(array.shape):
                raise Fault(400, f"input {name!r} has the shape {list(array.shape)}; expected {list(field.shape)}")
        for field in self.interface.inputs:
            if field.name not in arrays:
                raise Fault(400, f"input {field.name!r} is missing; model {self.name!r} expects {expected}")

    def predict(self, arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Prediction:
        """Call the model: one input as its array, several as a dictionary."""
        return self.predict_raw(next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays), names)

    def predict_raw(self, inputs: object, names: Sequence[str]) -> Prediction:
        """Call the model with what it is to get, then ask for what goes beside the answer."""
        return self._beside(self.model.predict(inputs, names))

    def transform(self, method: str, inputs: object, names: Sequence[str]) -> Prediction:
        """Let the class transform what stands before or behind another model of a graph."""
        return self._beside(self.model.transform(method, inputs, names))

    def _beside(self, found: object) -> Prediction:
        prediction = Prediction(found, self.model.tags(), self.model.metrics())
        self.exposition.custom(prediction.metrics)
        return prediction
