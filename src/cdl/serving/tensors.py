"""Values of a request into arrays, and a model's answer into tensors.

Every refusal names the tensor, what was found and what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cdl.serving.faults import Fault, shown
from cdl.serving.interface import DTYPES, Field, Interface

DATATYPE_OF = {dtype: datatype for datatype, dtype in DTYPES.items() if datatype != "BYTES"}


@dataclass(frozen=True)
class Tensor:
    """A named array with its datatype on the wire."""

    name: str
    datatype: str
    array: np.ndarray


# -- into arrays ------------------------------------------------------------------------------------------------------


def array_of(name: str, datatype: str, values: object, *, may_hold_booleans: bool = True) -> np.ndarray:
    """Turn JSON values, nested or flat, into an array of exactly this datatype.

    may_hold_booleans: the caller has seen `true` or `false` somewhere in the body. numpy takes a boolean among
    numbers for a number; the walk that finds it is only worth its time then.
    """
    if not isinstance(values, list):
        raise Fault(400, f"input {name!r} has the data {shown(values)}; expected a list")
    if not values:
        raise Fault(400, f"input {name!r} is empty; expected at least one value")
    if datatype == "BYTES":
        return _texts(name, values)
    wrong = _wrong_for(datatype)
    if may_hold_booleans and datatype != "BOOL":
        _refuse_first(name, values, lambda value: isinstance(value, bool), datatype)
    try:
        array: np.ndarray = np.array(values)
    except (ValueError, TypeError, OverflowError) as error:
        _refuse_first(name, values, wrong, datatype)
        raise Fault(400, f"input {name!r} is a ragged list; expected rows of one length") from error
    if array.size == 0:
        raise Fault(400, f"input {name!r} is empty; expected at least one value")
    if datatype in ("INT64", "UINT64") and array.dtype.kind in "fO":
        array = _large_integers(name, datatype, values, array)
    if array.dtype.kind not in ("b" if datatype == "BOOL" else "iuf"):
        _refuse_first(name, values, wrong, datatype)
        raise Fault(400, f"input {name!r} is a ragged list or holds numbers out of range; expected {datatype}")
    return _cast(name, datatype, array, values)


def _cast(name: str, datatype: str, array: np.ndarray, values: list[object]) -> np.ndarray:
    dtype = DTYPES[datatype]
    if dtype.kind in "iu":
        if array.dtype.kind == "f":
            refuse_not_finite(name, datatype, array)
        limits = np.iinfo(dtype)
        if array.dtype.kind == "f" and not bool((array == np.floor(array)).all()):
            _refuse_first(name, values, lambda value: isinstance(value, float) and value != int(value), datatype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise Fault(
                400, f"input {name!r} holds a number out of range; {datatype} goes from {limits.min} to {limits.max}"
            )
        integers: np.ndarray = array.astype(dtype)
        return integers
    cast: np.ndarray
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, copy=False)
    if dtype.kind == "f":
        refuse_not_finite(name, datatype, cast)
    return cast


def _large_integers(name: str, datatype: str, values: list[object], array: np.ndarray) -> np.ndarray:
    """Keep every digit: numpy makes floats of integers that have no signed type in common."""
    if not all(type(value) is int for _, value in _leaves(values, ())):
        return array
    try:
        exact: np.ndarray = np.array(values, dtype=DTYPES[datatype])
    except OverflowError as error:
        raise Fault(400, f"input {name!r} holds a number out of range for {datatype}") from error
    return exact


def refuse_not_finite(name: str, datatype: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, which no later check would see."""
    finite = np.isfinite(array)
    if not bool(finite.all()):
        at = [int(step) for step in np.argwhere(~finite)[0]]
        raise Fault(400, f"input {name!r} holds {array[tuple(at)]} at {at}; expected finite {datatype} numbers")


def _texts(name: str, values: list[object]) -> np.ndarray:
    _refuse_first(name, values, lambda value: not isinstance(value, str), "BYTES")
    try:
        array: np.ndarray = np.array(values, dtype=object)
    except ValueError as error:
        raise Fault(400, f"input {name!r} is a ragged list; expected rows of one length") from error
    if any(not isinstance(value, str) for value in array.reshape(-1).tolist()):
        raise Fault(400, f"input {name!r} is a ragged list; expected rows of one length")
    if array.size == 0:
        raise Fault(400, f"input {name!r} is empty; expected at least one value")
    return array


