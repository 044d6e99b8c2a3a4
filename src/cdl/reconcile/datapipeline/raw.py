"""Raw Pachyderm pipelines: consumers beside the two sides, which no dataset version depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import Reason
from cdl.api.raw import PipelineStatus, in_order, name_of, read_by
from cdl.reconcile.decision import Appointment
from cdl.reconcile.summary import busy, stalled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from pydantic import JsonValue

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.datapipeline import DataPipeline, DataPipelineSpec


AT_ONCE = Appointment(milliseconds=100)
"""How soon after the status was written its next step follows."""


@dataclass(frozen=True, slots=True)
class RawWish:
    """A raw pipeline as it was written."""

    spec: Mapping[str, JsonValue]

    @property
    def name(self) -> str:
        """Its own name; its output repository has the same."""
        return name_of(self.spec)

    @property
    def reads(self) -> tuple[str, ...]:
        """The repositories it reads."""
        return read_by(self.spec)

    @property
    def digest(self) -> str:
        """Stands for everything that was written."""
        return short([dict(self.spec)])

    @property
    def program(self) -> str:
        """Stands for what makes the output: another one processes everything again."""
        return short([self.spec.get("transform")])


@dataclass(frozen=True, slots=True)
class RawSeen:
    """A raw pipeline of this resource at the data engine."""

    name: str
    wish: str
    """Digest of the wish it was made from."""
    reads: tuple[str, ...] = ()
    job: PipelineStatus | None = None
    """Its newest job; None: it has none."""
    done: bool = False
    failure: str = ""
    """One sentence when it, or its newest job, failed."""


@dataclass(frozen=True, slots=True)
class EnsureRaw:
    """Make a raw pipeline be as it was written."""

    wish: RawWish


@dataclass(frozen=True, slots=True)
class RemoveRaw:
    """Remove a raw pipeline that the list does not name any more, and its output with it."""

    name: str


RawAction = EnsureRaw | RemoveRaw


@dataclass(frozen=True, slots=True)
class Beside:
    """What becomes of the raw pipelines."""

    trouble: Condition | None = None
    actions: tuple[RawAction, ...] = ()
    wait: timedelta | None = None


def raw_wishes(spec: DataPipelineSpec) -> tuple[RawWish, ...]:
    """Give the raw pipelines, each after those it reads."""
    return tuple(RawWish(each) for each in in_order(spec.pachyderm))


def is_asked(resource: DataPipeline) -> bool:
    """There may be raw pipelines of this resource: it names some, or named some before.

    A name stands in the status before its pipeline is made, so that none is ever forgotten.
    """
    return bool(resource.spec.pachyderm or resource.status.pipelines)


def told(resource: DataPipeline, raws: tuple[RawSeen, ...]) -> tuple[PipelineStatus, ...]:
    """Say of each pipeline that is wished or there what it does."""
    wished = {wish.name for wish in raw_wishes(resource.spec)}
    there = {raw.name: raw.job or PipelineStatus(name=raw.name) for raw in raws}
    return tuple(there.get(name) or PipelineStatus(name=name) for name in sorted(wished | there.keys()))


def beside(resource: DataPipeline, raws: tuple[RawSeen, ...], needed: frozenset[str], *, published: bool) -> Beside:
    """Bring the raw pipelines up to date, once the dataset that was made stands in the status."""
    wished = raw_wishes(resource.spec)
    there = {raw.name: raw for raw in raws}
    names = {wish.name for wish in wished}
    gone = tuple(RemoveRaw(raw.name) for raw in raws if raw.name not in names | needed)
    stale = tuple(EnsureRaw(w) for w in wished if w.name not in there or there[w.name].wish != w.digest)
    if gone or stale:
        announced = names <= {known.name for known in resource.status.pipelines}
        about = ", ".join([*(action.name for action in gone), *(action.wish.name for action in stale)])
        doing = busy(Reason.TRANSFORMING, f"bringing pipelines up to date: {about}")
        if published and announced:
            return Beside(doing, (*gone, *stale))
        return Beside(doing, wait=AT_ONCE)
    lost = next((there[w.name] for w in wished if there[w.name].failure), None)
    if lost is not None:
        log = f"`cdl pachctl logs --pipeline {lost.name}` shows its log"
        return Beside(stalled(Reason.STEP_FAILED, f"pipeline {lost.name}: {lost.failure}; {log}"))
    running = [w.name for w in wished if not there[w.name].done]
    if running:
        return Beside(busy(Reason.TRANSFORMING, f"running {', '.join(running)}"))
    return Beside()
