"""The members of a Release: everything behind a model, each part with its own digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import as_stored, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment

    from .seen import CheckpointSeen, RunSeen


def content_digest(members: Mapping[str, JsonValue]) -> str:
    """Stands for what the Release consists of, whichever commit it was asked for by."""
    return digest({name: value for name, value in members.items() if name != "git"})


def release_members(
    resource: Experiment, data: Dataset, run: RunSeen, best: CheckpointSeen, measured: RunSeen
) -> dict[str, JsonValue]:
    """Everything behind the model, each part with its digest; holds nothing that could change later."""
    code, measurement = resource.spec.code, measured.measurement
    if measurement is None or code.archive is None:
        message = "a release needs a measurement and code"
        raise ValueError(message)
    serve = code.serve
    members: dict[str, JsonValue] = {
        "git": {"commit": resource.metadata.revision},
        "code": {
            "model": {"digest": f"sha256:{code.archive.sha256}", "uri": code.archive.uri},
            "serve": {"digest": f"sha256:{serve.sha256}", "uri": serve.uri, "entrypoint": serve.entrypoint}
            if serve
            else None,
        },
        "data": {
            "version": data.version,
            "train": {"repo": data.train.repo, "commit": data.train.commit},
            "test": {"repo": data.test.repo, "commit": data.test.commit},
        },
        "labels": {"snapshot": data.labels.snapshot, "rows": data.labels.rows},
        "transforms": {"digest": data.transform},
        "experiment": {
            "key": run.key,
            "run": run.id,
            "trial": best.trial,
            "metric": best.metric,
            "hparams": dict(best.hparams),
            "config": digest(resource.spec.config),
        },
        "checkpoint": {
            "uuid": best.uuid,
            "uri": best.uri,
            "digest": digest(dict(measurement.files)),
            "files": dict(measurement.files),
        },
        "evaluation": {
            "run": measured.id,
            "entrypoint": resource.spec.evaluation.entrypoint,
            "metrics": dict(measurement.metrics),
            "digest": digest(dict(measurement.raw)),
        },
        "environment": {"digest": digest(dict(measurement.environment)), **measurement.environment},
    }
    return {name: as_stored(member) for name, member in members.items()}
