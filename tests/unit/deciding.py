"""What a validator does in a world: leaves a note as admission signs it, which the operator takes over."""

from __future__ import annotations

from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.loop.release import AT_ONCE, Releases
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, DECISION_REASON, REJECTED_DIGEST


def note(world, name="news-1", namespace="default", **annotations):
    """Write annotations on a Release; None takes one away."""
    there = world.resources.get(Release, namespace, name)
    if hasattr(world.resources, "change"):
        return world.resources.change(there.key, {"metadata": {"annotations": annotations}})
    wanted = {k: v for k, v in {**there.metadata.annotations, **annotations}.items() if v is not None}
    meta = there.metadata.model_copy(update={"annotations": wanted})
    return world.resources.put(there.model_copy(update={"metadata": meta}))


def attend(world, name="news-1", namespace="default"):
    """Let the operator look at a Release until it has nothing more to say; give the Release."""
    drive = Releases(world.engines, lambda: world.now)
    while drive.turn(namespace, name) == AT_ONCE:
        pass
    return world.resources.get(Release, namespace, name)


def leave(world, name="news-1", *, approve=True, by="maria", reason="looks right", namespace="default"):
    """Note a decision, as admission signs it now."""
    digest = world.resources.get(Release, namespace, name).spec.digest
    wanted, other = (APPROVED_DIGEST, REJECTED_DIGEST) if approve else (REJECTED_DIGEST, APPROVED_DIGEST)
    signed = {DECISION_REASON: reason, DECIDED_BY: by, DECIDED_AT: world.now.isoformat()}
    return note(world, name, namespace, **{wanted: digest, other: None}, **signed)


def decide(world, name="news-1", *, approve=True, by="maria", reason="looks right", namespace="default"):
    """Note a decision and let the operator take it over; give what the status says then."""
    leave(world, name, approve=approve, by=by, reason=reason, namespace=namespace)
    return attend(world, name, namespace).status.approval


def forge(world, name="news-1", namespace="default", **changed):
    """Write an approval straight into the status, as nobody but the operator may."""
    there = world.resources.get(Release, namespace, name)
    said = {"state": ApprovalState.APPROVED, "by": "mallory", "at": world.now, "digest": there.spec.digest}
    approval = there.status.approval.model_copy(update=said | changed)
    status = there.status.model_copy(update={"approval": approval})
    world.resources.write_status(there.key, status, there.metadata.resource_version)
