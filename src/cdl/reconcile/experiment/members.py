"""The members of a Release: everything behind a model, each part with its own digest and address."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from cdl.api.canonical import digest

from .retraining import start_of
from .warm import MEMBER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Code, Experiment, GateStatus

    from .seen import CheckpointSeen, Measurement, RunSeen

MEASURED = ("run", "entrypoint", "metrics", "report")
"""What of the member `evaluation` makes it another Release; the rest follows from the report, or tells of a moment."""
ROWS = 100
"""Classes and groups whose figures a Release names; those of more are in its report."""
DOCUMENT = ".json"
"""How the address of a kept document ends."""


def content_digest(members: Mapping[str, JsonValue]) -> str:
    """Stands for what the Release consists of, whichever commit it was asked for by and whoever asked."""
    return digest({name: value for name, value in essence(members).items() if name != "git"})


def essence(members: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Give the members without what follows from the report, and without how gates went at that moment."""
    measured = members.get("evaluation")
    if not isinstance(measured, dict):
        return dict(members)
    return {**members, "evaluation": {name: measured[name] for name in MEASURED if name in measured}}


def with_gates(members: dict[str, JsonValue], gates: tuple[GateStatus, ...], looks: int = 0) -> dict[str, JsonValue]:
    """Note how the gates went before a Release of these members was written, and how often its test side was used."""
    measured = members["evaluation"]
    rows: list[JsonValue] = [
        {"metric": g.metric, "passed": g.passed, **g.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        for g in gates
    ]
    rest = {name: value for name, value in measured.items() if name != "gates"} if isinstance(measured, dict) else {}
    told: dict[str, JsonValue] = {**({"gates": rows} if rows else {}), **({"looks": looks} if looks else {})}
    return {**members, "evaluation": {**rest, **told}}


def release_members(
    resource: Experiment, data: Dataset, run: RunSeen, best: CheckpointSeen, measured: RunSeen, shelf: str
) -> tuple[dict[str, JsonValue], tuple[JsonValue, ...]]:
    """Everything behind the model, and the documents that members name; holds nothing that could change later.

    The address of a document is shelf, digest and suffix: it can be said before the document is kept.
    """
    measurement = measured.measurement
    if measurement is None:
        raise ValueError("a release needs a measurement")
    config, start = dict(resource.spec.config), start_of(resource, data.version)
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
            **({MEMBER: start.plain()} if start is not None else {}),
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
            "metrics": {name: value for name, value in measurement.metrics.items() if isfinite(value)},
            "report": _kept(report, shelf),
            **_figures(measurement),
        },
        "environment": {**environment, "image": _image(config), "lock": _kept(lock, shelf)},
    }
    return members, (config, report, lock)


def _figures(measurement: Measurement) -> dict[str, JsonValue]:
    """Name what people ask for without opening the report, as far as it is known."""
    of_class, of_group = measurement.per_class, measurement.per_group
    told: dict[str, JsonValue] = {
        "intervals": {name: list(bounds) for name, bounds in measurement.intervals.items()},
        "perClass": {name: dict(row) for name, row in of_class.items()} if len(of_class) <= ROWS else {},
        "perGroup": {name: dict(row) for name, row in of_group.items()} if len(of_group) <= ROWS else {},
        "costs": dict(measurement.costs),
    }
    return {name: figures for name, figures in told.items() if figures}


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
