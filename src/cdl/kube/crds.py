"""CustomResourceDefinitions, made from the models: `python -m cdl.kube.crds` writes manifests/crds again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cdl.api.meta import GROUP, VERSION
from cdl.api.v1alpha1 import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.v1alpha1 import Resource

Node = dict[str, object]

SHORT_NAMES = {"DataPipeline": "cdldp", "Experiment": "cdlexp", "ModelDeployment": "cdlmd", "Release": "cdlrel"}
HEADER = "# Made from the models by `python -m cdl.kube.crds`; change those.\n"
COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "The resource is what its spec asks for."),
    ("Status", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not."),
    ("Progress", "string", ".status.progress", "Steps done of steps to do."),
    ("Revision", "string", ".status.lastAppliedRevision", "Git commit that is true of the world."),
    ("Age", "date", ".metadata.creationTimestamp", "Time since it was made."),
)
KEPT = ("description", "type", "enum", "pattern", "minimum", "maximum", "multipleOf", "minLength", "maxLength")
KEPT_OF_LISTS = ("minItems", "maxItems", "minProperties", "maxProperties")
MAP_KEYS = {"conditions": "type", "sources": "name", "steps": "name", "checks": "name"}
"""Lists whose items are told apart by a field, so that two writers can own one item each."""
FREE: Node = {"x-kubernetes-preserve-unknown-fields": True}


def definition(kind: type[Resource]) -> Node:
    """Give the CustomResourceDefinition of a kind."""
    name = kind.__name__
    plural = f"{name.lower()}s"
    version: Node = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": title, "type": form, "jsonPath": path, "description": meaning}
            for title, form, path, meaning in COLUMNS
        ],
        "schema": {"openAPIV3Schema": schema(kind)},
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


def schema(kind: type[Resource]) -> Node:
    """Give the structural schema of a kind: everything inlined, only words that an API server keeps."""
    raw: Node = kind.model_json_schema(by_alias=True)
    defs = _nodes(raw, "$defs")
    properties = _nodes(raw, "properties")
    return {
        "description": raw["description"],
        "type": "object",
        "properties": {
            "apiVersion": {"description": "Version of the schema of this object.", "type": "string"},
            "kind": {"description": "What this object is.", "type": "string"},
            "metadata": {"description": "Name, namespace, labels and annotations.", "type": "object"},
            "spec": _structural(properties["spec"], defs, defaults=True),
            "status": _structural(properties["status"], defs, defaults=False),
        },
        "required": ["spec"],
    }


def _structural(raw: Mapping[str, object], defs: Mapping[str, Node], *, defaults: bool) -> Node:
    node, nullable = _inlined(raw, defs)
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
    if nullable and "enum" not in made:  # a null can neither match an enum nor be listed in one
        made["nullable"] = True
    if node.get("type") == "array":
        made["items"] = _structural(_node(node["items"]), defs, defaults=defaults)
    if node.get("type") == "object":
        made |= _of_object(node, defs, defaults=defaults)
    if defaults and (default := _default(raw, made)) is not None:
        made["default"] = default
    return made


def _of_object(node: Node, defs: Mapping[str, Node], *, defaults: bool) -> Node:
    if "properties" not in node:
        values, _ = _inlined(_node(node.get("additionalProperties")), defs)
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


def _inlined(raw: Mapping[str, object], defs: Mapping[str, Node]) -> tuple[Node, bool]:
    """Follow references and take null out of unions; a field's own description outranks its type's."""
    node, nullable = dict(raw), False
    while "$ref" in node or "anyOf" in node:
        own = {k: v for k, v in node.items() if k == "description"}
        if "anyOf" in node:
            union = node["anyOf"]
            members = [m for m in map(_node, union if isinstance(union, list) else []) if m.get("type") != "null"]
            nullable = True
            if len(members) != 1:
                message = f"a union of {len(members)} types has no structural schema: {raw}"
                raise TypeError(message)
            node = members[0] | own
        else:
            node = dict(defs[str(node["$ref"]).rpartition("/")[2]]) | own
    return node, nullable


def _default(raw: Mapping[str, object], made: Node) -> object:
    """What the server fills in; for an object an empty one, whose own fields then get theirs."""
    default = raw.get("default")
    if made.get("type") != "object":
        return None if made.get("nullable") else default
    return {} if "default" in raw and default is not None and "required" not in made else None


def _node(value: object) -> Node:
    return dict(value) if isinstance(value, dict) else {}


def _nodes(parent: Mapping[str, object], name: str) -> dict[str, Node]:
    return {k: _node(v) for k, v in _node(parent.get(name)).items()}


def render(kind: type[Resource]) -> str:
    """Write the definition of a kind as the text of its file."""
    return HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)


def file_name(kind: type[Resource]) -> str:
    """Name the file that holds the definition of a kind."""
    return f"{GROUP}_{kind.__name__.lower()}s.yaml"


def main(folder: Path) -> None:
    """Write every definition into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS.values():
        (folder / file_name(kind)).write_text(render(kind), encoding="utf-8")
        sys.stdout.write(f"{folder / file_name(kind)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("manifests/crds"))
