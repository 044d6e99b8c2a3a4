"""What becomes of a ModelDeployment: the rollout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.modeldeployment import VersionPolicy
from cdl.reconcile import modeldeployment as pure
from cdl.reconcile.words import changes, few

from .experiment import NewRelease
from .stage import NO_HISTORY, NOTHING, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.modeldeployment import ModelDeployment

    from .experiment import ReleaseAhead

SERVED = {"predictor", "interface", "backend"}
"""Fields of the spec that the key of serving holds."""
LATER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """What is known of a ModelDeployment."""

    wanted: ModelDeployment
    before: ModelDeployment | None
    """As it is stored now."""
    seen: pure.Seen
    ahead: Sequence[ReleaseAhead] = ()
    """What becomes of the Releases of its model."""


def plan_deployment(facts: DeploymentFacts) -> tuple[Stage, ...]:
    """Say whether servers are replaced."""
    resource = facts.wanted
    if resource.spec.suspend:
        return (_stage(Verdict.WAIT, ("spec.suspend is true: nothing is done until it is false",)),)
    seen, latest = facts.seen, resource.spec.model.policy is VersionPolicy.LATEST_APPROVED
    mine = [a for a in facts.ahead if a.model == resource.spec.model.name] if latest else []
    for ahead in mine:
        if ahead.new is NewRelease.BY_POLICY and ahead.again:
            seen = _approved(seen, ahead.again)
    if any(a.new is NewRelease.BY_POLICY and not a.again for a in mine):
        why = f"a new release of {resource.spec.model.name} is served once it is approved by policy"
        found = few(_changes(facts))
        return (_stage(Verdict.ROLLOUT, (why, *found), sure=False),)
    now = _as_decided(facts, seen)
    renewed = _renewed(facts)
    if renewed and now.verdict is Verdict.REUSE:
        why = f"{renewed} is approved by policy once more, and its servers are told by whom and when"
        return (_stage(Verdict.ROLLOUT, (why,), sure=False),)
    awaited = next((a for a in mine if a.new is NewRelease.BY_A_PERSON), None)
    if awaited is None or now.verdict is not Verdict.REUSE:
        return (now,)
    which = awaited.again or "the new release"
    serving = f"{seen.serving.release} is served until then" if seen.serving else "nothing is served until then"
    return (_stage(Verdict.WAIT, (f"{which} is served once it is approved", serving), key=now.key),)


def _renewed(facts: DeploymentFacts) -> str:
    """Name the Release that is served and will be approved once more; empty: that will not be."""
    serving, model = facts.seen.serving, facts.wanted.spec.model.name
    again = {a.again for a in facts.ahead if a.model == model and a.new is NewRelease.BY_POLICY}
    return serving.release if serving is not None and serving.release in again else ""


def _as_decided(facts: DeploymentFacts, seen: pure.Seen) -> Stage:
    resource = facts.wanted
    decision = pure.decide(resource, seen)
    serve = next((a for a in decision.actions if isinstance(a, pure.Serve)), None)
    if serve is not None:
        return _stage(Verdict.ROLLOUT, _why(facts, seen, serve.wish), key=serve.wish.key)
    blocker = decision.status.condition(ConditionType.STALLED) or decision.status.condition(ConditionType.RECONCILING)
    key = seen.serving.key if seen.serving else ""
    if blocker is None or _only_noting(blocker, decision.actions):
        same = facts.before is not None and facts.before.spec == resource.spec
        return _stage(Verdict.REUSE, ("nothing changed" if same else "nothing in its key changed",), key=key)
    if blocker.reason is Reason.DEPLOYING:
        return _stage(Verdict.ROLLOUT, (f"it is going on already: {blocker.message}",), key=key)
    return _stage(Verdict.WAIT, (blocker.message,), key=key)


def _only_noting(blocker: Condition, actions: tuple[pure.Action, ...]) -> bool:
    marks = bool(actions) and all(isinstance(a, pure.MarkServed) for a in actions)
    return blocker.reason is Reason.DEPLOYING and marks


def _why(facts: DeploymentFacts, seen: pure.Seen, wish: pure.ServingWish) -> tuple[str, ...]:
    if seen.serving is None:
        return (f"nothing is served yet; {wish.release.name} will be",)
    changed = few(_changes(facts))
    if seen.serving.release != wish.release.name:
        return (f"release: {seen.serving.release} -> {wish.release.name}", *changed)
    return changed or ("what serves was made from another wish",)


def _changes(facts: DeploymentFacts) -> tuple[str, ...]:
    if facts.before is None:
        return ()
    old, new = (
        r.spec.model_dump(mode="json", by_alias=True, exclude_none=True, include=SERVED | {"deletion_policy"})
        for r in (facts.before, facts.wanted)
    )
    return changes(old, new)


def _approved(seen: pure.Seen, name: str) -> pure.Seen:
    """As it will be once a Release that is there already was approved once more."""
    moments = [r.approved_at for r in seen.releases if r.approved_at is not None]
    after = max([seen.at, *moments]) + LATER
    releases = tuple(replace(r, approved=True, approved_at=after) if r.name == name else r for r in seen.releases)
    return replace(seen, releases=releases)


def _stage(verdict: Verdict, reasons: tuple[str, ...], *, sure: bool = True, key: str = "") -> Stage:
    estimate = NO_HISTORY if verdict is Verdict.ROLLOUT else NOTHING
    return Stage(name="rollout", verdict=verdict, reasons=reasons, sure=sure, key=key, estimate=estimate)
