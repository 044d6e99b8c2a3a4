"""Pipelines that people wrote themselves, kept at Pachyderm as they were written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs, pps

from cdl.api.raw import PipelineStatus, read_by
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import RawSeen, StraySeen

from . import old_specs
from .door import door
from .reading import Reader
from .translate import (
    CODE,
    JOB_STATE,
    OWNER,
    PIPELINE_BROKEN,
    RAW_OWNER,
    WISH,
    moment,
    notes_of,
    owner_mark,
    pipeline_named,
    project_of,
    readers_first,
)
from .wire import connect

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.datapipeline import RawWish

AT_REST = frozenset(
    {pps.PipelineState.PIPELINE_RUNNING, pps.PipelineState.PIPELINE_STANDBY, pps.PipelineState.PIPELINE_PAUSED}
)


class PachydermRaw:
    """Drives the raw pipelines of one pachd."""

    def __init__(self, address: str, token: str | None = None) -> None:
        """Talk to the pachd at the address; nothing is asked yet."""
        self._client = connect(address, token)
        self._reader = Reader(self._client)

    def look(self, owner: Key) -> tuple[RawSeen, ...]:
        """Report every raw pipeline of the owner, each before those it reads. Changes nothing."""
        with door(f"looking at the pipelines of DataPipeline {owner.name}"):
            found = {raw.name: raw for raw in map(self._seen, self._owned(owner))}
            pairs = [StraySeen(raw.name, next((r for r in raw.reads if r in found), "")) for raw in found.values()]
            return tuple(found[each.name] for each in readers_first(pairs))

    def ensure(self, owner: Key, wish: RawWish) -> None:
        """Make a pipeline be as it was written; what it needs of the engine's own words is put in beside.

        A second call with an equal wish changes nothing and runs nothing. Another transform processes everything
        again, unless the spec says `reprocess: false`; anything else only what is new.

        Raises:
            Rejected: the engine refuses it, or a pipeline of that name is not the owner's.
        """
        with door(f"pipeline {wish.name}"):
            now = self._reader.pipeline(project_of(owner), wish.name)
            noted = notes_of(now) if now is not None else {}
            if now is not None:
                _refuse_strangers(owner, now)
            if noted.get(WISH) != wish.digest:
                asked = wish.spec.get("reprocess")
                changed = asked if isinstance(asked, bool) else noted.get(CODE) != wish.program
                self._client.pps.create_pipeline_v2(
                    create_pipeline_request_json=raw_spec(owner, wish),
                    update=now is not None,
                    reprocess=now is not None and changed,
                )

    def remove(self, owner: Key, name: str) -> None:
        """Remove a raw pipeline of the owner, and its output. Removing what is not there is a success.

        Raises:
            Rejected: it is not the owner's, or another one reads its output.
        """
        project = project_of(owner)
        with door(f"removing pipeline {name}"):
            now = self._reader.pipeline(project, name)
            if now is not None:
                _refuse_strangers(owner, now)
                self._client.pps.delete_pipeline(pipeline=pipeline_named(project, name))

    def forget(self, owner: Key) -> None:
        """Remove every raw pipeline of the owner. Removing what is not there is a success."""
        project = project_of(owner)
        with door(f"removing the pipelines of DataPipeline {owner.name}"):
            for found in self._owned(owner):
                handle = pipeline_named(project, str(found.pipeline.name))
                self._client.pps.delete_pipeline(pipeline=handle, force=True)

    def _owned(self, owner: Key) -> list[pps.PipelineInfo]:
        project = pfs.Project(name=project_of(owner))
        found = self._client.pps.list_pipeline(projects=[project], details=True)
        return [
            p
            for p in found
            if p.pipeline.project.name == project.name and notes_of(p).get(RAW_OWNER) == owner_mark(owner)
        ]

    def _seen(self, found: pps.PipelineInfo) -> RawSeen:
        project, name = str(found.pipeline.project.name), str(found.pipeline.name)
        state = pps.PipelineState(found.state)
        failure = str(found.reason) if PIPELINE_BROKEN[state] else ""
        reads = read_by(json.loads(found.user_spec_json))
        wish = notes_of(found).get(WISH, "")
        handle = pipeline_named(project, name)
        job = next(iter(self._client.pps.list_job(pipeline=handle, number=1, history=-1)), None)
        if job is None:
            return RawSeen(name, wish, reads, done=state in AT_REST, failure=failure)
        lost = self._reader.failure(project, name, job)
        done = pps.JobState(job.state) is pps.JobState.JOB_SUCCESS
        return RawSeen(name, wish, reads, _status(name, job), done, lost or failure)


def raw_spec(owner: Key, wish: RawWish) -> str:
    """Write the pipeline as pachd takes it: as people wrote it, with whose it is and in whose project."""
    (found,) = old_specs.read(json.dumps(dict(wish.spec)), f"pipeline {wish.name}")
    spec = {key: value for key, value in found.spec.items() if key not in {"update", "reprocess"}}
    metadata = dict(spec.get("metadata") or {})
    notes = {WISH: wish.digest, CODE: wish.program, RAW_OWNER: owner_mark(owner)}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **notes}
    pipeline = {"project": {"name": project_of(owner)}, "name": wish.name}
    return json.dumps({**spec, "pipeline": pipeline, "metadata": metadata}, sort_keys=True)


def _status(name: str, found: pps.JobInfo) -> PipelineStatus:
    return PipelineStatus(
        name=name,
        state=JOB_STATE[pps.JobState(found.state)],
        id=str(found.job.id),
        processed=int(found.data_processed),
        skipped=int(found.data_skipped),
        failed=int(found.data_failed),
        total=int(found.data_total),
        started_at=moment(found.started),
        finished_at=moment(found.finished),
    )


def _refuse_strangers(owner: Key, found: pps.PipelineInfo) -> None:
    noted = notes_of(found)
    whose = noted.get(RAW_OWNER) or noted.get(OWNER)
    if noted.get(RAW_OWNER) != owner_mark(owner):
        belongs = f"belongs to DataPipeline {whose}" if whose else "no DataPipeline made it"
        raise Rejected(f"pipeline {found.pipeline.name}: one of that name exists and {belongs}; rename it")
