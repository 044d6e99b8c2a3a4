"""How a ModelDeployment is looked at and acted upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.modeldeployment import ModelDeploymentStatus
from cdl.reconcile import modeldeployment as pure

from .controller import Controller, Engines
from .experiment import DOCUMENT_ANNOTATION

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.ports.resources import ResourceStore


ModelDeployments = Controller[ModelDeployment, pure.Seen, ModelDeploymentStatus, pure.Action]


def controller(engines: Engines) -> ModelDeployments:
    """Wire the kind to its engines."""

    def look(resource: ModelDeployment, at: datetime) -> pure.Seen:
        releases = engines.resources.list(Release, resource.metadata.namespace)
        return pure.Seen(
            at=at,
            releases=tuple(_seen(r) for r in releases if r.spec.model == resource.spec.model.name),
            serving=engines.serving.look(resource.key),
        )

    def act(resource: ModelDeployment, action: pure.Action) -> None:
        match action:
            case pure.Serve(wish):
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


def _seen(release: Release) -> pure.ReleaseSeen:
    document = release.metadata.annotations.get(DOCUMENT_ANNOTATION, "")
    meta, spec, status = release.metadata, release.spec, release.status
    return pure.ReleaseSeen(
        name=meta.name,
        version=spec.version,
        digest=spec.digest,
        approved=release.approved,
        document=document,
        approved_at=status.approval.at,
        served_by=status.served_by,
        attestation=status.approval.attestation,
    )
