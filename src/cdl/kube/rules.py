"""The rules of the resource definitions, evaluated as an API server would: CEL expressions found in the schema.

Reading a document with its model already tells every broken rule that one document can break, and `cdl.api.rules` every
change that may never be, in the same words and without loading CEL. This is the proof that they and the definitions
agree.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import cel

from cdl.api.rules import changed, without_nulls
from cdl.api.v1alpha1 import KINDS

from .crds import RULES_WORD, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = dict[str, Any]


def broken(kind: str, new: Mapping[str, object], old: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Give a sentence for each rule of a kind that a document breaks, alone or as the successor of an older one.

    What may never change is judged by the function that every store asks.
    """
    return (*evaluated(kind, new), *(changed(kind, new, old) if old is not None else ()))


def evaluated(kind: str, new: Mapping[str, object], old: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Give a sentence for each expression of a definition that is false, as an API server that knows CEL would."""
    before_all = None if old is None else without_nulls(old)
    return tuple(
        f"{path}: {rule['message']}"
        for path, node, value, before in _walk(_schema(kind), without_nulls(new), before_all, "")
        for rule in node.get(RULES_WORD, ())
        if not _holds(rule["rule"], value, before)
    )


@cache
def _schema(kind: str) -> Node:
    return schema(KINDS[kind], rules=True)


@cache
def _program(expression: str) -> Any:  # noqa: ANN401 - the library has no types
    return cel.compile(expression)


def _holds(expression: str, value: object, before: object) -> bool:
    if "oldSelf" not in expression:
        return bool(_program(expression).execute({"self": value}))
    return before is None or bool(_program(expression).execute({"self": value, "oldSelf": before}))


def _walk(node: Node, value: object, before: object, path: str) -> Iterator[tuple[str, Node, object, object]]:
    """Every value that is there, with its path, its schema and what it was."""
    yield path, node, value, before
    if isinstance(value, dict):
        past = before if isinstance(before, dict) else {}
        for name, below in _below(node, value):
            inside = f"{path}.{name}" if path else name
            yield from _walk(below, value[name], past.get(name), inside)
    elif isinstance(value, list) and "items" in node:
        past_items = _by_key(node, before)
        for number, item in enumerate(value):
            yield from _walk(node["items"], item, past_items.get(_key(node, item)), f"{path}[{number}]")


def _below(node: Node, value: Node) -> Iterator[tuple[str, Node]]:
    properties, rest = node.get("properties", {}), node.get("additionalProperties")
    for name in value:
        below = properties.get(name, rest)
        if isinstance(below, dict):
            yield name, below


def _by_key(node: Node, before: object) -> dict[tuple[str, ...], object]:
    """The items of a list as they were; only where items are told apart by a field can they be found again."""
    items = before if isinstance(before, list) and "x-kubernetes-list-map-keys" in node else []
    return {_key(node, item): item for item in items}


def _key(node: Node, item: object) -> tuple[str, ...]:
    names = node.get("x-kubernetes-list-map-keys", ())
    return tuple(str(item.get(name)) for name in names) if isinstance(item, dict) else ()
