"""ModelDeployment: from approved Releases to one that answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.modeldeployment import ModelDeploymentStatus, Replicas, Traffic, VersionPolicy
from cdl.api.v1alpha1.resource import DeletionPolicy

from .decision import PATIENT, SOON, Decision
from .summary import busy, fact, remembered, settled, stalled, suspended

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from cdl.api.v1alpha1.modeldeployment import ModelDeployment, ModelDeploymentSpec


class ServingPhase(StrEnum):
    """What the serving engine says of a deployment."""

    CREATING = "Creating"
    AVAILABLE = "Available"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """A Release of the model that is served."""

    name: str
    version: int
    digest: str
    approved: bool
    document: str
    """Where the release document lies."""
    approved_at: datetime | None = None
    served_by: tuple[str, ...] = ()
    """Names of the ModelDeployments it says it is served by."""


@dataclass(frozen=True, slots=True)
class ServingSeen:
    """What the serving engine runs for this resource."""

    key: str
    """Key of the wish it was made from."""
    release: str
    phase: ServingPhase
    url: str = ""
    desired: int = 0
    ready: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything a decision about a ModelDeployment may depend on."""

    at: datetime
    releases: tuple[ReleaseSeen, ...] = ()
    serving: ServingSeen | None = None


@dataclass(frozen=True, slots=True)
class ServingWish:
    """A deployment as it should be."""

    release: ReleaseSeen
    spec: ModelDeploymentSpec
    owner: str = ""
    """uid of the resource that takes what serves along when it goes; empty: what serves may outlive it."""

    @property
    def key(self) -> str:
        """Same release served the same way: same key. How often to look is no part of the wish."""
        served = self.spec.model_dump(mode="json", include={"predictor", "interface", "backend"})
        return short([self.release.digest, self.release.document, served, *filter(None, [self.owner])])


@dataclass(frozen=True, slots=True)
class Serve:
    """Make the serving engine run the wish; what served before answers until the new one does."""

    wish: ServingWish


@dataclass(frozen=True, slots=True)
class StopServing:
    """Remove what the serving engine runs for this resource."""


@dataclass(frozen=True, slots=True)
class LetServingGo:
    """Make what the serving engine runs outlive this resource."""


@dataclass(frozen=True, slots=True)
class MarkServed:
    """Note on a Release whether this resource serves it."""

    release: str
    serves: bool


Action = Serve | StopServing | LetServingGo | MarkServed


def decide(resource: ModelDeployment, seen: Seen) -> Decision[ModelDeploymentStatus, Action]:
    """Say what makes the right Release answer."""
    spec = resource.spec
    if resource.metadata.deleting:
        last: Action = StopServing() if spec.deletion_policy is DeletionPolicy.DELETE else LetServingGo()
        doing = "stopping the servers" if isinstance(last, StopServing) else "leaving the servers to themselves"
        return _say(resource, seen, busy(Reason.DELETING, doing), (last, *_marks(resource, seen, None)))
    if spec.suspend:
        return Decision(suspended(resource.status, resource.metadata.generation))
    release = _choose(spec, seen)
    if isinstance(release, Condition):
        return _say(resource, seen, release)
    takes_along = spec.deletion_policy is DeletionPolicy.DELETE
    wish = ServingWish(release, spec, resource.metadata.uid if takes_along else "")
    now = seen.serving
    if now is None or now.key != wish.key:
        return _say(resource, seen, busy(Reason.DEPLOYING, f"bringing {release.name} up"), (Serve(wish),))
    match now.phase:
        case ServingPhase.CREATING:
            return _say(resource, seen, busy(Reason.DEPLOYING, now.message or f"{release.name} is starting"), wait=SOON)
        case ServingPhase.FAILED:
            return _say(resource, seen, stalled(Reason.DEPLOYMENT_FAILED, f"{release.name}: {now.message}"))
        case ServingPhase.AVAILABLE:
            message = f"{release.name} answers at {now.url}"
            marks = _marks(resource, seen, release)
            if marks:
                return _say(resource, seen, busy(Reason.DEPLOYING, f"{message}; noting it on the release"), marks)
            serving = fact(ConditionType.SERVING, holds=True, reason=Reason.AVAILABLE, message=message)
            return _say(resource, seen, serving, serves=release)


def _marks(resource: ModelDeployment, seen: Seen, serves: ReleaseSeen | None) -> tuple[MarkServed, ...]:
    """What the Releases of the model say wrongly about being served by this resource."""
    me, served = resource.metadata.name, serves.name if serves else None
    return tuple(
        MarkServed(r.name, r.name == served) for r in seen.releases if (me in r.served_by) != (r.name == served)
    )


def _choose(spec: ModelDeploymentSpec, seen: Seen) -> ReleaseSeen | Condition:
    """Only an approved Release is ever chosen."""
    model = spec.model
    if model.policy is VersionPolicy.LATEST_APPROVED:
        approved = [r for r in seen.releases if r.approved]
        if approved:
            return max(approved, key=_recency)
        names = ", ".join(r.name for r in seen.releases)
        waiting = f"no release is approved, there are: {names}" if names else "there is no release yet"
        return busy(Reason.WAITING_FOR_RELEASE, f"model {model.name}: {waiting}")
    pinned = next((r for r in seen.releases if r.version == model.version), None)
    if pinned is None:
        known = ", ".join(str(r.version) for r in sorted(seen.releases, key=lambda r: r.version)) or "none"
        return stalled(
            Reason.NO_SUCH_VERSION, f"model {model.name}: found no version {model.version}, there are: {known}"
        )
    if not pinned.approved:
        return stalled(Reason.NOT_APPROVED, f"{pinned.name} is not approved; only approved releases are served")
    return pinned


def _recency(release: ReleaseSeen) -> tuple[float, int]:
    """The latest approval counts, not the highest number: to approve an older release again is to go back to it."""
    return (release.approved_at.timestamp() if release.approved_at else 0.0, release.version)


def _say(
    resource: ModelDeployment,
    seen: Seen,
    condition: Condition,
    actions: tuple[Action, ...] = (),
    wait: timedelta | None = None,
    serves: ReleaseSeen | None = None,
) -> Decision[ModelDeploymentStatus, Action]:
    """Put the status together; what serves goes on being reported while its successor comes up."""
    old, meta, now = resource.status, resource.metadata, seen.serving
    conditions: tuple[Condition, ...] = (condition,)
    kept = old.condition(ConditionType.SERVING)
    if condition.type is not ConditionType.SERVING and kept is not None:
        conditions += (kept,)
    changed = serves is not None and serves.name != old.release
    history = (
        remembered(old.history, seen.at, f"serving {serves.name}", meta.revision, serves.digest)
        if serves and changed
        else old.history
    )
    release = serves.name if serves else old.release
    status = ModelDeploymentStatus(
        observed_generation=meta.generation,
        conditions=settled(conditions, meta.generation, Reason.SUCCEEDED, condition.message),
        progress="1/1" if serves else "0/1",
        last_attempted_revision=meta.revision,
        last_applied_revision=meta.revision if serves else old.last_applied_revision,
        history=history,
        url=now.url if serves and now else old.url,
        release=release,
        digest=serves.digest if serves else old.digest,
        previous_release=old.release if changed else old.previous_release,
        traffic=(Traffic(release=release, weight=100),) if release else (),
        replicas=Replicas(desired=now.desired, ready=now.ready) if now else Replicas(),
    )
    going_on = condition.type is ConditionType.RECONCILING
    return Decision(status, actions, (wait or PATIENT if not actions else SOON) if going_on else None)
