"""Gather what was kept with a Release: each document is checked against its digest while it is read."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

from cdl.api.v1alpha1 import Experiment
from cdl.ports.errors import Rejected
from cdl.reconcile.release.papers import Papers
from cdl.reconcile.release.provenance import EXPERIMENT_LABEL
from cdl.reconcile.release.statement import member

from .attest import ENVELOPE, builder_version

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.experiment import ExperimentStatus
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.resources import ResourceStore


def gathered(resources: ResourceStore, artifacts: ArtifactStore, release: Release) -> Papers:
    """Read everything beside a Release that exports tell of.

    Raises:
        Rejected: a document is missing, or is not what its digest says.
    """
    said = release.status
    signed = (("provenance", said.provenance), ("approval", said.approval.attestation))
    return Papers(
        release=release,
        builder_version=builder_version(),
        report=document(artifacts, release, "evaluation", "report"),
        config=document(artifacts, release, "experiment", "config"),
        lock=document(artifacts, release, "environment", "lock"),
        statements=tuple(_statement(artifacts, release, what, uri) for what, uri in signed if uri),
        experiment=_experiment(resources, release),
    )


def document(artifacts: ArtifactStore, release: Release, *path: str) -> dict[str, JsonValue]:
    """Read the document that a member names by address and digest; empty when it names none.

    Raises:
        Rejected: it is missing, or is not what its digest says.
    """
    said = member(release, *path)
    uri, digest = said.get("uri"), said.get("digest")
    if not isinstance(uri, str) or not isinstance(digest, str):
        return {}
    return read_document(artifacts, f"{release.metadata.name}: {'.'.join(path)}", uri, digest.removeprefix("sha256:"))


def _statement(artifacts: ArtifactStore, release: Release, what: str, uri: str) -> dict[str, JsonValue]:
    """Read a signed envelope, whose name is its digest."""
    return read_document(
        artifacts, f"{release.metadata.name}: {what}", uri, PurePosixPath(uri).name.removesuffix(ENVELOPE)
    )


def read_document(artifacts: ArtifactStore, named: str, uri: str, sha256: str) -> dict[str, JsonValue]:
    """Read a kept JSON object by its address and digest.

    Raises:
        Rejected: it is missing, or is not what its digest says.
    """
    try:
        found = json.loads(artifacts.fetch(uri, sha256).read_bytes())
    except Rejected as error:
        raise Rejected(f"{named}: {error}", error.reason) from error
    except ValueError as error:
        raise Rejected(f"{named}: {uri} holds no JSON") from error
    if not isinstance(found, dict):
        raise Rejected(f"{named}: {uri} holds no JSON object")
    return cast("dict[str, JsonValue]", found)


def _experiment(resources: ResourceStore, release: Release) -> ExperimentStatus | None:
    """What the Experiment says, if that is about this Release and not about a later one."""
    name = release.metadata.labels.get(EXPERIMENT_LABEL, "")
    found = resources.get(Experiment, release.metadata.namespace, name) if name else None
    if found is None or found.status.evaluation is None:
        return None
    measured = member(release, "evaluation").get("run")
    return found.status if measured and found.status.evaluation.run == measured else None
