"""Statements about Releases, signed and kept: the same statement is the same file, however often it is made."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import TYPE_CHECKING

from cdl.api.canonical import canonical
from cdl.reconcile.release.approval import approval as approval_statement
from cdl.reconcile.release.provenance import provenance as provenance_statement
from cdl.reconcile.release.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.release import ApprovalStatus
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.signing import Signer

ENVELOPE = ".dsse.json"
"""How the address of a signed statement ends."""


def attest(signer: Signer, artifacts: ArtifactStore, release: Release, approval: ApprovalStatus) -> str:
    """Keep what was decided about a Release, signed, and give its address.

    Raises:
        ValueError: the decision is about other members.
    """
    return _kept(signer, artifacts, approval_statement(release, approval))


def attest_provenance(signer: Signer, artifacts: ArtifactStore, release: Release) -> str:
    """Keep what a Release was made from, signed, and give its address."""
    return _kept(signer, artifacts, provenance_statement(release, builder_version()))


def _kept(signer: Signer, artifacts: ArtifactStore, statement: object) -> str:
    envelope = signer.sign(canonical(statement), PAYLOAD_TYPE)
    return artifacts.keep(canonical(envelope), ENVELOPE)


@cache
def builder_version() -> str:
    """Name the cdl that runs here."""
    try:
        return importlib.metadata.version("cdl")
    except importlib.metadata.PackageNotFoundError:  # run from a folder nobody installed
        return "unknown"
