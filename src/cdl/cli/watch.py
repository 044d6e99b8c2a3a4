"""Tell what happens while the platform works, a line a change."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import click

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import KINDS, DataPipeline, Experiment, ModelDeployment, Resource
from cdl.api.v1alpha1.resource import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cdl.api.conditions import Condition
    from cdl.api.meta import Key
    from cdl.compose import Shelf

POLL_SECONDS = 0.2
WIDTH = 16
QUIET_POLLS = 3
"""What became Ready may be a reason for another resource to work again; it takes a moment to notice."""
ALONE_POLLS = 15
"""Another `cdl run` may be about to start what ended."""
LEAST_FREE = 256 * 1024
"""Bytes without which not even a status can be written."""


PEOPLE = (Reason.WAITING_FOR_APPROVAL, Reason.WAITING_FOR_LABELS)
"""What is waited for may take days."""


class Watch:
    """What was told so far of the resources of a project."""

    def __init__(
        self,
        store: Shelf,
        keys: Sequence[Key],
        begun: float,
        home: Path,
        ended: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """Times are counted from begun; home is the folder that holds all state; ended names what no longer runs."""
        self._home = home
        self._ended = ended
        self._alone = 0
        self._store = store
        self._keys = keys
        self._begun = begun
        self._told: set[tuple[object, ...]] = set()
        self.worked = False
        """Whether anything but looking happened."""
        self.ready = False
        """Whether every resource came to be Ready."""

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._begun

    def until_settled(self, timeout: float) -> bool:
        """Tell changes until every resource is Ready or waits for people (True), or something is wrong (False)."""
        quiet = 0
        while True:
            resources = [r for r in (self._read(key) for key in self._keys) if r is not None]
            for resource in resources:
                self._tell(resource, resources)
            self.ready = len(resources) == len(self._keys) and all(_answer(r, ConditionType.READY) for r in resources)
            quiet = quiet + 1 if self.ready else 0
            if quiet == QUIET_POLLS:
                return True
            if any(_answer(r, ConditionType.RECONCILING, reason) for r in resources for reason in PEOPLE):
                return True
            if any(_answer(r, ConditionType.STALLED) for r in resources):
                return False
            hopeless = self._hopeless(resources, timeout)
            if hopeless:
                click.echo(f"[{self.elapsed:6.1f} s] {hopeless}")
                return False
            time.sleep(POLL_SECONDS)

    def _hopeless(self, resources: Sequence[Resource], timeout: float) -> str:
        """Say why waiting is of no use; empty: it is."""
        free = shutil.disk_usage(self._home).free
        if free < LEAST_FREE:
            # nobody can write down that nothing can be written
            return f"the disk that holds {self._home} is full ({free} bytes free)"
        there = {resource.key for resource in resources}
        gone = [str(key) for key in self._keys if key not in there]
        if gone:
            return f"{', '.join(gone)}: deleted meanwhile; `cdl run` makes it anew"
        ended = self._ended()
        self._alone = self._alone + 1 if ended else 0
        if self._alone == ALONE_POLLS:
            return f"no longer running: {', '.join(ended)}; `cdl run` starts it again and goes on"
        if self.elapsed > timeout:
            return f"gave up waiting after {timeout:g} s; the platform goes on"
        return ""

    def _read(self, key: Key) -> Resource | None:
        return self._store.get(KINDS[key.kind], key.namespace, key.name)

    def _tell(self, resource: Resource, project: Sequence[Resource]) -> None:
        for line in _lines(resource, project):
            mark = (resource.key, line)
            if mark not in self._told:
                self._told.add(mark)
                click.echo(f"[{self.elapsed:6.1f} s] {resource.kind:<{WIDTH}} {line}")
        busy = _status(resource).condition(ConditionType.RECONCILING)
        self.worked = self.worked or (busy is not None and not str(busy.reason).startswith("Waiting"))


def _status(resource: Resource) -> Status:
    status = getattr(resource, "status", None)
    return status if isinstance(status, Status) else Status()


def _answer(resource: Resource, kind: ConditionType, reason: Reason | None = None) -> bool:
    """The condition holds (for that reason), and is about the spec and the request that are there now."""
    status = _status(resource)
    now = status.observed_generation == resource.metadata.generation
    asked = status.last_handled_requested_at == resource.metadata.requested_at
    condition = status.condition(kind)
    holds = condition is not None and condition.status == "True" and reason in {None, condition.reason}
    return now and asked and holds


def _lines(resource: Resource, project: Sequence[Resource]) -> Iterator[str]:
    ready: Condition | None = _status(resource).condition(ConditionType.READY)
    if isinstance(resource, DataPipeline):
        yield from _jobs(resource)
    if isinstance(resource, Experiment):
        yield from _trials(resource)
    if ready is not None and _status(resource).observed_generation == resource.metadata.generation:
        told = "" if _is_told_elsewhere(resource, ready.reason, project) else ready.message
        yield f"{ready.reason:<16} {told}".rstrip()


def _is_told_elsewhere(resource: Resource, reason: Reason, project: Sequence[Resource]) -> bool:
    """What another resource of the project is doing is told by that resource itself."""
    match resource, reason:
        case Experiment(), Reason.WAITING_FOR_DATA:
            wanted = resource.spec.data.pipeline
            return any(isinstance(r, DataPipeline) and r.metadata.name == wanted for r in project)
        case ModelDeployment(), Reason.WAITING_FOR_RELEASE:
            model = resource.spec.model.name
            return any(isinstance(r, Experiment) and r.spec.model.name == model for r in project)
        case _:
            return False


def _jobs(pipeline: DataPipeline) -> Iterator[str]:
    for job in pipeline.status.jobs:
        counts = f"datums: {job.processed} processed, {job.skipped} skipped, {job.failed} failed of {job.total}"
        yield f"step {job.step} ({job.side}) {job.state.lower()}, {counts}"


def _trials(experiment: Experiment) -> Iterator[str]:
    for trial in experiment.status.trial_table:
        if trial.metric is None:
            continue
        ended = ", stopped early" if trial.stopped_early else ""
        yield f"trial {trial.id} {trial.state.lower()}{ended}: {trial.metric:.4f} after {trial.steps} batches"
