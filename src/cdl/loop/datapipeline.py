"""How a DataPipeline is looked at and acted upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus, Side
from cdl.ports.errors import Conflict, Rejected
from cdl.reconcile import datapipeline as pure
from cdl.reconcile.protection import pinned_by

from .annotating import Annotating
from .beside import Beside
from .controller import Controller, Engines
from .labels import Labelling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.api.meta import Key
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.resources import ResourceStore


DataPipelines = Controller[DataPipeline, pure.Seen, DataPipelineStatus, pure.Action]


def controller(engines: Engines) -> DataPipelines:
    """Wire the kind to its engines."""
    labelling = Labelling(engines.data, engines.labels)
    annotating = Annotating(engines.data, engines.labelled, engines.people)
    beside = Beside(engines.raw)

    def look(resource: DataPipeline, at: datetime) -> pure.Seen:
        data = engines.data.look(resource.key, resource.spec)
        return pure.Seen(
            sides=data.sides,
            programs=data.programs,
            steps=data.steps,
            manifests=data.manifests,
            strays=data.strays,
            # asked for last, and only if it can matter: what is released up to now is safe
            pinned=frozenset(_pinned(engines.resources, resource.metadata.namespace)) if data.strays else frozenset(),
            overlap=data.overlap,
            raws=beside.look(resource),
            shelf=_shelf(engines.artifacts, resource),
            kept=_kept(engines.artifacts, resource),
            sources=engines.sources.look(resource.spec.sources),
            pinned_by=_held(engines.resources, resource),
            labels=labelling.look(resource),
            labelling=annotating.look(resource, data.manifests, _borrowed(engines.resources, resource)),
            at=at,
        )

    def act(resource: DataPipeline, action: pure.Action) -> None:
        match action:
            case pure.CollectSource(source, due):
                engines.sources.collect(source, due)
            case pure.Ingest():
                _ingest(engines, resource, action)
            case pure.EnsureStep(side, wish, reads, like):
                engines.data.ensure_step(resource.key, side, wish, reads, like)
            case pure.RemoveStray(name):
                engines.data.remove_stray(resource.key, name)
            case pure.KeepReport(document, page):
                engines.artifacts.keep(document, pure.DOCUMENT)
                engines.artifacts.keep(page, pure.PAGE)
            case pure.KeepLabels():
                labelling.keep(resource.key, action)
            case pure.EnsureRaw() | pure.RemoveRaw():
                beside.act(resource, action)
            case pure.ForgetData():
                beside.let_go(resource)
                annotating.let_go(resource)
                engines.data.forget(resource.key)
            case _:
                annotating.act(resource, action)

    def forget(key: Key) -> None:
        _refuse_pinned(engines.resources, key)
        beside.forget(key)
        annotating.forget(key)
        engines.data.forget(key)

    slow = (pure.CollectSource, pure.Ingest, pure.KeepLabels, pure.AddTasks, pure.Arrange)
    return Controller(DataPipeline, look, pure.decide, act, lambda resource: resource.status, forget, slow)


def _ingest(engines: Engines, resource: DataPipeline, wanted: pure.Ingest) -> None:
    folder = engines.sources.lay_out(wanted.sources, wanted.split, wanted.side)
    if pure.ingest_key(resource.spec, engines.sources.look(wanted.sources)) != wanted.key:
        # another DataPipeline with the same source fetched it in between
        raise Conflict(f"{resource.key}: its sources were fetched again while their files were laid out")
    engines.data.ingest(resource.key, wanted.side, wanted.key, folder)


def _borrowed(store: ResourceStore, resource: DataPipeline) -> str:
    """Name the project where people label for the DataPipeline that this one is a copy of."""
    if not resource.metadata.like or not pure.is_asking(resource):
        return ""
    other = store.get(DataPipeline, resource.metadata.like, resource.metadata.name)
    return other.status.labelling.project if other is not None and other.status.labelling is not None else ""


def _shelf(artifacts: ArtifactStore, resource: DataPipeline) -> str:
    """Without checks there is no report to keep."""
    return artifacts.shelf if resource.spec.checks else ""


def _kept(artifacts: ArtifactStore, resource: DataPipeline) -> frozenset[str]:
    """Say what there is of the report that the status names."""
    named = resource.status.checked
    if named is None or not resource.spec.checks:
        return frozenset()
    return frozenset(place for place in (named.page, named.document) if any(True for _ in artifacts.hashes(place)))


def _refuse_pinned(store: ResourceStore, key: Key) -> None:
    pins = _pins(store, key)
    if pins:
        message = f"{key}: {', '.join(pins)} were made from its repositories, so they stay; delete these Releases first"
        raise Rejected(message, Reason.PINNED_BY_RELEASE)


def _held(store: ResourceStore, resource: DataPipeline) -> tuple[str, ...]:
    """Only what is to go is asked what holds it."""
    return _pins(store, resource.key) if resource.metadata.deleting else ()


def _pins(store: ResourceStore, pipeline: Key) -> tuple[str, ...]:
    return pinned_by(pipeline.name, store.list(Release, pipeline.namespace))


def _pinned(store: ResourceStore, namespace: str) -> Iterator[str]:
    """Repositories that somebody still needs, whatever a DataPipeline's steps are called by now.

    A Release names commits for good; an Experiment those of the dataset it works with, until it takes the next one.
    With `retrain.onData: false`, which somebody may say at any time, it never does.
    """
    for release in store.list(Release, namespace):
        yield from _repos(release.spec.members.get("data"))
    for experiment in store.list(Experiment, namespace):
        held = experiment.status.data
        if held is not None:
            yield from (held.train.repo, held.test.repo)


def _repos(data: JsonValue) -> Iterator[str]:
    for side in Side:
        place = data.get(side) if isinstance(data, dict) else None
        repo = place.get("repo") if isinstance(place, dict) else None
        if isinstance(repo, str):
            yield repo
