"""Resources and wishes in few words; whatever a test does not care about has a sensible value."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.meta import API_VERSION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.datapipeline import Source, Step
from cdl.api.v1alpha1.release import MEMBERS
from cdl.reconcile.datapipeline import StepWish

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.ports.signing import Signer

Plain = dict[str, object]

A_SHA = "ab" * 32
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def signer(number: int = 0) -> Signer:
    """Give a real signer whose key is always the same; another number is another key."""
    from .memory.signing import MemorySigner

    return MemorySigner(number)


def owner(kind: str, name: str = "owner") -> Key:
    """Give a key that no other test has."""
    return Key(kind, "default", f"{name}-{next(_numbers)}")


def document(kind: str, name: str, spec: Plain, **metadata: object) -> Plain:
    """Give a resource as a person would write it."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def pipeline_document(name: str = "news", /, **spec: object) -> Plain:
    """Give a DataPipeline of one archive, divided, copied by one step."""
    default: Plain = {
        "sources": [source_document()],
        "split": {"test": 0.25, "seed": 7},
        "steps": [{"name": "clean", "uses": "text/clean"}],
    }
    return document("DataPipeline", name, default | spec)


def source_document(name: str = "articles", **fields: object) -> Plain:
    """Give a source; its uri is a place of MemorySources."""
    return {"name": name, "uri": f"https://example.test/{name}.tar", "unpack": "tar", **fields}


def experiment_document(name: str = "news", /, learning_rate: float = 0.1, **spec: object) -> Plain:
    """Give an Experiment; MemoryTraining finds an accuracy of 1 - learning_rate."""
    default: Plain = {
        "data": {"pipeline": name},
        "code": {
            "archive": {"uri": "https://example.test/model.tar.gz", "sha256": A_SHA},
            "serve": {"uri": "https://example.test/serve.tar.gz", "sha256": A_SHA, "entrypoint": "serve:Model"},
        },
        "config": {
            "hyperparameters": {"learning_rate": learning_rate},
            "searcher": {"name": "single", "metric": "accuracy", "smaller_is_better": False},
        },
        "evaluation": {"gates": [{"metric": "accuracy", "min": 0.5}]},
        "model": {"name": name},
        "approval": {"policy": "Automatic"},
    }
    return document("Experiment", name, default | spec)


def deployment_document(name: str = "news", /, **spec: object) -> Plain:
    """Give a ModelDeployment of the model of the same name."""
    return document("ModelDeployment", name, {"model": {"name": name}} | spec)


def release_document(model: str = "news", version: int = 1, /, **members: object) -> Plain:
    """Give a Release; members that are not named are empty."""
    whole = dict.fromkeys(MEMBERS) | members
    spec: Plain = {"model": model, "version": version, "digest": digest(whole), "members": whole}
    return document("Release", f"{model}-{version}", spec)


def pipeline(name: str = "news", /, **spec: object) -> DataPipeline:
    """Give a DataPipeline as the store would give it."""
    return DataPipeline.read(_stored(pipeline_document(name, **spec)))


def experiment(name: str = "news", /, learning_rate: float = 0.1, **spec: object) -> Experiment:
    """Give an Experiment as the store would give it."""
    return Experiment.read(_stored(experiment_document(name, learning_rate, **spec)))


def deployment(name: str = "news", /, **spec: object) -> ModelDeployment:
    """Give a ModelDeployment as the store would give it."""
    return ModelDeployment.read(_stored(deployment_document(name, **spec)))


def release(model: str = "news", version: int = 1, /, **members: object) -> Release:
    """Give a Release as the store would give it."""
    return Release.read(_stored(release_document(model, version, **members)))


def _stored(plain: Plain) -> Plain:
    metadata = plain["metadata"]
    served = {"uid": "u-1", "generation": 1, "resourceVersion": "1"}
    return plain | {"metadata": {**served, **metadata} if isinstance(metadata, dict) else metadata}


def source(name: str = "articles", **fields: object) -> Source:
    """Give one source."""
    return Source.model_validate_json(_text(source_document(name, **fields)), strict=True)


def step(name: str, **fields: object) -> Step:
    """Give a step that copies its input, unless the fields say otherwise."""
    copy: Plain = {"image": "cdl/steps:test", "cmd": ["sh", "-c", COPY]}
    return Step.model_validate_json(_text({"name": name, **(fields or copy)}), strict=True)


COPY = 'cp -r "${CDL_PFS_ROOT:-/pfs}"/in/. "${CDL_PFS_ROOT:-/pfs}"/out/'


def step_wish(name: str, reads: str = "", **fields: object) -> StepWish:
    """Give the wish for such a step."""
    return StepWish(step(name, **fields), "", (), reads)


def _text(plain: Plain) -> str:
    return json.dumps(plain)


def folder(place: Path, files: dict[str, str]) -> Path:
    """Write files into a new folder below a place."""
    made = place / f"folder-{next(_numbers)}"
    for name, content in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    made.mkdir(parents=True, exist_ok=True)
    return made
