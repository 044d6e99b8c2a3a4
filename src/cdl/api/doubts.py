"""What is allowed and yet probably not meant: `cdl validate` and `kubectl apply` say so and go on."""

from __future__ import annotations

from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from .duration import length
from .meta import REQUESTED_AT_ANNOTATION, REVISION_ANNOTATION
from .v1alpha1 import DataPipeline, Experiment, ModelDeployment
from .v1alpha1.experiment import ApprovalPolicy
from .v1alpha1.modeldeployment import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .v1alpha1 import Resource
    from .v1alpha1.resource import Spec

SHORTEST_INTERVAL = timedelta(seconds=10)
ANNOTATIONS = (REQUESTED_AT_ANNOTATION, REVISION_ANNOTATION)
"""What people write and cdl reads."""


def doubts(resource: Resource) -> tuple[str, ...]:
    """Give a sentence for each thing a person may not have meant, with the field it is about."""
    match resource:
        case DataPipeline():
            return (*_of_all(resource, resource.spec), *_of_pipeline(resource))
        case Experiment():
            return (*_of_all(resource, resource.spec), *_of_experiment(resource))
        case ModelDeployment():
            return (*_of_all(resource, resource.spec), *_of_deployment(resource))
        case _:
            return ()


def _of_all(resource: Resource, spec: Spec) -> Iterator[str]:
    for name in sorted(resource.metadata.annotations):
        meant = get_close_matches(name, ANNOTATIONS, n=1, cutoff=0.85)
        if meant and name not in ANNOTATIONS:
            yield f"metadata.annotations: nobody reads {name}; it is called {meant[0]}"
    if length(spec.interval) < SHORTEST_INTERVAL:
        yield f"spec.interval: {spec.interval} asks the engines very often, and changes are noticed without it"


def _of_pipeline(resource: DataPipeline) -> Iterator[str]:
    spec = resource.spec
    for number, source in enumerate(spec.sources):
        if source.sha256 is None and source.uri.startswith("http") and not spec.schedule:
            yield f"spec.sources[{number}]: without sha256, whatever is fetched is taken for the data"
    if spec.schedule and not spec.sources:
        yield "spec.schedule: not used, because there are no sources to fetch again"
    elif spec.schedule and not any(source.may_change for source in spec.sources):
        yield "spec.schedule: nothing can change, because every source is pinned by its sha256 or its git commit"
    if spec.split is not None and spec.sources and all(s.side is not None for s in spec.sources):
        yield "spec.split: not used, because every source names its side"


def _of_experiment(resource: Experiment) -> Iterator[str]:
    spec = resource.spec
    if not spec.evaluation.gates:
        automatic = spec.approval.policy is ApprovalPolicy.AUTOMATIC
        then = "released and approved unseen" if automatic else "released, however bad it is"
        yield f"spec.evaluation.gates: there are none, so whatever is trained is {then}"
    for name, gate in ((f"spec.evaluation.gates[{n}]", g) for n, g in enumerate(spec.evaluation.gates)):
        if gate.min is not None and gate.max is not None and gate.min > gate.max:
            yield f"{name}: min {gate.min} is greater than max {gate.max}, so nothing can pass"
    if spec.code.serve is None:
        yield "spec.code.serve: without it a Release has nothing that answers predictions"


def _of_deployment(resource: ModelDeployment) -> Iterator[str]:
    spec = resource.spec
    if not spec.predictor.protocols:
        yield "spec.predictor.protocols: empty, so no client can speak to it"
    if spec.rollout.strategy is Strategy.RECREATE and spec.predictor.replicas > 1:
        yield "spec.rollout.strategy: recreate stops all replicas before the new ones start"
