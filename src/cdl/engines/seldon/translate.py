"""Between SeldonDeployment objects and ours; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cdl.api.conditions import Reason
from cdl.api.meta import API_VERSION, Key
from cdl.api.meta import GROUP as CDL_GROUP
from cdl.ports.errors import Rejected
from cdl.reconcile.modeldeployment import ServingPhase, ServingSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Resources
    from cdl.reconcile.modeldeployment import ServingWish

    Table = dict[str, JsonValue]

GROUP, VERSION, PLURAL = "machinelearning.seldon.io", "v1", "seldondeployments"
KEY, RELEASE, DIGEST, OWNER = "cdl.dev/key", "cdl.dev/release", "cdl.dev/digest", "cdl.dev/owner"
MANAGER, CDL = "app.kubernetes.io/managed-by", "cdl"
MINE = f"{MANAGER}={CDL}"
PHASE_OF: dict[str, ServingPhase] = {
    "Available": ServingPhase.AVAILABLE,
    "Creating": ServingPhase.CREATING,
    "Failed": ServingPhase.FAILED,
    "": ServingPhase.CREATING,
}
"""Seldon's three states; an object that its operator has not seen yet has none."""


def mark_of(owner: Key) -> str:
    """What says whose an object is."""
    return f"{owner.namespace}/{owner.name}"


def pulses(objects: Iterable[Mapping[str, JsonValue]]) -> dict[Key, str]:
    """Give a text for every object of ours that changes with it; of another's there is none."""
    found = {}
    for each in objects:
        meta = _table(each.get("metadata"))
        owner = Key("ModelDeployment", str(meta.get("namespace")), str(meta.get("name")))
        if notes(each).get(OWNER) == mark_of(owner):
            found[owner] = f"{meta.get('uid')} {meta.get('resourceVersion')}"
    return found


def manifest(owner: Key, wish: ServingWish, image: str, trusted: str = "") -> Table:
    """Write the wish as a SeldonDeployment; the server is told by which keys, as PEM, an approval must be signed.

    Raises:
        Rejected: nobody has approved the release, or nobody has signed that.
    """
    if wish.refusal:
        raise Rejected(wish.refusal, Reason.NOT_APPROVED)
    spec: Table = {"name": owner.name, "predictors": [_predictor(wish, image, trusted)]}
    if "seldon" not in wish.spec.predictor.protocols:
        spec["protocol"] = "v2"
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SeldonDeployment",
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": {MANAGER: CDL},
            **({"ownerReferences": [_reference(owner, wish.owner)]} if wish.owner else {}),
            "annotations": {
                OWNER: mark_of(owner),
                KEY: wish.key,
                RELEASE: wish.release.name,
                DIGEST: wish.release.digest,
            },
        },
        "spec": spec,
    }


def replacing(live: Mapping[str, JsonValue], wanted: Table) -> Table:
    """Give the live object with our spec, labels and annotations; what others noted on it stays."""
    now, ours = _table(live.get("metadata")), _table(wanted["metadata"])
    merged = {name: {**_table(now.get(name)), **_table(ours.get(name))} for name in ("labels", "annotations")}
    owners = [*_strange_owners(now), *_list(ours.get("ownerReferences"))]
    return {**wanted, "metadata": _owned({**now, **merged}, owners)}


def released(live: Mapping[str, JsonValue]) -> Table | None:
    """Give the live object without an owner of ours; None when it has none."""
    now = _table(live.get("metadata"))
    owners = _strange_owners(now)
    if len(owners) == len(_list(now.get("ownerReferences"))):
        return None
    return {**live, "metadata": _owned(now, owners)}


def _owned(metadata: Table, owners: list[JsonValue]) -> Table:
    rest = {name: value for name, value in metadata.items() if name != "ownerReferences"}
    return {**rest, **({"ownerReferences": owners} if owners else {})}


def _reference(owner: Key, uid: str) -> Table:
    """Nothing waits for what is owned: the resource's own finalizer does, where it must."""
    mark: Table = {"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": uid}
    return {**mark, "controller": True, "blockOwnerDeletion": False}


