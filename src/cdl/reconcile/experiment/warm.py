"""What a run begins with: chosen when it is first wished for, and pinned from then on.

The pin belongs to a wish: code, configuration, data and warm start as written. It is read from the status, and where
that was lost from the run itself, whose key ends in it. So a source that is rejected, deleted or followed by a newer
Release changes nothing about a run that was begun; new data or a new configuration is a new wish and chooses anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.release import ApprovalState
from cdl.api.v1alpha1.warmstart import WarmPolicy, WarmStartStatus
from cdl.reconcile.summary import busy, stalled

from .start import PIN, Start, StartSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import JsonValue

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.experiment import Experiment
    from cdl.api.v1alpha1.warmstart import WarmSource

    from .seen import Seen

MEMBER = "warmStart"
"""What the experiment of a Release says of it."""


def asked(resource: Experiment) -> list[JsonValue]:
    """Give what the key of a run holds of it; nothing where nothing is asked for, as keys were before."""
    wanted = resource.spec.warm_start
    if wanted.policy is WarmPolicy.NONE:
        return []
    return [wanted.model_dump(mode="json", by_alias=True)]


def kept(resource: Experiment, wish: str) -> Start | None:
    """Give what the status has pinned for this wish."""
    pinned = resource.status.warm_start
    if resource.spec.warm_start.policy is WarmPolicy.NONE or pinned is None or pinned.wish != wish:
        return None
    return _start(resource, StartSeen(pinned.checkpoint, pinned.digest, pinned.release))


def begun(resource: Experiment, seen: Seen, wish: str) -> Start | Condition | None:
    """Say what the run of a wish begins with; a condition: it cannot begin yet; None: nothing is asked for."""
    wanted = resource.spec.warm_start
    if wanted.policy is WarmPolicy.NONE or wanted.source is None:
        return None
    pinned = kept(resource, wish) or _of_a_run(resource, seen, wish)
    if pinned is not None:
        return pinned
    found = _chosen(wanted.source, seen.starts)
    if found is None:
        if wanted.source.version is None and wanted.source.model == resource.spec.model.name:
            return _start(resource, StartSeen(""))
        return busy(Reason.WAITING_FOR_WEIGHTS, f"warmStart.from: {_missing(wanted.source)}")
    if found.approval is ApprovalState.REJECTED:
        return stalled(Reason.WAITING_FOR_WEIGHTS, f"warmStart.from: release {found.release} was rejected")
    return _start(resource, found)


def pinned(start: Start, wish: str) -> WarmStartStatus:
    """Write the pin as a status has it."""
    return WarmStartStatus(wish=wish, release=start.release, checkpoint=start.checkpoint, digest=start.digest)


def start_behind(members: Mapping[str, JsonValue]) -> Start | None:
    """Read from a Release's members what its run began with; None: from scratch."""
    experiment = members.get("experiment")
    told = experiment.get(MEMBER) if isinstance(experiment, dict) else None
    if not isinstance(told, dict):
        return None
    freeze = told.get("freeze")
    return Start(
        policy=WarmPolicy(str(told.get("policy"))),
        checkpoint=str(told.get("checkpoint")),
        digest=str(told.get("digest")),
        release=str(told.get("release")),
        freeze=tuple(str(layer) for layer in freeze) if isinstance(freeze, list) else (),
    )


def _of_a_run(resource: Experiment, seen: Seen, wish: str) -> Start | None:
    """Give what the newest run of this wish began with, where it is still known."""
    begun_with = [r.key.removeprefix(f"{wish}-")[:PIN] for r in seen.runs if r.key.startswith(f"{wish}-")]
    known = {s.pin: s for s in (_start(resource, one) for one in (*seen.starts, StartSeen("")))}
    return next((known[pin] for pin in reversed(begun_with) if pin in known), None)


def _chosen(source: WarmSource, starts: Iterable[StartSeen]) -> StartSeen | None:
    if source.checkpoint is not None:
        return next((s for s in starts if s.checkpoint == source.checkpoint), None)
    if source.version is not None:
        return next((s for s in starts if s.version == source.version), None)
    approved = (s for s in starts if s.approval is ApprovalState.APPROVED)
    return max(approved, key=lambda s: s.version, default=None)


def _missing(source: WarmSource) -> str:
    if source.checkpoint is not None:
        return f"checkpoint {source.checkpoint} is not at the training engine"
    if source.version is not None:
        return f"there is no release {source.model}-{source.version}"
    return f"no release of model {source.model} is approved yet"


def _start(resource: Experiment, found: StartSeen) -> Start:
    wanted = resource.spec.warm_start
    return Start(wanted.policy, found.checkpoint, found.digest, found.release, wanted.freeze)
