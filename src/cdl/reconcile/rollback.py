"""Going back to a Release: which one, whether that may be, and in what it differs from what is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.modeldeployment import VersionPolicy
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.release import sentence, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import ModelDeployment, Release
    from cdl.api.v1alpha1.modeldeployment import ModelDeploymentStatus


SERVING = "serving "
"""How the history of a ModelDeployment begins to tell of a change of what answers."""


class NoWayBackError(ValueError):
    """A person asked for what cannot be; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value in which two Releases differ."""

    place: str
    """The member, and where in it."""
    before: JsonValue
    after: JsonValue


def target(deployment: ModelDeployment, releases: Sequence[Release], version: int | None, at: datetime) -> Release:
    """Choose the Release to go back to: this version of the model, or else the one that was served before.

    Raises:
        NoWayBackError: there is none, it is served already, or it may not be served.
    """
    model, serving = deployment.spec.model.name, deployment.status.release
    mine = sorted((r for r in releases if r.spec.model == model), key=lambda r: r.spec.version)
    _ready_to_move(deployment)
    if version is None:
        before = _before(deployment.status)
        if not before:
            now = f"serves {serving} and served nothing before it" if serving else "never served anything"
            raise NoWayBackError(
                f"ModelDeployment {deployment.metadata.name}: {now}, so there is nothing to go back to"
            )
        found = next((r for r in mine if r.metadata.name == before), None)
        if found is None:
            raise NoWayBackError(f"{before} was served before, but there is no such Release any more")
    else:
        found = next((r for r in mine if r.spec.version == version), None)
        if found is None:
            known = ", ".join(str(r.spec.version) for r in mine) or "none"
            raise NoWayBackError(f"model {model}: found no version {version}, there are: {known}")
    if found.metadata.name == serving:
        raise NoWayBackError(f"ModelDeployment {deployment.metadata.name} serves {serving} already")
    approval = standing(found, at)
    if approval.state is not ApprovalState.APPROVED:
        why = sentence(found, approval)
        raise NoWayBackError(f"{found.metadata.name} is not approved ({why}); only approved releases are served")
    return found


def let_latest(deployment: ModelDeployment) -> None:
    """Check that a ModelDeployment can be told to follow the latest approval again.

    Raises:
        NoWayBackError: it does, or nothing is done for it.
    """
    _ready_to_move(deployment)
    if deployment.spec.model.policy is VersionPolicy.LATEST_APPROVED:
        serving = deployment.status.release or "nothing yet"
        raise NoWayBackError(
            f"ModelDeployment {deployment.metadata.name} follows the latest approval already; it serves {serving}"
        )


def changes(before: Release | None, after: Release) -> tuple[Change, ...]:
    """Say what differs, value by value, in the order of the set; an address says nothing that its digest does not."""
    was, now = (dict(_values("", r.spec.members)) if r is not None else {} for r in (before, after))
    places = dict.fromkeys((*now, *was))
    return tuple(Change(p, was.get(p), now.get(p)) for p in places if was.get(p) != now.get(p))


def _values(place: str, value: JsonValue | Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    if not isinstance(value, Mapping):
        yield place, value
        return
    for name, inner in value.items():
        if name != "uri":
            yield from _values(f"{place}.{name}" if place else name, inner)


def _before(status: ModelDeploymentStatus) -> str:
    """The Release that answered last before this one: servers that were away for a while do not count as another."""
    answered = (e.what.removeprefix(SERVING) for e in reversed(status.history) if e.what.startswith(SERVING))
    return next((name for name in (status.previous_release, *answered) if name and name != status.release), "")


def _ready_to_move(deployment: ModelDeployment) -> None:
    name = deployment.metadata.name
    if deployment.metadata.deleting:
        raise NoWayBackError(f"ModelDeployment {name} is being deleted")
    if deployment.spec.suspend:
        raise NoWayBackError(f"ModelDeployment {name} is suspended: nothing is done for it until spec.suspend is false")
