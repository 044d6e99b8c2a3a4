"""What a gate compares with: the Release that answers, and the reports of evaluations that were kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import Experiment, ModelDeployment, Release
from cdl.reconcile import experiment as pure

from .papers import document, read_document

if TYPE_CHECKING:
    from .controller import Engines


def with_compared(engines: Engines, resource: Experiment, seen: pure.Seen) -> pure.Seen:
    """Look at production and at the report of a Release that may be taken, as far as a gate asks for them."""
    if seen.dataset is not None and any(run.looked_at == seen.dataset.test.commit for run in seen.runs):
        seen = replace(seen, looks_elsewhere=_looks_elsewhere(engines, resource, seen.dataset.test.commit))
    wanted = pure.wants_report(resource, seen)
    if wanted is not None and wanted[1] not in seen.reports:
        uri, digest = wanted
        found = read_document(engines.artifacts, "evaluation.report", uri, digest.removeprefix("sha256:"))
        seen = replace(seen, reports={**seen.reports, digest: found})
    if seen.production is None and pure.wants_production(resource, seen):
        seen = replace(seen, production=_production(engines, resource))
    return seen


def _looks_elsewhere(engines: Engines, resource: Experiment, commit: str) -> int:
    """Count what the other Experiments of the namespace say of this test commit."""
    others = engines.resources.list(Experiment, resource.metadata.namespace)
    return sum(
        other.status.evaluation.own_looks or 0
        for other in others
        if other.key != resource.key
        and other.status.evaluation is not None
        and other.status.data is not None
        and other.status.data.test.commit == commit
    )


def _production(engines: Engines, resource: Experiment) -> pure.ProductionSeen | None:
    """Give the newest Release of the model that a ModelDeployment of this namespace answers with."""
    namespace, model = resource.metadata.namespace, resource.spec.model.name
    deployments = engines.resources.list(ModelDeployment, namespace)
    serving = {d.status.release for d in deployments if d.spec.model.name == model and d.status.release}
    found = [r for r in engines.resources.list(Release, namespace) if r.metadata.name in serving]
    newest = max(found, key=lambda r: r.spec.version, default=None)
    if newest is None:
        return None
    return pure.ProductionSeen(
        newest.metadata.name,
        newest.spec.digest,
        newest.spec.members,
        document(engines.artifacts, newest, "experiment", "config"),
        document(engines.artifacts, newest, "evaluation", "report"),
    )