def _strange_owners(metadata: Table) -> list[JsonValue]:
    every = _list(metadata.get("ownerReferences"))
    return [o for o in every if not str(_table(o).get("apiVersion")).startswith(f"{CDL_GROUP}/")]


def notes(live: Mapping[str, JsonValue]) -> dict[str, str]:
    """Read the annotations."""
    return {k: str(v) for k, v in _table(_table(live.get("metadata")).get("annotations")).items()}


def serving_seen(live: Mapping[str, JsonValue], ingress: str = "") -> ServingSeen:
    """Read what runs. A status is believed only when it is about the object as it is now.

    Seldon says an address that only the cluster can reach; with an ingress, the one behind it is said instead.
    """
    noted, status, spec = notes(live), _table(live.get("status")), _table(live.get("spec"))
    state = str(status.get("state") or "") if _is_about(live, status) else ""
    phase = PHASE_OF.get(state, ServingPhase.CREATING)
    predictors = [_table(p) for p in _list(spec.get("predictors"))]
    replicas = status.get("replicas")
    return ServingSeen(
        key=noted.get(KEY, ""),
        release=noted.get(RELEASE, ""),
        phase=phase,
        url=_url(live, str(_table(status.get("address")).get("url") or ""), ingress),
        desired=sum(_count(p.get("replicas"), 1) for p in predictors),
        ready=_count(replicas, 0) if state else 0,
        message=str(status.get("description") or "") if state else "",
    )


def _url(live: Mapping[str, JsonValue], said: str, ingress: str) -> str:
    if not said or not ingress:
        return said
    meta = _table(live.get("metadata"))
    prefix = f"/seldon/{meta.get('namespace')}/{meta.get('name')}"
    return f"{ingress.rstrip('/')}{prefix}{urlsplit(said).path.removeprefix(prefix)}"


def _predictor(wish: ServingWish, image: str, trusted: str) -> Table:
    spec, release = wish.spec, wish.release
    unit = spec.model.name
    container: Table = {"name": unit, "image": image, "resources": _resources(spec.predictor.resources)}
    # Not among the graph's parameters: those are the model's too, and it has no business with keys.
    said = {"CDL_APPROVAL_URI": release.attestation, "CDL_APPROVAL_KEYS": trusted}
    container["env"] = [{"name": name, "value": value} for name, value in said.items() if value]
    parameters = {
        "release_uri": release.document,
        "release_digest": release.digest,
        "interface": json.dumps(spec.interface.model_dump(mode="json", by_alias=True), sort_keys=True),
    }
    return {
        # Named by version, so that the next release is another predictor and the old one stays until it is ready.
        "name": f"v{release.version}",
        "traffic": 100,
        "replicas": spec.predictor.replicas,
        "graph": {
            "name": unit,
            "type": "MODEL",
            "parameters": [{"name": n, "value": v, "type": "STRING"} for n, v in parameters.items()],
        },
        "componentSpecs": [{"spec": {"containers": [container]}}],
    }


def _resources(wanted: Resources) -> Table:
    amounts: Table = {}
    if wanted.cpu is not None:
        amounts["cpu"] = f"{wanted.cpu:g}"
    if wanted.memory is not None:
        amounts["memory"] = wanted.memory
    limits = {**amounts, **({"nvidia.com/gpu": str(wanted.gpu)} if wanted.gpu else {})}
    return {k: v for k, v in (("requests", amounts), ("limits", limits)) if v}


def _is_about(live: Mapping[str, JsonValue], status: Table) -> bool:
    """After a change the old state stands until the operator comes by; its generation, or its names, tell."""
    observed = status.get("observedGeneration")
    generation = _table(live.get("metadata")).get("generation")
    if isinstance(observed, int) and isinstance(generation, int):
        return observed >= generation
    name = _table(live.get("metadata")).get("name")
    wanted = [f"{name}-{_table(p).get('name')}-" for p in _list(_table(live.get("spec")).get("predictors"))]
    deployed = list(_table(status.get("deploymentStatus")))
    return all(any(d.startswith(w) for d in deployed) for w in wanted)


def _table(value: JsonValue) -> Table:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _count(value: JsonValue, absent: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else absent
