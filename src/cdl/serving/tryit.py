"""The page at `/` that anybody can use: which form suits the model's interface, and the three files it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from cdl.serving.exchange import Reply
from cdl.serving.interface import Field
from cdl.serving.pages import v2_example
from cdl.serving.served import Served

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # another release may stand behind the same address tomorrow
}
TYPES = {
    "page.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
CELLS = 100  # more fields than this is no form that anybody fills in
LEAST_SIDE, MOST_SIDE = 8, 1024  # what is smaller or larger is no picture
FLAT_SIDE = 28  # 784 numbers in a row are a picture of this side: MNIST and what was made like it
CHANNELS = (1, 3)
_FOLDER = files("cdl.serving") / "page"


def file(name: str) -> Reply:
    """Answer with one of the page's files."""
    return Reply(200, (_FOLDER / name).read_bytes(), TYPES[name], dict(HEADERS))


def wants_page(accept: str) -> bool:
    """Tell a browser from a program: only a browser names HTML among what it accepts."""
    return "text/html" in accept.lower()


def described(served: Served) -> dict[str, object]:
    """Tell the page what it needs: who answers, what the classes are, and which form to show."""
    return {
        "name": served.name,
        "version": served.release.version,
        **served.labels(),
        "classes": list(served.class_names),
        "path": "v2/models/infer",
        "form": form(served.interface.inputs, served.feature_names) or {"kind": "raw", "example": v2_example(served)},
    }


def form(fields: Sequence[Field], feature_names: Sequence[str]) -> dict[str, object] | None:
    """Choose the form for these inputs: a text, a picture, a row of a table; None where no form fits."""
    if len(fields) == 1:
        field = fields[0]
        if field.datatype == "BYTES" and _length(field) == 1:
            return {"kind": "text", **_sent(field)}
        picture = _picture(field)
        if picture:
            return {"kind": "image", **_sent(field), **picture}
    cells = [cell for field in fields for cell in _cells(field)]
    if not fields or len(cells) > CELLS or any(not _length(field) for field in fields):
        return None
    labels = list(feature_names) if len(feature_names) == len(cells) else [str(cell["label"]) for cell in cells]
    return {
        "kind": "row",
        "inputs": [_sent(field) for field in fields],
        "cells": [{**cell, "label": label} for cell, label in zip(cells, labels, strict=True)],
    }


def _sent(field: Field) -> dict[str, object]:
    """Name, datatype and shape of the tensor that the page sends."""
    return {
        "name": field.name,
        "datatype": field.datatype,
        "shape": [1 if length == -1 else length for length in field.shape],
    }


def _length(field: Field) -> int:
    """How many values one row has; 0 where there is no telling what a row is."""
    first, *others = field.shape
    if not others:
        return 1 if first == -1 else first
    return others[0] if len(others) == 1 and first in (-1, 1) and others[0] > 0 else 0


def _cells(field: Field) -> list[dict[str, object]]:
    length = _length(field)
    return [
        {
            "input": field.name,
            "datatype": field.datatype,
            "label": field.name if length == 1 else f"{field.name} {place + 1}",
        }
        for place in range(min(length, CELLS + 1))
    ]


def _picture(field: Field) -> dict[str, object] | None:
    if field.datatype in ("BYTES", "BOOL") or field.shape[0] not in (-1, 1):
        return None
    match field.shape[1:]:
        case (length,) if length == FLAT_SIDE * FLAT_SIDE:
            height, width, channels, first = FLAT_SIDE, FLAT_SIDE, 1, False
        case (height, width):
            channels, first = 1, False
        case (height, width, channels) if channels in CHANNELS:
            first = False
        case (channels, height, width) if channels in CHANNELS:
            first = True
        case _:
            return None
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in (height, width)):
        return None
    # Whole numbers are grey values; a network that takes fractions is nearly always fed from 0 to 1.
    most = 1 if field.datatype.startswith("FP") else 255
    return {"height": height, "width": width, "channels": channels, "channelsFirst": first, "most": most}