def _wrong_for(datatype: str) -> Callable[[object], bool]:
    if datatype == "BOOL":
        return lambda value: not isinstance(value, bool)
    return lambda value: isinstance(value, bool) or not isinstance(value, (int, float))


def _refuse_first(name: str, values: list[object], wrong: Callable[[object], bool], datatype: str) -> None:
    for path, value in _leaves(values, ()):
        if wrong(value):
            at = "".join(f"[{step}]" for step in path)
            kind = {"BYTES": "a text", "BOOL": "a boolean"}.get(datatype, "a number")
            raise Fault(400, f"input {name!r} holds {shown(value)} at {at}; expected {kind} ({datatype})")


def _leaves(value: object, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], object]]:
    if isinstance(value, list) and len(path) < 64:  # deeper than any numpy array can be
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path, value


# -- out of the model -------------------------------------------------------------------------------------------------


def tensors_of(answer: object, interface: Interface) -> list[Tensor]:
    """Name and type what predict returned; an answer that breaks the declared interface is the model's fault."""
    if isinstance(answer, Mapping):
        named = {str(name): value for name, value in answer.items()}
    elif isinstance(answer, tuple) and len(interface.outputs) == len(answer) > 1:
        named = {field.name: value for field, value in zip(interface.outputs, answer, strict=True)}
    else:
        named = {interface.outputs[0].name if interface.outputs else "output": answer}
    missing = [field.name for field in interface.outputs if field.name not in named]
    if missing:
        raise Fault(500, f"the model returned no output {missing[0]!r}; its interface declares it")
    order = [field.name for field in interface.outputs] + [n for n in named if interface.output(n) is None]
    return [_tensor(name, named[name], interface.output(name)) for name in order]


def _tensor(name: str, value: object, field: Field | None) -> Tensor:
    array = plain_array(name, value)
    if field is None:
        datatype = "BYTES" if array.dtype.kind in "OUS" else DATATYPE_OF.get(array.dtype.newbyteorder("="), "")
        if not datatype:
            raise Fault(500, f"the model returned output {name!r} of type {array.dtype}, which no datatype can carry")
        return Tensor(name, datatype, array.astype(object) if datatype == "BYTES" else array)
    if not field.admits(array.shape):
        raise Fault(
            500,
            f"the model returned output {name!r} of shape {list(array.shape)}; "
            f"its interface declares {list(field.shape)}",
        )
    if (array.dtype.kind in "OUS") != (field.datatype == "BYTES"):
        raise Fault(
            500, f"the model returned output {name!r} of type {array.dtype}; its interface declares {field.datatype}"
        )
    return Tensor(name, field.datatype, array.astype(DTYPES[field.datatype], copy=False))


def plain_array(name: str, value: object) -> np.ndarray:
    """Make an array of anything a model may sensibly return; None, ragged lists and NaN are its fault."""
    if value is None:
        raise Fault(500, f"the model returned nothing for output {name!r}")
    try:
        array: np.ndarray = np.asarray(_unwrapped(value))
    except (ValueError, TypeError) as error:
        raise Fault(500, f"the model returned output {name!r} that is not a regular array: {error}") from error
    if array.ndim == 0:
        array = array.reshape(1)
    if array.dtype.kind == "O" and any(not isinstance(item, (str, bytes)) for item in array.reshape(-1).tolist()):
        raise Fault(500, f"the model returned output {name!r} with items that are neither numbers nor texts")
    if array.dtype.kind == "f" and not bool(np.isfinite(array).all()):
        raise Fault(500, f"the model returned NaN or infinity in output {name!r}")
    return array


def _unwrapped(value: object) -> object:
    for step in ("detach", "cpu", "numpy"):  # what a torch or TensorFlow tensor needs to become an array
        method = getattr(value, step, None)
        if callable(method):
            value = method()
    return value


def text_of(value: object) -> str:
    """One BYTES element as JSON can carry it."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def zeros(fields: Sequence[Field]) -> dict[str, np.ndarray]:
    """Build the smallest input that fits the fields, for the warm-up."""
    arrays = {}
    for field in fields:
        shape = tuple(1 if length == -1 else length for length in field.shape)
        filler = "warm up" if field.datatype == "BYTES" else 0
        arrays[field.name] = np.full(shape, filler, dtype=DTYPES[field.datatype])
    return arrays
