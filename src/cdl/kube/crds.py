"""CustomResourceDefinitions, made from the models: `python -m cdl.kube.crds` writes them below manifests again.

There are two of each: `crds` for every API server, and `crds-cel` for those from 1.25 on, which know rules between
fields as well. An older server refuses a definition with rules instead of passing over them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cdl.api.meta import AVAILABLE, GROUP, VERSION
from cdl.api.rules import RULES
from cdl.api.v1alpha1 import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.v1alpha1 import Resource

Node = dict[str, object]

SHORT_NAMES = {"DataPipeline": "cdldp", "Experiment": "cdlexp", "ModelDeployment": "cdlmd", "Release": "cdlrel"}
HEADER = "# Made from the models by `python -m cdl.kube.crds`; change those.\n"
FOLDERS = {"crds": False, "crds-cel": True}
"""Where the definitions are kept, and whether with rules."""
Column = tuple[str, str, str, str]
COLUMNS: tuple[Column, ...] = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "The resource is what its spec asks for."),
    ("Status", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not."),
    ("Progress", "string", ".status.progress", "Steps done of steps to do."),
    ("Revision", "string", ".status.lastAppliedRevision", "Git commit that is true of the world."),
)
RELEASE_COLUMNS: tuple[Column, ...] = (
    ("Model", "string", ".spec.model", "The model."),
    ("Version", "integer", ".spec.version", "Its version."),
    ("Approval", "string", ".status.approval.state", "What was decided about it."),
)
AGE: Column = ("Age", "date", ".metadata.creationTimestamp", "Time since it was made.")
MESSAGE: Column = ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "The same in a sentence.")
WIDE: dict[str, tuple[Column, ...]] = {
    "DataPipeline": (("Dataset", "string", ".status.dataset.version", "The newest dataset version."), MESSAGE),
    "Experiment": (
        ("Metric", "number", ".status.bestTrial.metric", "The best trial's value of the searcher's metric."),
        ("Release", "string", ".status.release", "The newest Release."),
        MESSAGE,
    ),
    "ModelDeployment": (
        ("Release", "string", ".status.release", "The Release that answers."),
        ("URL", "string", ".status.url", "Where predictions are answered."),
        MESSAGE,
    ),
    "Release": (
        ("By", "string", ".status.approval.by", "Who decided."),
        ("Served by", "string", ".status.servedBy", "ModelDeployments that serve it."),
        ("Digest", "string", ".spec.digest", "Stands for all members."),
    ),
}
"""What `kubectl get -o wide` shows besides."""
NAME: Node = {
    "description": "Also names objects at the engines, so it is shorter than elsewhere.",
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "maxLength": 40,
}
UNSEEN: Node = {"observedGeneration": -1}
"""The status before the first look, so that kstatus readers wait. A Release has no controller and needs no look."""
KEPT = ("description", "type", "enum", "pattern", "minimum", "maximum", "multipleOf", "minLength", "maxLength")
KEPT_OF_LISTS = ("minItems", "maxItems", "minProperties", "maxProperties")
MAP_KEYS = {"conditions": "type", "sources": "name", "steps": "name", "checks": "name"}
"""Lists whose items are told apart by a field, so that two writers can own one item each."""
FREE: Node = {"x-kubernetes-preserve-unknown-fields": True}
RULES_WORD = "x-kubernetes-validations"


def definition(kind: type[Resource], *, rules: bool = False) -> Node:
    """Give the CustomResourceDefinition of a kind; with rules only for API servers from 1.25 on."""
    name = kind.__name__
    always = RELEASE_COLUMNS if name == "Release" else COLUMNS
    plural = f"{name.lower()}s"
    version: Node = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *(_column(column) for column in (*always, AGE)),
            *(_column(column) | {"priority": 1} for column in WIDE[name]),
        ],
        "schema": {"openAPIV3Schema": schema(kind, rules=rules)},
    }
    names: Node = {
        "kind": name,
        "listKind": f"{name}List",
        "plural": plural,
        "singular": name.lower(),
        "shortNames": [SHORT_NAMES[name]],
        "categories": ["cdl"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _column(column: Column) -> Node:
    return dict(zip(("name", "type", "jsonPath", "description"), column, strict=True))


def schema(kind: type[Resource], *, rules: bool = False) -> Node:
    """Give the structural schema of a kind: everything inlined, only words that an API server keeps."""
    raw: Node = kind.model_json_schema(by_alias=True)
    defs = _nodes(raw, "$defs")
    properties = _nodes(raw, "properties")
    status = _structural(properties["status"], defs, defaults=False)
    made: Node = {
        "description": raw["description"],
        "type": "object",
        "properties": {
            "apiVersion": {"description": "Version of the schema of this object.", "type": "string"},
            "kind": {"description": "What this object is.", "type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": NAME},
            },
            "spec": _structural(properties["spec"], defs, defaults=True),
            "status": status if kind.__name__ == "Release" else status | {"default": UNSEEN},
        },
        "required": ["spec"],
    }
    for rule in RULES:
        if rule.kind == kind.__name__:
            _add_rule(_at(made, rule.place), rule.expression, rule.message)
    return made if rules else _without_rules(made)


def _at(node: Node, place: str) -> Node:
    """Find the schema of a place, as in `spec.steps[]`."""
    for part in place.replace("[]", ".[]").split("."):
        below = node["items"] if part == "[]" else _children(node)[part]
        if not isinstance(below, dict):
            message = f"{place}: no such place"
            raise TypeError(message)
        node = below
    return node


def _children(node: Node) -> dict[str, Node]:
    properties = node.get("properties")
    return properties if isinstance(properties, dict) else {}


def _add_rule(node: Node, expression: str, message: str) -> None:
    told = node.setdefault(RULES_WORD, [])
    if isinstance(told, list):
        told.append({"rule": expression, "message": message})


def _without_rules(node: Node) -> Node:
    return {
        word: {name: _without_rules(_node(child)) for name, child in _node(value).items()}
        if word == "properties"
        else _without_rules(_node(value))
        if word in {"items", "additionalProperties"}
        else value
        for word, value in node.items()
        if word != RULES_WORD
    }


def _structural(raw: Mapping[str, object], defs: Mapping[str, Node], *, defaults: bool) -> Node:
    node = _inlined(raw, defs)
    if not node.keys() - {"description"}:  # any JSON
        return {k: v for k, v in node.items() if k == "description"} | FREE
    made: Node = {k: node[k] for k in (*KEPT, *KEPT_OF_LISTS) if k in node}
    if "const" in node:
        made["enum"] = [node["const"]]
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in node:
            made |= {bound.lower(): node[f"exclusive{bound}"], f"exclusive{bound}": True}
    if node.get("format") == "date-time":
        made["format"] = "date-time"
    if node.get("type") == "array":
        # a default inside an item makes every client-side apply replace the list, and Argo CD see a difference
        made["items"] = _structural(_node(node["items"]), defs, defaults=False)
    if node.get("type") == "object":
        made |= _of_object(node, defs, defaults=defaults)
    if AVAILABLE in raw:
        _only_available(made, _node(raw[AVAILABLE]))
    if defaults and (default := _default(raw, made)) is not None:
        made["default"] = default
    return made


def _only_available(made: Node, available: Node) -> None:
    """Teach the API server which values already do something, where its rules can see the value at all."""
    free = made.get("type") == "object" or "type" not in _node(made.get("items", {"type": ""}))
    values = available["values"]
    if free or not isinstance(values, list):
        return
    expression = "size(self) == 0"
    if made["type"] != "array":
        expression = " || ".join(f"dyn(self) == {json.dumps(value)}" for value in values)
    _add_rule(made, expression, str(available["message"]))


def _of_object(node: Node, defs: Mapping[str, Node], *, defaults: bool) -> Node:
    if "properties" not in node:
        values = _inlined(_node(node.get("additionalProperties")), defs)
        return (
            {"additionalProperties": _structural(values, defs, defaults=defaults)} if "type" in values else dict(FREE)
        )
    made: Node = {"properties": {}}
    properties = {
        name: _structural(child, defs, defaults=defaults) for name, child in _nodes(node, "properties").items()
    }
    for name, child in properties.items():
        key = MAP_KEYS.get(name)
        if key and key in _nodes(_node(child.get("items")), "properties"):
            child |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    made["properties"] = properties
    return made | ({"required": node["required"]} if "required" in node else {})


def _inlined(raw: Mapping[str, object], defs: Mapping[str, Node]) -> Node:
    """Follow references and take null out of unions; a field's own description outranks its type's.

    Nothing is nullable: an API server drops a null then, which means the same, and explains what is below the field.
    """
    node = dict(raw)
    while "$ref" in node or "anyOf" in node:
        own = {k: v for k, v in node.items() if k == "description"}
        if "anyOf" in node:
            union = node["anyOf"]
            members = [m for m in map(_node, union if isinstance(union, list) else []) if m.get("type") != "null"]
            if len(members) != 1:
                message = f"a union of {len(members)} types has no structural schema: {raw}"
                raise TypeError(message)
            node = members[0] | own
        else:
            node = dict(defs[str(node["$ref"]).rpartition("/")[2]]) | own
    return node


def _default(raw: Mapping[str, object], made: Node) -> object:
    """What the server fills in; for an object an empty one, whose own fields then get theirs."""
    default = raw.get("default")
    if made.get("type") != "object":
        return default
    return {} if "default" in raw and default is not None and "required" not in made else None


def _node(value: object) -> Node:
    return dict(value) if isinstance(value, dict) else {}


def _nodes(parent: Mapping[str, object], name: str) -> dict[str, Node]:
    return {k: _node(v) for k, v in _node(parent.get(name)).items()}


def render(kind: type[Resource], *, rules: bool = False) -> str:
    """Write the definition of a kind as the text of its file."""
    return HEADER + yaml.dump(
        definition(kind, rules=rules), Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True
    )


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice: no anchors, which not every reader of YAML likes."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def file_name(kind: type[Resource]) -> str:
    """Name the file that holds the definition of a kind."""
    return f"{GROUP}_{kind.__name__.lower()}s.yaml"


def main(manifests: Path) -> None:
    """Write every definition into the folders below `manifests`."""
    for name, rules in FOLDERS.items():
        folder = manifests / name
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS.values():
            (folder / file_name(kind)).write_text(render(kind, rules=rules), encoding="utf-8")
            sys.stdout.write(f"{folder / file_name(kind)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("manifests"))
