"""Raw pipelines in memory: each runs one job for every wish; one whose command is `false` fails."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.raw import PipelineStatus
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import RawSeen, RawWish
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from cdl.api.meta import Key

NEXT = {"CREATED": "RUNNING", "RUNNING": "SUCCESS"}


@dataclass(slots=True)
class Pipeline:
    """One pipeline and its newest job."""

    owner: Key
    wish: RawWish
    job: PipelineStatus

    @property
    def fails(self) -> bool:
        """Its command ends with 1."""
        transform = self.wish.spec["transform"]
        return isinstance(transform, dict) and transform.get("cmd") == ["false"]


class MemoryRaw:
    """RawPipelines of one engine."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start without any."""
        self.weather = weather or Weather()
        self.pipelines: dict[tuple[str, str], Pipeline] = {}
        """By project and name."""
        self._numbers = itertools.count(1)

    def look(self, owner: Key) -> tuple[RawSeen, ...]:
        """Report every raw pipeline of the owner, each before those it reads."""
        with self.weather.call("look at raw pipelines"):
            return tuple(_seen(p) for p in reversed(self.pipelines.values()) if p.owner == owner)

    def ensure(self, owner: Key, wish: RawWish) -> None:
        """Make a pipeline be as it was written.

        Raises:
            Rejected: it is somebody else's.
        """
        with self.weather.call(f"ensure raw {wish.name}"):
            now = self._owned(owner, wish.name)
            if now is None or now.wish.digest != wish.digest:
                job = PipelineStatus(name=wish.name, state="CREATED", id=f"j{next(self._numbers)}")
                self.pipelines[owner.namespace, wish.name] = Pipeline(owner, wish, job)

    def remove(self, owner: Key, name: str) -> None:
        """Remove a raw pipeline of the owner.

        Raises:
            Rejected: it is somebody else's, or another one reads its output.
        """
        with self.weather.call(f"remove raw {name}"):
            if self._owned(owner, name) is None:
                return
            if any(name in p.wish.reads for p in self.pipelines.values() if p.owner.namespace == owner.namespace):
                raise Rejected(f"pipeline {name}: another one reads it")
            del self.pipelines[owner.namespace, name]

    def forget(self, owner: Key) -> None:
        """Remove every raw pipeline of the owner."""
        with self.weather.call("forget raw pipelines"):
            self.pipelines = {place: p for place, p in self.pipelines.items() if p.owner != owner}

    def advance(self) -> None:
        """Let every job go one state on."""
        for pipeline in self.pipelines.values():
            state = NEXT.get(pipeline.job.state, pipeline.job.state)
            over = state == "SUCCESS" and pipeline.fails
            pipeline.job = pipeline.job.model_copy(update={"state": "FAILURE" if over else state})

    def _owned(self, owner: Key, name: str) -> Pipeline | None:
        found = self.pipelines.get((owner.namespace, name))
        if found is not None and found.owner != owner:
            raise Rejected(f"pipeline {name}: one of that name exists and belongs to {found.owner.name}; rename it")
        return found


def _seen(found: Pipeline) -> RawSeen:
    failure = "false ended with 1" if found.job.state == "FAILURE" else ""
    done = found.job.state == "SUCCESS"
    return RawSeen(found.wish.name, found.wish.digest, found.wish.reads, found.job, done, failure)
