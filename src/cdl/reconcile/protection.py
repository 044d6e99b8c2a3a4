"""What must not go because something else needs it: decided here, whoever asks for it to be deleted.

A Release names commits of repositories, so it keeps the DataPipeline that owns them. A ModelDeployment keeps the
Release that it serves. Checkpoints need no keeping: nobody deletes those of a registered version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1.resource import DeletionPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdl.api.v1alpha1 import DataPipeline, Release

NAMED = 5
"""Resources a sentence names before it counts."""


def pinned_by(pipeline: str, releases: Iterable[Release]) -> tuple[str, ...]:
    """Name the Releases that were made from commits of this pipeline of their namespace, the oldest first."""
    found = (r for r in releases if _pipeline_of(r) == pipeline)
    return tuple(r.metadata.name for r in sorted(found, key=lambda r: (r.spec.model, r.spec.version)))


def data_is_kept(resource: DataPipeline, pins: tuple[str, ...]) -> str:
    """Say why the repositories of a pipeline may not go with it; empty: they may, or they stay anyway."""
    if not pins or resource.spec.deletion_policy is DeletionPolicy.ORPHAN:
        return ""
    made = "was made from commits" if len(pins) == 1 else "were made from commits"
    return (
        f"{_listed(pins)} {made} of its repositories; delete {'that Release' if len(pins) == 1 else 'these Releases'}"
        " first, or set spec.deletionPolicy to Orphan, which leaves the repositories where they are"
    )


def release_is_kept(served: tuple[str, ...]) -> str:
    """Say why a Release that these serve may not go; empty: it may."""
    if not served:
        return ""
    return f"it is served by {_listed(served)}; delete what serves it first, or let that serve another Release"


def _pipeline_of(release: Release) -> str:
    data = release.spec.members.get("data")
    return str(data.get("pipeline") or "") if isinstance(data, dict) else ""


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - NAMED
    shown = names[:NAMED] if rest > 1 else names
    return ", ".join(shown) + (f" and {rest} more" if rest > 1 else "")
