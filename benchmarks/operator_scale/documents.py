"""The resources that are created, as people would write them."""

from __future__ import annotations

from typing import Any

from cdl.api.meta import API_VERSION

Document = dict[str, Any]
SHA = "ab" * 32


def pushed(namespace: str, name: str) -> Document:
    """Give a DataPipeline that somebody else pushes to: cleaned by one step, checked."""
    spec = {
        "steps": [{"name": "clean", "uses": "text/clean"}],
        "checks": [{"name": "enough", "rows": {"min": 1}}],
    }
    return _document("DataPipeline", namespace, name, spec)


def collected(namespace: str, name: str) -> Document:
    """Give a DataPipeline that fetches an archive: it says so while it does, which is a status more each time."""
    source = {"name": "articles", "uri": f"https://example.test/{name}.tar", "unpack": "tar"}
    spec = {
        "sources": [source],
        "split": {"test": 0.25, "seed": 7},
        "steps": [{"name": "clean", "uses": "text/clean"}],
    }
    return _document("DataPipeline", namespace, name, spec)


def experiment(namespace: str, name: str) -> Document:
    """Give an Experiment over the DataPipeline of the same name, approved by policy."""
    archive = {"uri": "https://example.test/model.tar.gz", "sha256": SHA}
    spec = {
        "data": {"pipeline": name},
        "code": {"archive": archive, "serve": archive | {"entrypoint": "serve:Model"}},
        "config": {
            "hyperparameters": {"learning_rate": 0.1},
            "searcher": {"name": "single", "metric": "accuracy", "smaller_is_better": False},
        },
        "evaluation": {"gates": [{"metric": "accuracy", "min": 0.5}]},
        "model": {"name": name},
        "approval": {"policy": "Automatic"},
    }
    return _document("Experiment", namespace, name, spec)


def deployment(namespace: str, name: str) -> Document:
    """Give a ModelDeployment of the model of the same name."""
    return _document("ModelDeployment", namespace, name, {"model": {"name": name}})


def chain(namespace: str, name: str) -> list[Document]:
    """Give one of each kind, each waiting for the one before it."""
    return [make(namespace, name) for make in (pushed, experiment, deployment)]


def _document(kind: str, namespace: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
