"""How a DataPipeline is looked at and acted upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus
from cdl.reconcile import datapipeline as pure

from .controller import Controller, Engines

if TYPE_CHECKING:
    from datetime import datetime


DataPipelines = Controller[DataPipeline, pure.Seen, DataPipelineStatus, pure.Action]


def controller(engines: Engines) -> DataPipelines:
    """Wire the kind to its engines."""

    def look(resource: DataPipeline, at: datetime) -> pure.Seen:
        data = engines.data.look(resource.key, resource.spec)
        return pure.Seen(
            sides=data.sides,
            programs=data.programs,
            steps=data.steps,
            manifests=data.manifests,
            sources=engines.sources.look(resource.spec.sources),
            at=at,
        )

    def act(resource: DataPipeline, action: pure.Action) -> None:
        match action:
            case pure.CollectSource(source):
                engines.sources.collect(source)
            case pure.Ingest(side, key, sources, split):
                folder = engines.sources.lay_out(sources, split, side)
                engines.data.ingest(resource.key, side, key, folder)
            case pure.EnsureStep(side, wish, reads):
                engines.data.ensure_step(resource.key, side, wish, reads)
            case pure.ForgetData():
                engines.data.forget(resource.key)

    return Controller(DataPipeline, look, pure.decide, act, lambda resource: resource.status)
