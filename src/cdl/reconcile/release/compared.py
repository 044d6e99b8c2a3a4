"""What a decision about a Release is made beside: its figures, and those of what answers at that moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.release import ApprovalStatus, Production

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdl.api.v1alpha1 import ModelDeployment, Release


def metrics(release: Release) -> dict[str, float]:
    """Give what the evaluation found, as the members say."""
    evaluation = release.spec.members.get("evaluation")
    found = evaluation.get("metrics") if isinstance(evaluation, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float) and _finite(value)}


def production(
    release: Release, deployments: Iterable[ModelDeployment], releases: Iterable[Release]
) -> tuple[Production, ...]:
    """Compare a Release with each other one of its model that answers now; empty when none does."""
    serving: dict[str, list[str]] = {}
    for deployment in deployments:
        if deployment.spec.model.name == release.spec.model and deployment.status.release:
            serving.setdefault(deployment.status.release, []).append(deployment.metadata.name)
    serving.pop(release.metadata.name, None)
    known = {other.metadata.name: other for other in releases}
    mine = metrics(release)
    return tuple(_beside(mine, known.get(name), name, sorted(serving[name])) for name in sorted(serving))


def with_figures(approval: ApprovalStatus, release: Release, beside: tuple[Production, ...]) -> ApprovalStatus:
    """Keep with a decision what was known when it was made."""
    return approval.model_copy(update={"metrics": metrics(release), "production": beside})


def _beside(mine: Mapping[str, float], other: Release | None, name: str, deployments: list[str]) -> Production:
    theirs = metrics(other) if other is not None else {}
    return Production(
        release=name,
        digest=other.spec.digest if other is not None else "",
        deployments=tuple(deployments),
        metrics=theirs,
        differences={metric: mine[metric] - theirs[metric] for metric in mine if metric in theirs},
    )


def _finite(value: float) -> bool:
    return not isinstance(value, bool) and math.isfinite(value)
