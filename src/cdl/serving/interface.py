"""The interface of a model: names, datatypes and shapes of what goes in and comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from cdl.serving.faults import BAD_SETTING, Refused

# Datatypes of the Open Inference Protocol that numpy has too.
DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}


@dataclass(frozen=True)
class Field:
    """One tensor by name; -1 in the shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def admits(self, shape: Sequence[int]) -> bool:
        """Say whether a tensor of this shape fits."""
        return len(shape) == len(self.shape) and all(
            wanted in (-1, found) for wanted, found in zip(self.shape, shape, strict=True)
        )

    @property
    def fixed(self) -> bool:
        """Whether every length but the first is known."""
        return -1 not in self.shape[1:]

    def described(self) -> dict[str, object]:
        """Spell the field as both protocols do."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Interface:
    """What a request must look like and what an answer will look like; empty means not declared."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()

    def input(self, name: str) -> Field | None:
        """Look an input up by name."""
        return next((field for field in self.inputs if field.name == name), None)

    def output(self, name: str) -> Field | None:
        """Look an output up by name."""
        return next((field for field in self.outputs if field.name == name), None)


def parse(text: str) -> Interface:
    """Read the deployment's `interface` parameter; empty text declares nothing."""
    if not text:
        return Interface()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(f"parameter interface is not JSON: {error}", BAD_SETTING) from error
    if not isinstance(value, dict):
        raise Refused("parameter interface is not an object; expected {inputs: [...], outputs: [...]}", BAD_SETTING)
    unknown = sorted(set(value) - {"inputs", "outputs"})
    if unknown:
        raise Refused(f"parameter interface has the field {unknown[0]!r}; allowed: inputs, outputs", BAD_SETTING)
    return Interface(_fields(value, "inputs"), _fields(value, "outputs"))


def _fields(value: dict[str, object], side: str) -> tuple[Field, ...]:
    entries = value.get(side) or []
    if not isinstance(entries, list):
        raise Refused(f"parameter interface.{side} is not a list", BAD_SETTING)
    fields = tuple(_field(f"interface.{side}[{number}]", entry) for number, entry in enumerate(entries))
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise Refused(f"parameter interface.{side} names a tensor twice", BAD_SETTING)
    return fields


def _field(where: str, entry: object) -> Field:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise Refused(f"parameter {where} has no name; expected {{name, datatype, shape}}", BAD_SETTING)
    datatype, shape = entry.get("datatype"), entry.get("shape")
    if datatype not in DTYPES:
        raise Refused(f"parameter {where}.datatype is {datatype!r}; allowed: {', '.join(DTYPES)}", BAD_SETTING)
    plain = isinstance(shape, list) and all(type(length) is int and (length == -1 or length > 0) for length in shape)
    if not isinstance(shape, list) or not shape or not plain:
        raise Refused(
            f"parameter {where}.shape is {shape!r}; expected lengths of at least 1, or -1 for any", BAD_SETTING
        )
    return Field(entry["name"], datatype, tuple(shape))
