"""Ask a served model over HTTP, in Seldon's protocol, as any program would."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .refusal import Refusal

if TYPE_CHECKING:
    from cdl.api.v1alpha1 import ModelDeployment

TIMEOUT_SECONDS = 30
LONGEST = 200
"""Characters of a model's own words that are shown."""
LOADING = re.compile(r"^cdl_model_load_(?P<name>\w+)\{.*\} (?P<value>[0-9.]+)$", re.MULTILINE)
KNOWN = {".txt": "text", ".json": "numbers"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said about one file."""

    label: str
    probability: float | None
    milliseconds: float
    release: str
    digest: str
    prediction: str = ""
    """What the model server calls this answer; `cdl lineage` takes it."""


def ask(deployment: ModelDeployment, file: Path) -> Answer:
    """Send one file and read the answer.

    Raises:
        Refusal: the file cannot be sent, nobody answers, or the answer is no prediction.
    """
    body = json.dumps({"data": {"ndarray": _rows(deployment, file)}}).encode()
    request = urllib.request.Request(  # noqa: S310 - the address is the platform's own
        deployment.status.url, data=body, headers={"Content-Type": "application/json"}
    )
    begun = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            told = response.read()
    except urllib.error.HTTPError as error:
        message = f"{file}: the model answered {error.code}: {_reason(_rest(error))}"
        raise Refusal(message) from error
    except (OSError, http.client.HTTPException) as error:
        message = f"{deployment.status.url} does not answer: {error}; `cdl run FOLDER` brings it up"
        raise Refusal(message) from error
    milliseconds = (time.perf_counter() - begun) * 1000
    try:
        return _answer(json.loads(told), milliseconds)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # what is in an answer is up to the project's own class
        message = f"{file}: the model answered no prediction: {told.decode(errors='replace')[:LONGEST]}"
        raise Refusal(message) from error


def loading(deployment: ModelDeployment) -> tuple[float, float] | None:
    """When the server of a model loaded the project's class: Unix times of begin and end; None when nobody says."""
    base, _, _ = deployment.status.url.partition("/api/")
    try:
        with urllib.request.urlopen(f"{base}/metrics", timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            text = response.read().decode()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    found = {m["name"]: float(m["value"]) for m in LOADING.finditer(text)}
    if not {"start_seconds", "seconds"} <= found.keys():
        return None
    return found["start_seconds"], found["start_seconds"] + found["seconds"]


def _rows(deployment: ModelDeployment, file: Path) -> list[object]:
    """One row: a text, or the numbers of the file, as the interface's first input has them."""
    if file.suffix not in KNOWN:
        message = f"{file}: found a {file.suffix or 'nameless'} file, allowed: {', '.join(KNOWN)}"
        raise Refusal(message)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        value = text if file.suffix == ".txt" else json.loads(text)
    except OSError as error:
        message = f"{file}: not readable: {error.strerror}"
        raise Refusal(message) from error
    except ValueError as error:
        message = f"{file}: not readable: {error}"
        raise Refusal(message) from error
    inputs = deployment.spec.interface.inputs
    batched = bool(inputs) and _depth(value) == len(inputs[0].shape)
    return value if isinstance(value, list) and batched else [value]


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        value, depth = value[0] if value else None, depth + 1
    return depth


def _answer(told: dict[str, object], milliseconds: float) -> Answer:
    data, meta = told.get("data"), told.get("meta")
    tags = meta.get("tags", {}) if isinstance(meta, dict) else {}
    release, digest, name = (str(tags.get(tag, "")) for tag in ("release", "digest", "prediction"))
    where = (milliseconds, release, digest, name)
    if not isinstance(data, dict):
        return Answer(json.dumps(told.get("strData", told.get("jsonData"))), None, *where)
    first = data["ndarray"][0]
    names = data.get("names") or []
    if isinstance(first, list) and len(first) == len(names):
        best = max(range(len(first)), key=lambda i: first[i])
        return Answer(str(names[best]), float(first[best]), *where)
    return Answer(str(first), None, *where)


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:LONGEST]
    if not isinstance(told, dict):
        return str(told)
    status = told.get("status")
    return str(status.get("info") if isinstance(status, dict) else told.get("error", told))


def _rest(answer: urllib.error.HTTPError) -> bytes:
    try:
        return answer.read()
    except (OSError, http.client.HTTPException):
        return b"(it hung up)"
