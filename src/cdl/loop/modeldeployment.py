"""How a ModelDeployment is looked at and acted upon."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.modeldeployment import ModelDeploymentStatus
from cdl.api.v1alpha1.release import ApprovalState, Voided
from cdl.ports.errors import Conflict
from cdl.reconcile import modeldeployment as pure
from cdl.reconcile.release import sentence, standing

from .controller import Controller, Engines
from .experiment import DOCUMENT_ANNOTATION

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.ports.resources import ResourceStore


EVER = datetime.min.replace(tzinfo=UTC)

ModelDeployments = Controller[ModelDeployment, pure.Seen, ModelDeploymentStatus, pure.Action]


def controller(engines: Engines) -> ModelDeployments:
    """Wire the kind to its engines."""

    def look(resource: ModelDeployment, at: datetime) -> pure.Seen:
        releases = engines.resources.list(Release, resource.metadata.namespace)
        serving, name = engines.serving.look(resource.key), resource.metadata.name
        mine = [r for r in releases if r.spec.model == resource.spec.model.name]
        served = serving.release if serving else ""
        others = (r for r in releases if r not in mine and (r.metadata.name == served or name in r.status.served_by))
        return pure.Seen(
            at=at,
            releases=tuple(_seen(r, at) for r in mine),
            serving=serving,
            others=tuple(_seen(r, at) for r in others),
        )

    def act(resource: ModelDeployment, action: pure.Action) -> None:
        match action:
            case pure.Serve(wish):
                _approved_still(engines.resources, resource, wish.release)
                engines.serving.serve(resource.key, wish)
            case pure.StopServing():
                engines.serving.remove(resource.key)
            case pure.LetServingGo():
                engines.serving.let_go(resource.key)
            case pure.MarkServed(release, serves):
                mark_served(engines.resources, resource.key, release, serves=serves)

    def forget(key: Key) -> None:
        engines.serving.remove(key)
        for release in engines.resources.list(Release, key.namespace):
            if key.name in release.status.served_by:
                mark_served(engines.resources, key, release.metadata.name, serves=False)

    return Controller(
        ModelDeployment,
        look,
        pure.decide,
        act,
        lambda resource: resource.status,
        forget,
        let_go=engines.serving.let_go,
    )


def mark_served(store: ResourceStore, deployment: Key, name: str, *, serves: bool) -> None:
    """Put a ModelDeployment on the list of those that serve a Release, or take it off; a Release may be gone."""
    release = store.get(Release, deployment.namespace, name)
    if release is None:
        return
    others = {other for other in release.status.served_by if other != deployment.name}
    now = sorted(others | {deployment.name}) if serves else sorted(others)
    status = release.status.model_copy(update={"served_by": tuple(now)})
    store.write_status(release.key, status, release.metadata.resource_version)


def _approved_still(store: ResourceStore, deployment: ModelDeployment, chosen: pure.ReleaseSeen) -> None:
    """Look once more, just before it matters, whether a Release is what was chosen.

    Raises:
        Conflict: it was rejected, changed or written anew meanwhile.
    """
    now = store.get(Release, deployment.metadata.namespace, chosen.name)
    if now is None or now.spec.digest != chosen.digest or not _seen(now, chosen.approved_at or EVER).approved:
        message = f"release {chosen.name}: is not approved any more"
        raise Conflict(message)


def _seen(release: Release, at: datetime) -> pure.ReleaseSeen:
    meta, spec, status = release.metadata, release.spec, release.status
    approval = standing(release, at)
    return pure.ReleaseSeen(
        name=meta.name,
        version=spec.version,
        digest=spec.digest,
        approved=approval.state is ApprovalState.APPROVED,
        document=meta.annotations.get(DOCUMENT_ANNOTATION, ""),
        approved_at=approval.at,
        served_by=status.served_by,
        attestation=approval.attestation,
        expired=approval.voided is Voided.EXPIRED,
        standing=sentence(release, approval),
    )
