"""What a decision is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from cdl.api.duration import length

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.v1alpha1.resource import Status

SOON = timedelta(seconds=0.5)
"""How long to wait for something an engine is doing now."""
PATIENT = timedelta(seconds=2)
"""How long to wait for something another resource or a person has to do."""

S_co = TypeVar("S_co", bound="Status", covariant=True)
A_co = TypeVar("A_co", covariant=True)

HELD = timedelta(seconds=5)
"""How long to wait for people to let go of what keeps a deleted resource."""


class Appointment(timedelta):
    """A wait until a given moment: whoever keeps it comes at the moment itself, neither later nor with others."""


def until(coming: datetime | None, now: datetime, interval: str) -> Appointment | None:
    """Say how long it is to a moment; None: there is none, or a look comes before it anyway."""
    if coming is None:
        return None
    wait = coming - now
    return Appointment(seconds=max(wait.total_seconds(), 0)) if wait < length(interval) else None


@dataclass(frozen=True, slots=True)
class Decision(Generic[S_co, A_co]):
    """What to do now, what to say of it, and when to look again.

    `look_again_after` is None exactly when nothing is going on: then only an event or `spec.interval` leads to a look,
    or a due time that comes before that: an `Appointment`.
    A deletion that is held is looked at again all the same: no event tells that what it waits for is gone.
    """

    status: S_co
    actions: tuple[A_co, ...] = ()
    look_again_after: timedelta | None = None
    holds: bool = False
    """A resource that somebody deleted stays for now, and all it made with it; its status says what for."""
