"""What a call says, in a word: the part of a request that tells two writes to one path apart."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit


def of_kubernetes(_method: str, target: str, body: bytes) -> str:
    """Name what a write to the API server says: a Ready reason, a finalizer, an event's reason and its object."""
    said = _read(body)
    if isinstance(said, list):
        return ",".join(sorted({str(step.get("path", "")) for step in said if step.get("op") != "test"}))
    status = said.get("status")
    if isinstance(status, dict):
        return _of_status(status)
    about = said.get("involvedObject") or said.get("regarding")
    if isinstance(about, dict):
        return f"{said.get('reason', '')} {about.get('name', '')}"
    meta = said.get("metadata")
    if isinstance(meta, dict) and "finalizers" in meta:
        return "finalizers" if meta["finalizers"] else "no finalizers"
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""


def of_determined(_method: str, target: str, _body: bytes) -> str:
    """Name whose runs are asked for."""
    labels = parse_qs(urlsplit(target).query).get("labels", [])
    owners = [label for value in labels for label in value.split(",") if label.startswith("cdl-owner=")]
    return owners[0].removeprefix("cdl-owner=") if owners else ""


def _of_status(status: dict[str, Any]) -> str:
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    words = [f"{ready['status']}/{ready['reason']}"] if ready else []
    if "servedBy" in status:
        words.append("served by " + ",".join(status["servedBy"]))
    if status.get("approval", {}).get("state", "Pending") != "Pending":
        words.append(str(status["approval"]["state"]))
    return " ".join(words) or "status"


def _read(body: bytes) -> Any:
    try:
        read = json.loads(body or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict | list) else {}
