"""The members of a Release: everything behind a model, each part with its own digest and address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Code, Experiment

    from .seen import CheckpointSeen, RunSeen

DOCUMENT = ".json"
"""How the address of a kept document ends."""


def content_digest(members: Mapping[str, JsonValue]) -> str:
    """Stands for what the Release consists of, whichever commit it was asked for by and whoever asked."""
    return digest({name: value for name, value in members.items() if name != "git"})


def release_members(
    resource: Experiment, data: Dataset, run: RunSeen, best: CheckpointSeen, measured: RunSeen, shelf: str
) -> tuple[dict[str, JsonValue], tuple[JsonValue, ...]]:
    """Everything behind the model, and the documents that members name; holds nothing that could change later.

    The address of a document is shelf, digest and suffix: it can be said before the document is kept.
    """
    measurement = measured.measurement
    if measurement is None:
        raise ValueError("a release needs a measurement")
    config = dict(resource.spec.config)
    report: JsonValue = dict(measurement.raw)
    environment = dict(measurement.environment)
    lock: JsonValue = environment.pop("lock", {})
    members: dict[str, JsonValue] = {
        "git": {"commit": resource.metadata.revision, "authors": list(resource.metadata.authors)},
        "code": _code(resource.spec.code),
        "data": data_member(resource, data),
        "labels": {"snapshot": data.labels.snapshot, "rows": data.labels.rows},
        "transforms": {"digest": data.transform},
        "experiment": {
            "key": run.key,
            "run": run.id,
            "trial": best.trial,
            "seed": run.seed,
            "metric": best.metric,
            "hparams": dict(best.hparams),
            "config": _kept(config, shelf),
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
            "report": _kept(report, shelf),
        },
        "environment": {**environment, "image": _image(config), "lock": _kept(lock, shelf)},
    }
    return members, (config, report, lock)


def data_member(resource: Experiment, data: Dataset) -> JsonValue:
    """Say which data, and where it lies."""
    return {
        "pipeline": resource.spec.data.pipeline,
        "version": data.version,
        "train": {"repo": data.train.repo, "commit": data.train.commit},
        "test": {"repo": data.test.repo, "commit": data.test.commit},
    }


def serving_member(code: Code) -> JsonValue:
    """Say which code answers requests; none where nothing is to be served."""
    serve = code.serve
    return {"digest": f"sha256:{serve.sha256}", "uri": serve.uri, "entrypoint": serve.entrypoint} if serve else None


def _code(code: Code) -> JsonValue:
    archive = code.archive
    if archive is None:
        raise ValueError("a release needs code")
    return {"model": {"digest": f"sha256:{archive.sha256}", "uri": archive.uri}, "serve": serving_member(code)}


def _kept(document: JsonValue, shelf: str) -> JsonValue:
    found = digest(document)
    return {"digest": found, "uri": f"{shelf}{found.removeprefix('sha256:')}{DOCUMENT}"}


def _image(config: dict[str, JsonValue]) -> JsonValue:
    """The image that trials were asked to run in; none where the engine's own choice was good enough."""
    environment = config.get("environment")
    return environment.get("image") if isinstance(environment, dict) else None
