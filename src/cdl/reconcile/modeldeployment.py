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
    attestation: str = ""
    """Where the signed statement of its approval lies."""
    expired: bool = False
    """It was approved for a time that is over: what serves it may go on, and nothing else."""
    standing: str = ""
    """What was decided about it, or why that counts for nothing, as a clause."""

    @property
    def fit(self) -> bool:
        """It may go on answering where it answers already."""
        return self.approved or self.expired


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
    others: tuple[ReleaseSeen, ...] = ()
    """Releases of other models that this resource serves, or is said to serve: it was for another model before."""


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
        said = (self.owner, self.release.attestation)
        return short([self.release.digest, self.release.document, served, *filter(None, said)])

    @property
    def refusal(self) -> str:
        """Why no engine may serve this, in a sentence; empty: it may."""
        if not self.release.approved:
            return f"{self.release.name} is not approved; only approved releases are served"
        if not self.release.attestation:
            return f"{self.release.name} has no signed approval; only what a signature approves is served"
        return ""


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
    """Say what makes the right Release answer, and no other one."""
    spec, unfit = resource.spec, _unfit(seen)
    if resource.metadata.deleting:
        leave = spec.deletion_policy is DeletionPolicy.ORPHAN and unfit is None
        last: Action = LetServingGo() if leave else StopServing()
        doing = "leaving the servers to themselves" if leave else "stopping the servers"
        return _say(resource, seen, busy(Reason.DELETING, doing), (last, *_marks(resource, seen, None)))
    if unfit is not None:  # before anything else takes its place, and however suspended: it must not answer
        stopping = f"stopping the servers of {unfit.name}, which may not answer any more: {unfit.standing}"
        return _say(resource, seen, busy(Reason.NOT_APPROVED, stopping), (StopServing(), *_marks(resource, seen, None)))
    if spec.suspend:
        status = resource.status if seen.serving else _nothing_serves(resource.status, seen.at)
        return Decision(suspended(status, resource.metadata.generation))
    release = _choose(spec, seen)
    if isinstance(release, Condition):
        return _say(resource, seen, release, () if seen.serving else _marks(resource, seen, None))
    takes_along = spec.deletion_policy is DeletionPolicy.DELETE
    wish = ServingWish(release, spec, resource.metadata.uid if takes_along else "")
    return _serve(resource, seen, wish)


def _serve(resource: ModelDeployment, seen: Seen, wish: ServingWish) -> Decision[ModelDeploymentStatus, Action]:
    """Bring the chosen Release up; one whose approval has expired only goes on as it is."""
    release, now = wish.release, seen.serving
    if now is None or now.key != wish.key:
        if release.expired:
            kept = f"{release.name} goes on as it was; nothing new is rolled out with it: {release.standing}"
            return _say(resource, seen, stalled(Reason.APPROVAL_EXPIRED, kept))
        if wish.refusal:
            return _say(resource, seen, busy(Reason.WAITING_FOR_RELEASE, wish.refusal))
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
            over = f"; nothing new is rolled out with it: {release.standing}" if release.expired else ""
            serving = fact(ConditionType.SERVING, holds=True, reason=Reason.AVAILABLE, message=message + over)
            return _say(resource, seen, serving, serves=release)


def _unfit(seen: Seen) -> ReleaseSeen | None:
    """Give the Release that the servers run and that was rejected, or is not any more what was approved.

    A Release that is not seen at all is no proof of that: an answer that comes late must not end production.
    """
    name = seen.serving.release if seen.serving else ""
    return next((r for r in (*seen.releases, *seen.others) if r.name == name and not r.fit), None)


def _marks(resource: ModelDeployment, seen: Seen, serves: ReleaseSeen | None) -> tuple[MarkServed, ...]:
    """What Releases say wrongly about being served by this resource."""
    me, served = resource.metadata.name, serves.name if serves else None
    said = (*seen.releases, *seen.others)
    return tuple(MarkServed(r.name, r.name == served) for r in said if (me in r.served_by) != (r.name == served))


def _choose(spec: ModelDeploymentSpec, seen: Seen) -> ReleaseSeen | Condition:
    """Only an approved Release is ever chosen; or one that was, when it answers already and only its time is over."""
    model, serving = spec.model, seen.serving.release if seen.serving else ""
    if model.policy is VersionPolicy.LATEST_APPROVED:
        approved = [r for r in seen.releases if r.approved or (r.expired and r.name == serving)]
        if approved:
            return max(approved, key=_recency)
        names = ", ".join(_named(r) for r in seen.releases)
        waiting = f"no release is approved, there are: {names}" if names else "there is no release yet"
        return busy(Reason.WAITING_FOR_RELEASE, f"model {model.name}: {waiting}")
    pinned = next((r for r in seen.releases if r.version == model.version), None)
    if pinned is None:
        known = ", ".join(str(r.version) for r in sorted(seen.releases, key=lambda r: r.version)) or "none"
        return stalled(
            Reason.NO_SUCH_VERSION, f"model {model.name}: found no version {model.version}, there are: {known}"
        )
    if pinned.approved or (pinned.expired and pinned.name == serving):
        return pinned
    why = f" ({pinned.standing})" if pinned.standing else ""
    return stalled(Reason.NOT_APPROVED, f"{pinned.name} is not approved{why}; only approved releases are served")


def _named(release: ReleaseSeen) -> str:
    return f"{release.name} ({release.standing})" if release.standing else release.name


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
    stopped = any(isinstance(action, StopServing) for action in actions)
    if stopped or (now is None and not any(isinstance(action, Serve) for action in actions)):
        old, now = _nothing_serves(old, seen.at), None
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
    before = old.release or old.previous_release
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
        previous_release=before if changed and release != before else old.previous_release,
        traffic=(Traffic(release=release, weight=100),) if release else (),
        replicas=Replicas(desired=now.desired, ready=now.ready) if now else Replicas(),
    )
    going_on = condition.type is ConditionType.RECONCILING
    return Decision(status, actions, (wait or PATIENT if not actions else SOON) if going_on else None)


def _nothing_serves(old: ModelDeploymentStatus, at: datetime) -> ModelDeploymentStatus:
    """Take back that something answers; what answered last is remembered as the one before."""
    if not old.release:
        return old
    silent = fact(ConditionType.SERVING, False, Reason.NOT_APPROVED, f"nothing answers; {old.release} did")
    nothing = {"url": "", "release": "", "digest": "", "traffic": (), "replicas": Replicas(), "progress": "0/1"}
    told = {
        "conditions": (*(c for c in old.conditions if c.type is not ConditionType.SERVING), silent),
        "previous_release": old.release,
        "history": remembered(old.history, at, f"stopped serving {old.release}", digest=old.digest),
    }
    return old.model_copy(update=nothing | told)
