"""What the admission server answers about a document alone: nobody has to be asked, and nothing remembered.

Every create waits for one of these answers. kopf's handlers would copy and compare the whole document for it, which
takes several times as long as to judge it; so kopf's server hands these two questions to us as they came.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cdl.loop.reconciler import FINALIZER

from .review import review

if TYPE_CHECKING:
    from collections.abc import Mapping

    Node = dict[str, Any]

GENERATED = "00000"
"""Stands for the letters that an API server adds to a `generateName`, which it does after we were asked."""
UNPROCESSABLE = 422


def judged(asked: Mapping[str, Any]) -> Node:
    """Answer an AdmissionReview: refuse what cannot be meant, and say what may not be meant."""
    return _answer(asked, _verdict(asked["request"]))


def guarded(asked: Mapping[str, Any]) -> Node:
    """Answer an AdmissionReview of a new resource: judge it, and add our finalizer, which saves the loop one write."""
    response = _verdict(asked["request"])
    finalizers = asked["request"]["object"]["metadata"].get("finalizers") or []
    if response["allowed"] and FINALIZER not in finalizers:
        steps = [{"op": "add", "path": "/metadata/finalizers", "value": [*finalizers, FINALIZER]}]
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(steps).encode()).decode()}
    return _answer(asked, response)


def _verdict(request: Mapping[str, Any]) -> Node:
    new, old = request.get("object"), request.get("oldObject")
    if new is None:  # a deletion; it is not asked about
        return {"allowed": True}
    verdict = review(_named(new, request), old)
    if verdict.faults:
        return {"allowed": False, "status": {"message": "; ".join(verdict.faults), "code": UNPROCESSABLE}}
    return {"allowed": True, "warnings": list(verdict.doubts)} if verdict.doubts else {"allowed": True}


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
