"""`Ready` is worked out, by one table, in one place; no step writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.resource import Event, Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# First match wins: what a person must fix outranks what time will fix.
BLOCKERS: tuple[tuple[ConditionType, Literal["False", "Unknown"]], ...] = (
    (ConditionType.STALLED, "False"),
    (ConditionType.RECONCILING, "Unknown"),
)
HISTORY_LENGTH = 10
ABNORMAL = {ConditionType.STALLED, ConditionType.RECONCILING}
T = TypeVar("T", bound=Status)


def ready(conditions: Iterable[Condition], success: Reason, message: str) -> Condition:
    """Sum the other conditions up."""
    by_type = {c.type: c for c in conditions}
    for kind, answer in BLOCKERS:
        blocker = by_type.get(kind)
        if blocker is not None and blocker.status == "True":
            return Condition(type=ConditionType.READY, status=answer, reason=blocker.reason, message=blocker.message)
    return Condition(type=ConditionType.READY, status="True", reason=success, message=message)


def settled(
    conditions: Iterable[Condition], generation: int, success: Reason, message: str = ""
) -> tuple[Condition, ...]:
    """Put the summary first and say which generation all of it is about."""
    own = tuple(conditions)
    everything = (ready(own, success, message), *own)
    return tuple(c.model_copy(update={"observed_generation": generation}) for c in everything)


def busy(reason: Reason, message: str) -> Condition:
    """Work is going on; time will change it."""
    return Condition(type=ConditionType.RECONCILING, status="True", reason=reason, message=message)


def stalled(reason: Reason, message: str) -> Condition:
    """A person must act."""
    return Condition(type=ConditionType.STALLED, status="True", reason=reason, message=message)


def fact(kind: ConditionType, holds: bool | None, reason: Reason, message: str = "") -> Condition:  # noqa: FBT001 - a claim and its truth
    """State one of a kind's own conditions; None means not known yet."""
    status: Literal["True", "False", "Unknown"] = "Unknown" if holds is None else "True" if holds else "False"
    return Condition(type=kind, status=status, reason=reason, message=message)


def stamped(before: Iterable[Condition], now: Iterable[Condition], at: datetime) -> tuple[Condition, ...]:
    """Carry over the time of the last change of status; a changed or new status changed `at`."""
    known = {c.type: c for c in before}

    def stamp(condition: Condition) -> Condition:
        old = known.get(condition.type)
        since = old.last_transition_time if old is not None and old.status == condition.status else at
        return condition.model_copy(update={"last_transition_time": since or at})

    return tuple(stamp(c) for c in now)


def remembered(
    history: tuple[Event, ...], at: datetime, what: str, revision: str = "", digest: str = ""
) -> tuple[Event, ...]:
    """Add a line to the history, unless it is what the newest line already says."""
    if history and (history[-1].what, history[-1].digest) == (what, digest):
        return history
    return (*history, Event(at=at, what=what, revision=revision, digest=digest))[-HISTORY_LENGTH:]


def suspended(status: T, generation: int) -> T:
    """Leave the status as it was, but say that nothing is being done."""
    own = (c for c in status.conditions if c.type is not ConditionType.READY and c.type not in ABNORMAL)
    conditions = settled(own, generation, Reason.SUSPENDED, "spec.suspend is true: nothing is done until it is false")
    return status.model_copy(update={"conditions": conditions, "observed_generation": generation})


def troubled(status: T, generation: int, trouble: Condition) -> T:
    """Say that the last attempt met trouble; everything else stays as decided."""
    own = (c for c in status.conditions if c.type is not ConditionType.READY and c.type not in ABNORMAL)
    conditions = settled((trouble, *own), generation, Reason.SUCCEEDED)
    return status.model_copy(update={"conditions": conditions, "observed_generation": generation})
