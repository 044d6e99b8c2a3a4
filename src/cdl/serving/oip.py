"""The Open Inference Protocol v2 over REST, JSON and binary tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson

from cdl.serving import binary
from cdl.serving.counter import Counter
from cdl.serving.exchange import PREDICTION, PUID, Reply, Request, check_json_type, json_object, new_puid
from cdl.serving.faults import Fault, shown
from cdl.serving.interface import DTYPES
from cdl.serving.served import Served
from cdl.serving.tensors import Tensor, array_of, tensors_of, text_of

SERVER: dict[str, object] = {
    "name": "cdl",
    "version": "0.1.0",
    "extensions": ["binary_tensor_data", "model_repository"],
}
"""What the server says of itself."""


@dataclass(frozen=True)
class Inference:
    """A request understood: arrays by name, and how the answer is wanted."""

    arrays: dict[str, np.ndarray]
    id: str | None
    wanted: tuple[str, ...]
    binary: frozenset[str] | None  # outputs wanted as bytes; None: all of them


async def infer(served: Served, counter: Counter, request: Request) -> Reply:
    """Answer POST .../infer."""
    check_json_type(request, also=("application/octet-stream",))
    raw = b""
    text = request.body
    if binary.HEADER in request.headers:
        text, raw = binary.split(request.body, request.headers[binary.HEADER])
    inference = understand(served, text, raw)
    prediction = await counter.run(lambda: served.predict(inference.arrays, []))
    said = sayable(prediction.tags)
    asked = request.puid or (inference.id if inference.id and PUID.fullmatch(inference.id) else new_puid())
    name = served.prediction(asked)
    reply = _reply(served, inference, tensors_of(prediction.answer, served.interface), {**said, "prediction": name})
    return replace(reply, headers={**reply.headers, "seldon-puid": asked, PREDICTION: name})


def understand(served: Served, text: bytes, raw: bytes) -> Inference:
    """Read a request and hold it against the interface."""
    message = json_object(text)
    id_ = message.get("id")
    if id_ is not None and not isinstance(id_, str):
        raise Fault(400, f"id is {shown(id_)}; expected a text")
    entries = message.get("inputs")
    if not isinstance(entries, list) or not entries:
        raise Fault(400, f"inputs is {shown(entries)}; expected a list of tensors")
    booleans = b"true" in text or b"false" in text
    arrays: dict[str, np.ndarray] = {}
    for number, entry in enumerate(entries):
        name, array, raw = _input(served, number, entry, raw, booleans=booleans)
        if name in arrays:
            raise Fault(400, f"input {name!r} is given twice")
        arrays[name] = array
    if raw:
        raise Fault(400, f"{len(raw)} bytes follow the last tensor of the body")
    served.complete(arrays)
    wanted, as_bytes = _outputs(served, message)
    return Inference(arrays, id_, wanted, as_bytes)


def _input(served: Served, number: int, entry: object, raw: bytes, *, booleans: bool) -> tuple[str, np.ndarray, bytes]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Fault(400, f"inputs[{number}] has no name; expected {{name, shape, datatype, data}}")
    name = entry["name"]
    datatype = datatype_of(served, name, entry.get("datatype"))
    shape = shape_of(name, entry.get("shape"))
    parameters = _parameters(f"input {name!r}", entry)
    if "binary_data_size" in parameters:
        content, raw = binary.take(name, raw, parameters["binary_data_size"])
        array = binary.array_of(name, datatype, content)
    elif "data" in entry:
        array = array_of(name, datatype, entry["data"], may_hold_booleans=booleans)
    else:
        raise Fault(400, f"input {name!r} has no data; expected a list of values")
    return name, shaped(name, array, shape), raw


def shaped(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give the values, nested or flat, the shape that was announced for them."""
    if array.ndim > 1 and array.shape != shape:
        raise Fault(400, f"input {name!r} is nested as {list(array.shape)}; its shape says {list(shape)}")
    size = math.prod(shape)
    if array.size != size:
        raise Fault(400, f"input {name!r} has {array.size} values; its shape {list(shape)} needs {size}")
    return array.reshape(shape)


