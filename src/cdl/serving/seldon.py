"""Seldon's protocol v0.1 over REST: data (ndarray, tensor), strData, jsonData; feedback."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cdl.serving.counter import Counter
from cdl.serving.exchange import PREDICTION, PUID, Reply, Request, answer, check_json_type, new_puid
from cdl.serving.faults import Fault, shown
from cdl.serving.interface import Field, Interface
from cdl.serving.served import Served
from cdl.serving.tensors import array_of, plain_array, refuse_not_finite, text_of

KINDS = ("data", "strData", "jsonData", "binData")


@dataclass(frozen=True)
class Message:
    """A SeldonMessage understood."""

    kind: str  # ndarray, tensor, strData, jsonData
    names: Sequence[str]
    arrays: dict[str, np.ndarray]
    json: object = None


async def predict(served: Served, counter: Counter, request: Request) -> Reply:
    """Answer POST /predict and .../predictions."""
    check_json_type(request)
    payload = request.json()
    message = understand(served, payload)
    prediction = await counter.run(
        lambda: (
            served.predict(message.arrays, message.names)
            if message.arrays
            else served.predict_raw(message.json, message.names)
        )
    )
    puid = _puid(request, payload)
    name = served.prediction(puid)
    meta: dict[str, object] = {"puid": puid, "tags": {**prediction.tags, **served.labels(), "prediction": name}}
    if prediction.metrics:
        meta["metrics"] = prediction.metrics
    reply = answer({**_content(served, message, prediction.answer), "meta": meta})
    return replace(reply, headers={"seldon-puid": puid, PREDICTION: name})


async def transform(served: Served, counter: Counter, request: Request, method: str) -> Reply:
    """Answer POST /transform-input and /transform-output, which stand around another model in a graph."""
    check_json_type(request)
    payload = request.json()
    # What comes from the other model is not what this one's interface is about.
    message = understand(served if method == "transform_input" else replace(served, interface=Interface()), payload)
    inputs = next(iter(message.arrays.values()), message.json)
    found = await counter.run(lambda: served.transform(method, inputs, message.names))
    puid = _puid(request, payload)
    meta = {"puid": puid, "tags": {**found.tags, **served.labels()}, "metrics": found.metrics}
    named = replace(served, class_names=served.feature_names or message.names)
    reply = answer({**_content(named, message, found.answer), "meta": meta})
    return replace(reply, headers={"seldon-puid": puid})


async def feedback(served: Served, counter: Counter, request: Request) -> tuple[Reply, float]:
    """Answer POST .../feedback; also gives the reward, which is counted."""
    check_json_type(request)
    payload = request.json()
    reward = payload.get("reward", 0)
    if isinstance(reward, bool) or not isinstance(reward, (int, float)):
        raise Fault(400, f"reward is {shown(reward)}; expected a number")
    if not set(payload) & {"request", "response", "reward", "truth"}:
        raise Fault(400, "the feedback is empty; expected request, response, reward or truth")
    about = payload.get("request")
    if isinstance(about, dict) and set(about) & set(KINDS):
        message = understand(served, about)
        inputs = next(iter(message.arrays.values()), message.json)
        truth = _truth(payload.get("truth"))
        await counter.run(lambda: served.model.feedback(inputs, message.names, float(reward), truth))
    puid = _puid(request, payload)
    reply = answer({"meta": {"puid": puid, "tags": served.labels()}})
    return replace(reply, headers={"seldon-puid": puid}), float(reward)


def understand(served: Served, payload: Mapping[str, object]) -> Message:
    """Read a SeldonMessage and hold it against the interface."""
    kinds = [kind for kind in KINDS if kind in payload]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        raise Fault(400, f"the message has {found}; expected one of data, strData, jsonData")
    value = payload[kinds[0]]
    match kinds[0]:
        case "data":
            return _data(served, value)
        case "strData":
            return _text(served, value)
        case "jsonData":
            return _json(served, value)
    raise Fault(400, "binData is not supported by this model; expected one of data, strData, jsonData")


def _data(served: Served, data: object) -> Message:
    if not isinstance(data, dict):
        raise Fault(400, f"data is {shown(data)}; expected an object with ndarray or tensor")
    names = data.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Fault(400, f"data.names is {shown(names)}; expected a list of texts")
    if "ndarray" in data:
        return Message("ndarray", names, {"data.ndarray": _fitted(served, "data.ndarray", data["ndarray"])})
    if "tensor" in data:
        return Message("tensor", names, {"data.tensor": _tensor(served, data["tensor"])})
    found = ", ".join(map(repr, data)) or "nothing"
    raise Fault(400, f"data holds {found}; expected ndarray or tensor")


def _tensor(served: Served, tensor: object) -> np.ndarray:
    if not isinstance(tensor, dict):
        raise Fault(400, f"data.tensor is {shown(tensor)}; expected {{shape, values}}")
    values = array_of("data.tensor.values", "FP64", tensor.get("values"))
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or any(type(length) is not int or length < 1 for length in shape):
        raise Fault(400, f"data.tensor.shape is {shown(shape)}; expected a list of lengths")
    size = math.prod(shape)
    if values.ndim != 1 or values.size != size or len(shape) > 64:
        raise Fault(
            400, f"data.tensor.values has {values.size} values; its shape {shape} needs {size} in one flat list"
        )
    return _fitted(served, "data.tensor", values.reshape(shape))


def _text(served: Served, value: object) -> Message:
    if not isinstance(value, str):
        raise Fault(400, f"strData is {shown(value)}; expected a text")
    if not served.interface.inputs:
        return Message("strData", [], {}, value)
    return Message("strData", [], {"strData": _fitted(served, "strData", [value])})


def _json(served: Served, value: object) -> Message:
    fields = served.interface.inputs
    if not fields:
        return Message("jsonData", [], {}, value)
    if not isinstance(value, dict):
        value = {fields[0].name: value} if len(fields) == 1 else value
    if not isinstance(value, dict):
        names = ", ".join(repr(field.name) for field in fields)
        raise Fault(400, f"jsonData is {shown(value)}; expected an object with {names}")
    by_name = {field.name: field for field in fields}
    arrays = {
        name: _fit(by_name[name], f"jsonData.{name}", item if isinstance(item, list) else [item])
        for name, item in value.items()
        if name in by_name
    }
    unknown = {name: np.zeros(0) for name in value if name not in by_name}
    served.complete({**unknown, **arrays})
    return Message("jsonData", [], arrays)


def _fitted(served: Served, where: str, value: object) -> np.ndarray:
    """Make an array for the model's only input, or for a model without a declared interface."""
    fields = served.interface.inputs
    if len(fields) > 1:
        names = ", ".join(repr(field.name) for field in fields)
        raise Fault(400, f"{where} is one array; model {served.name!r} has the inputs {names}: send them as jsonData")
    if fields:
        return _fit(fields[0], where, value)
    if isinstance(value, np.ndarray):
        return value
    array = array_of(where, "BYTES" if _first(value) is str else "FP64", value)
    refuse_not_finite(where, "FP64", array) if array.dtype.kind == "f" else None
    return array


