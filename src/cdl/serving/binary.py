"""The binary tensor extension: JSON first, then each tensor's bytes, little-endian, in order."""

from __future__ import annotations

import struct

import numpy as np

from cdl.serving.faults import Fault, shown
from cdl.serving.interface import DTYPES
from cdl.serving.tensors import refuse_not_finite

HEADER = "inference-header-content-length"


def split(body: bytes, announced: str) -> tuple[bytes, bytes]:
    """Part a body into its JSON and its raw tensors."""
    if not announced.isdigit() or int(announced) > len(body):
        raise Fault(400, f"header Inference-Header-Content-Length is {announced!r}; the body has {len(body)} bytes")
    return body[: int(announced)], body[int(announced) :]


def take(name: str, raw: bytes, size: object) -> tuple[bytes, bytes]:
    """Cut the next tensor off the raw bytes."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(raw):
        raise Fault(
            400, f"input {name!r} has the binary_data_size {shown(size)}; {len(raw)} bytes are left in the body"
        )
    return raw[:size], raw[size:]


def array_of(name: str, datatype: str, raw: bytes) -> np.ndarray:
    """Read a tensor's bytes as a flat array."""
    if datatype == "BYTES":
        texts: np.ndarray = np.array(_texts(name, raw), dtype=object)
        return texts
    dtype = DTYPES[datatype].newbyteorder("<")
    if len(raw) % dtype.itemsize:
        raise Fault(400, f"input {name!r} has {len(raw)} bytes; {datatype} needs a multiple of {dtype.itemsize}")
    if datatype == "BOOL" and raw.strip(b"\0\1"):
        raise Fault(400, f"input {name!r} holds a byte that is neither 0 nor 1; expected BOOL")
    array: np.ndarray = np.frombuffer(raw, dtype).astype(DTYPES[datatype])  # a copy: user code may write into its input
    if array.dtype.kind == "f":
        refuse_not_finite(name, datatype, array)
    return array


def bytes_of(datatype: str, array: np.ndarray) -> bytes:
    """Spell an array as raw bytes."""
    if datatype != "BYTES":
        raw: bytes = np.ascontiguousarray(array, DTYPES[datatype].newbyteorder("<")).tobytes()
        return raw
    items: list[object] = array.reshape(-1).tolist()
    elements = [item if isinstance(item, bytes) else str(item).encode() for item in items]
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _texts(name: str, raw: bytes) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        element = raw[at + 4 : at + 4 + size]
        if at + 4 > len(raw) or len(element) != size:
            raise Fault(400, f"input {name!r} ends inside element {len(texts)}")
        try:
            texts.append(element.decode())
        except UnicodeDecodeError as error:
            raise Fault(400, f"input {name!r} element {len(texts)} is not UTF-8 text") from error
        at += 4 + size
    return texts