def sayable(tags: Mapping[str, object]) -> dict[str, object]:
    """Keep what the protocol's parameters can carry."""
    return {name: value for name, value in tags.items() if isinstance(value, (str, bool, int, float))}


def datatype_of(served: Served, name: str, datatype: object) -> str:
    """Hold an input's datatype against the interface."""
    field = served.interface.input(name)
    if served.interface.inputs and field is None:
        expected = ", ".join(repr(field.name) for field in served.interface.inputs)
        raise Fault(400, f"input {name!r} is unknown to model {served.name!r}; expected {expected}")
    allowed = (field.datatype,) if field else tuple(DTYPES)
    if not isinstance(datatype, str) or datatype not in allowed:
        raise Fault(400, f"input {name!r} has the datatype {shown(datatype)}; expected {', '.join(allowed)}")
    return datatype


def shape_of(name: str, shape: object) -> tuple[int, ...]:
    """Read an announced shape."""
    if not isinstance(shape, list) or not shape or any(type(length) is not int or length < 0 for length in shape):
        raise Fault(400, f"input {name!r} has the shape {shown(shape)}; expected a list of lengths")
    if len(shape) > 64:  # numpy's own limit
        raise Fault(400, f"input {name!r} has {len(shape)} dimensions; expected at most 64")
    if 0 in shape:
        raise Fault(400, f"input {name!r} is empty: its shape is {shape}")
    return tuple(shape)


def _parameters(where: str, entry: Mapping[str, object]) -> Mapping[str, object]:
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Fault(400, f"{where} has the parameters {shown(parameters)}; expected an object")
    return parameters


def _outputs(served: Served, message: Mapping[str, object]) -> tuple[tuple[str, ...], frozenset[str] | None]:
    entries = message.get("outputs", [])
    if not isinstance(entries, list):
        raise Fault(400, f"outputs is {shown(entries)}; expected a list")
    everything = _parameters("the request", message).get("binary_data_output") is True
    names: list[str] = []
    as_bytes: set[str] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Fault(400, f"outputs[{number}] has no name")
        name = entry["name"]
        check_output(served, name)
        names.append(name)
        if _parameters(f"output {name!r}", entry).get("binary_data", everything) is True:
            as_bytes.add(name)
    return tuple(names), None if everything and not names else frozenset(as_bytes)


def check_output(served: Served, name: str) -> None:
    """Refuse the name of an output that the interface does not have."""
    if served.interface.outputs and served.interface.output(name) is None:
        expected = ", ".join(repr(field.name) for field in served.interface.outputs)
        raise Fault(400, f"output {name!r} is unknown to model {served.name!r}; expected {expected}")


def chosen(tensors: list[Tensor], wanted: Sequence[str]) -> list[Tensor]:
    """Take the outputs that were asked for, in that order; all of them where none was named."""
    by_name = {tensor.name: tensor for tensor in tensors}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise Fault(400, f"output {unknown[0]!r} is unknown; the model returned {', '.join(map(repr, by_name))}")
    return [by_name[name] for name in wanted] if wanted else tensors


def _reply(served: Served, inference: Inference, tensors: list[Tensor], said: dict[str, object]) -> Reply:
    tail: list[bytes] = []
    outputs = []
    for tensor in chosen(tensors, inference.wanted):
        entry: dict[str, object] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.array.shape),
        }
        if inference.binary is None or tensor.name in inference.binary:
            tail.append(binary.bytes_of(tensor.datatype, tensor.array))
            entry["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            entry["data"] = _flat(tensor)
        outputs.append(entry)
    message: dict[str, object] = {
        "model_name": served.name,
        "model_version": served.release.version,
        "id": said["prediction"] if inference.id is None else inference.id,
        "parameters": {**said, **served.labels()},
        "outputs": outputs,
    }
    content = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return Reply(200, content)
    size = {"Inference-Header-Content-Length": str(len(content))}
    return Reply(200, content + b"".join(tail), "application/octet-stream", size)


def _flat(tensor: Tensor) -> object:
    if tensor.datatype == "BYTES":
        return [text_of(item) for item in tensor.array.reshape(-1).tolist()]
    return np.ascontiguousarray(tensor.array).reshape(-1)