def _fit(field: Field, where: str, value: object) -> np.ndarray:
    values = value.tolist() if isinstance(value, np.ndarray) else value
    array = array_of(where, field.datatype, values)
    if field.admits(array.shape):
        return array
    # Rows of one item and a plain list mean the same to v0.1 callers: [["text"]] and ["text"].
    for shape in (array.shape[:-1] if array.shape[-1] == 1 else (), (*array.shape, 1)):
        if shape and field.admits(shape):
            return array.reshape(shape)
    raise Fault(400, f"{where} has the shape {list(array.shape)}; input {field.name!r} expects {list(field.shape)}")


def _puid(request: Request, payload: Mapping[str, object]) -> str:
    for carrier in (payload, payload.get("response"), payload.get("request")):
        meta = carrier.get("meta") if isinstance(carrier, dict) else None
        given = meta.get("puid") if isinstance(meta, dict) else None
        if not request.puid and isinstance(given, str) and PUID.fullmatch(given):
            return given
    return request.puid or new_puid()


def _first(value: object) -> type:
    while isinstance(value, list) and value:
        value = value[0]
    return type(value)


def _truth(value: object) -> object:
    if not isinstance(value, dict):
        return value
    data = value.get("data")
    if isinstance(data, dict):
        return data.get("ndarray", data.get("tensor"))
    return value.get("strData", value.get("jsonData"))


def _content(served: Served, message: Message, found: object) -> dict[str, object]:
    """Spell the answer in the kind that the caller used, as Seldon's wrapper does."""
    if isinstance(found, Mapping):
        return {"jsonData": {str(name): _plain(str(name), value) for name, value in found.items()}}
    if isinstance(found, str):
        return {"strData": found}
    array = plain_array("output", found)
    if array.dtype.kind in "OUS":
        array = _text_array(array)
    names = list(served.class_names)
    width = array.shape[1] if array.ndim > 1 else 0
    if not names and width:
        names = [f"t:{number}" for number in range(width)]
    numeric = array.dtype.kind in "biuf"
    if numeric and message.kind != "ndarray":
        values: np.ndarray = array.astype(np.float64).reshape(-1)
        return {"data": {"names": names, "tensor": {"shape": list(array.shape), "values": values}}}
    return {"data": {"names": names, "ndarray": np.ascontiguousarray(array) if numeric else array.tolist()}}


def _text_array(array: np.ndarray) -> np.ndarray:
    items: list[object] = array.reshape(-1).tolist()
    texts: np.ndarray = np.array([text_of(item) for item in items], dtype=object)
    return texts.reshape(array.shape)


def _plain(name: str, value: object) -> object:
    """Make JSON of whatever stands in a dictionary that a model returned."""
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{name}[{number}]", item) for number, item in enumerate(value)]
    array = plain_array(name, value)
    listed: list[object] = (_text_array(array) if array.dtype.kind in "OUS" else array).tolist()
    return listed[0] if np.asarray(value).ndim == 0 else listed
