"""Pipeline specs as people have them: JSON or YAML, one or several in a file, some written for Pachyderm 1.x."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Spec = dict[str, Any]

GONE = {
    "enable_stats": "statistics are always kept",
    "cache_size": "there is no cache to size",
    "max_queue_size": "datums are handed out one by one",
    "hashtree_spec": "there are no hash trees",
    "chunk_spec": "see datum_set_spec",
}
"""Fields of 1.x that changed how a pipeline ran, not what it made."""


class Found(NamedTuple):
    """A spec that a pachd of today takes, and what was changed for that, a sentence each."""

    spec: Spec
    changes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Tell the pipeline's name; empty when the spec has none."""
        pipeline = self.spec.get("pipeline")
        return str(pipeline.get("name", "")) if isinstance(pipeline, dict) else ""

    def text(self) -> str:
        """Write the spec down as pachd takes it."""
        return json.dumps(self.spec, indent=2)


def read(text: str, where: str) -> list[Found]:
    """Read every spec of a file.

    Raises:
        Rejected: it is neither JSON nor YAML, or holds something other than specs.
    """
    specs = [spec for document in _documents(text, where) for spec in _listed(document)]
    if not specs or not all(isinstance(spec, dict) for spec in specs):
        message = f"{where}: found {_kind(specs)}, allowed: a pipeline spec, several of them, or a list of them"
        raise Rejected(message)
    return [_today(spec) for spec in specs]


def _listed(document: object) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _kind(specs: list[Any]) -> str:
    return next((type(spec).__name__ for spec in specs if not isinstance(spec, dict)), "nothing")


def _documents(text: str, where: str) -> list[Any]:
    try:
        return list(_json_documents(text))
    except json.JSONDecodeError as not_json:
        if text.lstrip().startswith(("{", "[")):
            message = f"{where}: line {not_json.lineno} is not JSON: {not_json.msg}"
            raise Rejected(message) from not_json
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        line = f"line {at.line + 1} " if at is not None else ""
        message = f"{where}: {line}is neither JSON nor YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
        raise Rejected(message) from error


def _json_documents(text: str) -> Iterator[Any]:
    """Read JSON documents that follow each other, as kubectl and pachctl write several."""
    reader, at = json.JSONDecoder(), 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        document, length = reader.raw_decode(rest)
        yield document
        at += length


# -- from 1.x to today ------------------------------------------------------------------------------------------------


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _today(given: Spec) -> Found:
    spec = dict(given)
    changes: list[str] = []
    known: dict[str, Callable[[Spec, str], str]] = {"standby": _standby, "parallelism_spec": _parallelism}
    for key in list(spec):
        name = _snake(key)
        if name in known:
            changes.append(known[name](spec, key))
        elif name in GONE:
            del spec[key]
            changes.append(f"{key} was left out: {GONE[name]}")
    if isinstance(spec.get("input"), dict):
        spec["input"] = _input(spec["input"], changes)
    return Found(spec, tuple(change for change in changes if change))


def _standby(spec: Spec, key: str) -> str:
    spec["autoscaling"] = spec.pop(key)
    return f"{key} is called autoscaling now"


def _parallelism(spec: Spec, key: str) -> str:
    given = spec[key]
    if not isinstance(given, dict) or "coefficient" not in given:
        return ""
    rest = {name: value for name, value in given.items() if name != "coefficient"}
    spec[key] = rest or {"constant": "1"}
    return f"{key}.coefficient was left out: workers are counted with constant"


def _input(given: Spec, changes: list[str]) -> Spec:
    made: Spec = {}
    for key, value in given.items():
        if key == "atom":
            changes.append("input.atom is called input.pfs now")
            made["pfs"] = value
        elif key == "git":
            message = "input.git is no longer there; a DataPipeline with a git source brings a repository in"
            raise Rejected(message)
        elif key in {"cross", "union", "join", "group"} and isinstance(value, list):
            made[key] = [_input(arm, changes) if isinstance(arm, dict) else arm for arm in value]
        else:
            made[key] = value
    return made
