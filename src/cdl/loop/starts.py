"""What an Experiment may begin with: the Releases of a model, or a checkpoint at the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.reconcile.experiment.start import StartSeen
from cdl.reconcile.release import counting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cdl.api.v1alpha1 import Experiment, Release

    from .controller import Engines


def starts(engines: Engines, resource: Experiment, releases: Iterable[Release], at: datetime) -> tuple[StartSeen, ...]:
    """Look for what `spec.warmStart.from` names; a checkpoint that was pinned is not asked for again."""
    source, pinned = resource.spec.warm_start.source, resource.status.warm_start
    if source is None:
        return ()
    if source.checkpoint is None:
        return tuple(start_of(r, at) for r in releases if r.spec.model == source.model and not r.metadata.deleting)
    known = pinned is not None and pinned.checkpoint == source.checkpoint
    there = known or engines.training.checkpoint(source.checkpoint) is not None
    return (StartSeen(source.checkpoint),) if there else ()


def start_of(release: Release, at: datetime) -> StartSeen:
    """Say what a run that begins with a Release begins with, and whether it may."""
    kept = release.spec.members.get("checkpoint")
    uuid, digest = (str(kept.get(name, "")) for name in ("uuid", "digest")) if isinstance(kept, dict) else ("", "")
    return StartSeen(uuid, digest, release.metadata.name, release.spec.version, counting(release, at).state)
