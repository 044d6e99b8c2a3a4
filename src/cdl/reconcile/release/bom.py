"""A Release as a bill of materials: CycloneDX 1.6, with a model card for the model."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import quote

from .names import bare, uuid_of
from .statement import member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from .papers import Papers
    from .statement import Table

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MODEL = "model"


def bill_of_materials(papers: Papers) -> Table:
    """List the model, its files, the data, the code and every package it was measured with.

    Equal Releases have equal bills, down to the serial number.
    """
    release = papers.release
    made = release.metadata.creation_timestamp
    components: list[JsonValue] = [*_data(papers), *_code(papers), *_environment(papers)]
    metadata: Table = {
        "timestamp": made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if made else None,
        "tools": {"components": [{"type": "application", "name": "cdl", "version": papers.builder_version}]},
        "component": _model(papers),
        "properties": [_property("release", release.metadata.name), _property("digest", release.spec.digest)],
    }
    below: list[JsonValue] = [part["bom-ref"] for part in components if isinstance(part, dict)]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid_of(release.metadata.name, release.spec.digest)}",
        "version": 1,
        "metadata": _known(metadata),
        "components": components,
        "dependencies": [{"ref": MODEL, "dependsOn": below}],
    }


def _model(papers: Papers) -> Table:
    release = papers.release
    files = member(release, "checkpoint", "files")
    inside: list[JsonValue] = [
        {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": _hashes(files[name])}
        for name in sorted(files)
    ]
    kept: list[JsonValue] = [
        {"type": "attestation", "url": uri, "comment": f"signed statement: {name}"} for name, uri in papers.addresses()
    ]
    where = member(release, "checkpoint").get("uri")
    if where:
        kept.insert(0, {"type": "distribution", "url": where, "comment": "the checkpoint"})
    return _known(
        {
            "type": "machine-learning-model",
            "bom-ref": MODEL,
            "name": release.spec.model,
            "version": str(release.spec.version),
            "components": inside,
            "externalReferences": kept,
            "modelCard": _card(papers),
            "properties": [_property("approval", release.status.approval.state.value)],
        }
    )


def _card(papers: Papers) -> Table:
    parameters = member(papers.release, "experiment", "hparams")
    measured: list[JsonValue] = [{"type": name, "value": repr(v)} for name, v in sorted(papers.metrics.items())]
    for label, row in sorted(papers.per_class.items()):
        measured += [{"type": name, "value": repr(v), "slice": label} for name, v in sorted(row.items())]
    sides: list[JsonValue] = [{"ref": f"data:{side}"} for side in ("train", "test")]
    return {
        "modelParameters": {"approach": {"type": "supervised"}, "datasets": sides},
        "quantitativeAnalysis": {"performanceMetrics": measured},
        "considerations": {
            "technicalLimitations": ["The figures hold for data like the test side; about other data they say nothing."]
        },
        "properties": [_property(f"hyperparameter:{name}", _text(value)) for name, value in sorted(parameters.items())],
    }


def _data(papers: Papers) -> Iterator[Table]:
    release = papers.release
    pipeline = _text(member(release, "data").get("pipeline"))
    for side in ("train", "test"):
        said = member(release, "data", side)
        where = f"pfs://{_text(said.get('repo'))}@{_text(said.get('commit'))}"
        yield {
            "type": "data",
            "bom-ref": f"data:{side}",
            "name": f"{pipeline}/{side}",
            "version": _text(said.get("commit")),
            "data": [{"type": "dataset", "name": f"{pipeline}/{side}", "contents": {"url": where}}],
        }
    labels = member(release, "labels")
    yield {
        "type": "data",
        "bom-ref": "data:labels",
        "name": f"{pipeline}/labels",
        "version": _text(labels.get("snapshot")),
        "data": [{"type": "dataset", "name": f"{pipeline}/labels", "description": f"{_text(labels.get('rows'))} rows"}],
    }
    config = member(release, "experiment", "config")
    if config:
        yield _document("configuration", config) | {"type": "data", "data": [{"type": "configuration"}]}


def _code(papers: Papers) -> Iterator[Table]:
    for side in ("model", "serve"):
        said = member(papers.release, "code", side)
        if said:
            yield _document(f"code:{side}", said) | {"type": "file", "description": f"tar.gz of the {side} code"}


def _document(name: str, said: Table) -> Table:
    kept: list[JsonValue] = [{"type": "distribution", "url": said.get("uri")}] if said.get("uri") else []
    return _known({"bom-ref": name, "name": name, "hashes": _hashes(said.get("digest")), "externalReferences": kept})


def _environment(papers: Papers) -> Iterator[Table]:
    found = member(papers.release, "environment")
    if found.get("python"):
        name = _text(papers.lock.get("implementation")) or "Python"
        version = _text(found["python"])
        yield {"type": "platform", "bom-ref": "python", "name": name, "version": version}
    if found.get("image"):
        yield {"type": "container", "bom-ref": "image", "name": _text(found["image"])}
    named = {name: _text(version) for name, version in member(papers.release, "environment", "packages").items()}
    for name, version in sorted((papers.packages or named).items()):
        at = f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version, safe='')}"
        yield {"type": "library", "bom-ref": at, "name": name, "version": version, "purl": at}


def _hashes(digest: JsonValue) -> JsonValue:
    content = bare(digest)
    return [{"alg": "SHA-256", "content": content}] if content else []


def _property(name: str, value: str) -> JsonValue:
    return {"name": f"cdl:{name}", "value": value}


def _text(value: JsonValue) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _known(said: Table) -> Table:
    return {name: value for name, value in said.items() if value not in (None, "", [], {})}
