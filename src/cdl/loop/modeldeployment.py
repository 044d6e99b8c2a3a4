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

    return Controller(ModelDeployment, look, pure.decide, act, lambda resource: resource.status, frozenset({"Release"}))


def _seen(release: Release) -> pure.ReleaseSeen:
    document = release.metadata.annotations.get(DOCUMENT_ANNOTATION, "")
    spec, approved_at = release.spec, release.status.approval.at
    return pure.ReleaseSeen(release.metadata.name, spec.version, spec.digest, release.approved, document, approved_at)
