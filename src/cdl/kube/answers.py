"""What the admission server answers about a document alone: nobody has to be asked, and nothing remembered.

Every wish waits for one of these answers. kopf's handlers would copy and compare the whole document for it, which
takes several times as long as to judge it; so kopf's server hands these two questions to us as they came.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cdl.api.meta import APPLIED_BY_ANNOTATION
from cdl.loop.reconciler import FINALIZER
from cdl.reconcile.protection import release_is_kept

from .review import review

if TYPE_CHECKING:
    from collections.abc import Mapping

    Node = dict[str, Any]

GENERATED = "00000"
"""Stands for the letters that an API server adds to a `generateName`, which it does after we were asked."""
UNPROCESSABLE, CONFLICT = 422, 409
SWEEPERS = frozenset({"system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager"})
"""Who empties a namespace that somebody deleted."""


def judged(asked: Mapping[str, Any]) -> Node:
    """Answer an AdmissionReview: refuse what cannot be meant, and say what may not be meant."""
    return _answer(asked, _verdict(asked["request"]))


def guarded(asked: Mapping[str, Any]) -> Node:
    """Answer an AdmissionReview of a resource that people write: judge it, and say on it who wishes for it.

    A new one gets our finalizer too, which saves the loop one write.
    """
    request = asked["request"]
    response = _verdict(request)
    if response["allowed"] and request.get("object") is not None:
        notes = dict(request["object"]["metadata"].get("annotations") or {})
        steps = [*_finalizer(request), *_signature(notes, _wisher(request))]
        if steps:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(steps).encode()).decode()}
    return _answer(asked, response)


def _finalizer(request: Mapping[str, Any]) -> list[Node]:
    finalizers = request["object"]["metadata"].get("finalizers") or []
    if request.get("oldObject") is not None or FINALIZER in finalizers:
        return []
    return [{"op": "add", "path": "/metadata/finalizers", "value": [*finalizers, FINALIZER]}]


def _wisher(request: Mapping[str, Any]) -> str | None:
    """Who wishes for this spec: who sends it when it is new, else whoever it was before."""
    new, old = request["object"], request.get("oldObject")
    if old is not None and old.get("spec") == new.get("spec"):
        return (old["metadata"].get("annotations") or {}).get(APPLIED_BY_ANNOTATION)
    return str((request.get("userInfo") or {}).get("username") or "") or None


def _signature(notes: Mapping[str, str], who: str | None) -> list[Node]:
    """Write a name over whatever was sent."""
    if notes.get(APPLIED_BY_ANNOTATION) == who:
        return []
    path = f"/metadata/annotations/{APPLIED_BY_ANNOTATION.replace('/', '~1')}"
    if who is None:
        return [{"op": "remove", "path": path}]
    empty = [] if notes else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    return [*empty, {"op": "add", "path": path, "value": who}]


def _verdict(request: Mapping[str, Any]) -> Node:
    new, old = request.get("object"), request.get("oldObject")
    if new is None:
        return _departure(request)
    verdict = review(_named(new, request), old)
    if verdict.faults:
        return {"allowed": False, "status": {"message": "; ".join(verdict.faults), "code": UNPROCESSABLE}}
    return {"allowed": True, "warnings": list(verdict.doubts)} if verdict.doubts else {"allowed": True}


def _departure(request: Mapping[str, Any]) -> Node:
    """A Release that is served stays, unless everything around it goes too; of other deletions nobody asks."""
    if (request.get("userInfo") or {}).get("username") in SWEEPERS:
        return {"allowed": True}
    kept = release_is_kept(tuple(((request.get("oldObject") or {}).get("status") or {}).get("servedBy") or ()))
    if not kept:
        return {"allowed": True}
    return {"allowed": False, "status": {"message": f"Release {request.get('name')}: {kept}", "code": CONFLICT}}


def _named(document: Node, request: Mapping[str, Any]) -> Node:
    """Give a new document the name it is going to have, or one that is as good."""
    metadata = document.get("metadata") or {}
    if metadata.get("name"):
        return document
    name = request.get("name") or f"{metadata.get('generateName', '')}{GENERATED}"
    return {**document, "metadata": {**metadata, "name": name}}


def _answer(asked: Mapping[str, Any], response: Node) -> Node:
    return {
        "apiVersion": asked["apiVersion"],
        "kind": asked["kind"],
        "response": {"uid": asked["request"]["uid"], **response},
    }
