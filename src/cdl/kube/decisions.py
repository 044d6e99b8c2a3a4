"""Who may decide about a Release, and what else may be changed of one: judged while the API server asks.

Kubernetes' rights end at the resource: whoever may patch a Release may patch every field. So admission looks closer.
A decision needs the right to `approve`, and is signed with the name the API server knows; whoever wrote what a Release
holds does not approve it; nobody changes the spec; and for everything else the right to `update` is needed, which a
validator does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdl.api.meta import GROUP
from cdl.api.rules import RELEASE_STAYS
from cdl.reconcile.origin import among, named
from cdl.reconcile.release import (
    APPROVAL_ROLE,
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    VALIDATOR,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .client import Api

    Document = Mapping[str, Any]

NOTES = frozenset({APPROVED_DIGEST, REJECTED_DIGEST, DECISION_REASON})
SIGNATURE = frozenset({DECIDED_BY, DECIDED_AT})
UNTOUCHED = ("labels", "annotations", "ownerReferences", "finalizers")
APPROVE, UPDATE = "approve", "update"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def refusal(old: Document, new: Document, user: str, may: Callable[[str], bool]) -> str | None:
    """Say in one sentence why a change of a Release is refused; None: it is not. `may` tells of the user's verbs."""
    name = new["metadata"]["name"]
    if old.get("spec") != new.get("spec"):
        # in the words of the webhook that judges every kind: either may be the first to answer
        return f"release {name}: {RELEASE_STAYS.place}: {RELEASE_STAYS.message}"
    if _decides(old, new):
        refused = _wrong_digest(new) or _no_right(old, new, user, may)
        if refused:
            return f"release {name}: {refused}"
    if _rest(old) != _rest(new) and not may(UPDATE):
        return f"release {name}: {user} may note a decision on it and change nothing else"
    return None


def _wrong_digest(new: Document) -> str:
    for note in (APPROVED_DIGEST, REJECTED_DIGEST):
        about = _annotations(new).get(note)
        if about is not None and about != new["spec"]["digest"]:
            return f"{note}: found {about!r}, the release is {new['spec']['digest']}"
    return ""


def _no_right(old: Document, new: Document, user: str, may: Callable[[str], bool]) -> str:
    """Whoever may approve may reject; to approve takes more: another person's work, and the role that was asked for."""
    namespace = new["metadata"]["namespace"]
    if not may(APPROVE):
        return f"{user} may not {APPROVE} releases in namespace {namespace}"
    notes = _annotations(new)
    if notes.get(APPROVED_DIGEST) is None or notes.get(REJECTED_DIGEST) is not None:
        return ""
    role = _annotations(old).get(APPROVAL_ROLE, VALIDATOR)
    wrote = among(named(new["spec"].get("members") or {}), user)
    if wrote:
        return f"{user} is an author of it ({wrote}), so another {role} must approve it"
    if role != VALIDATOR and not may(f"{APPROVE}-as-{role}"):
        return f"{user} may not {APPROVE}-as-{role} releases in namespace {namespace}, and a {role} must approve it"
    return ""


def signed(old: Document, new: Document, user: str, at: str) -> dict[str, str | None]:
    """Give the annotations to write over what was sent: who decided and when, or what was said of that before."""
    if _decides(old, new):
        return {DECIDED_BY: user, DECIDED_AT: at}
    before, after = _annotations(old), _annotations(new)
    return {name: before.get(name) for name in sorted(SIGNATURE) if before.get(name) != after.get(name)}


def rights(api: Api, who: Mapping[str, Any], release: Document) -> Callable[[str], bool]:
    """Ask the API server what somebody may do to a Release.

    Raises, when called:
        PortError: the server did not say.
    """
    meta = release["metadata"]

    def may(verb: str) -> bool:
        asked = {
            "user": who.get("username", ""),
            "uid": who.get("uid", ""),
            "groups": list(who.get("groups") or ()),
            "extra": dict(who.get("extra") or {}),
            "resourceAttributes": {
                "group": GROUP,
                "resource": "releases",
                "verb": verb,
                "namespace": meta["namespace"],
                "name": meta["name"],
            },
        }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
        return bool(api.create(REVIEWS, body)["status"].get("allowed"))

    return may


def _decides(old: Document, new: Document) -> bool:
    before, after = _annotations(old), _annotations(new)
    return any(before.get(name) != after.get(name) for name in NOTES)


def _annotations(document: Document) -> dict[str, str]:
    return dict(document["metadata"].get("annotations") or {})


def _rest(document: Document) -> dict[str, Any]:
    """What of the metadata people write, without the decision."""
    meta = {name: document["metadata"].get(name) or None for name in UNTOUCHED}
    others = {k: v for k, v in _annotations(document).items() if k not in NOTES | SIGNATURE}
    return {**meta, "annotations": others or None}
