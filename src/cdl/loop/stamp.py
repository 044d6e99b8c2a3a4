"""What of a resource's document the loop goes by: has it to be looked at, and who else has to look?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cdl.api.canonical import short
from cdl.api.meta import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells two states of a resource apart, and whom they concern."""

    wish: str
    """Changes with spec, annotations and deletion: what the resource itself has to be looked at for."""
    version: str
    """Changes with everything, status included: what resources that depend on it have to be looked at for."""
    subject: Key | None = None
    """What others depend on when they depend on this. All Releases of a model are one subject, named by the model."""
    reads: frozenset[Key] = field(default=frozenset())
    """The subjects this resource's own look reads."""


def key_of(document: Mapping[str, Any]) -> Key:
    """Give the key of a document as an API server serves it."""
    meta = document["metadata"]
    return Key(str(document["kind"]), str(meta.get("namespace", "default")), str(meta["name"]))


def stamp_of(document: Mapping[str, Any]) -> Stamp:
    """Read a document's stamp; whatever cannot be read concerns nobody."""
    meta, key = document["metadata"], key_of(document)
    notes = meta.get("annotations")
    said = short(notes) if notes else ""  # they can be long, and there are as many as there are resources
    wish = f"{meta.get('uid')} {meta.get('generation')} {meta.get('deletionTimestamp')} {said}"
    spec = _part(document, "spec")
    model = spec.get("model")
    released = Key("Release", key.namespace, str(_part(spec, "model").get("name", "")))
    match key.kind:
        case "Release":
            return Stamp(wish, str(meta["resourceVersion"]), Key("Release", key.namespace, str(model)))
        case "Experiment":
            data = Key("DataPipeline", key.namespace, str(_part(spec, "data").get("pipeline", "")))
            return Stamp(wish, str(meta["resourceVersion"]), key, frozenset({data, released, *_begins_with(key, spec)}))
        case "ModelDeployment":
            return Stamp(wish, str(meta["resourceVersion"]), key, frozenset({released}))
        case _:
            return Stamp(wish, str(meta["resourceVersion"]), key)


def _begins_with(key: Key, spec: Mapping[str, Any]) -> Iterator[Key]:
    """Give the Releases of the model whose weights an Experiment begins with."""
    named = _part(_part(spec, "warmStart"), "from").get("release")
    if named:
        yield Key("Release", key.namespace, str(named).partition("@")[0])


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}
