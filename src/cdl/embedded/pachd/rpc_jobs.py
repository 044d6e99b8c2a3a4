"""Handlers for jobs, job sets, datums and logs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator

from cdl.embedded.pachd import commits, datums, inputs, jobs, pipelines, refs, views, wire
from cdl.embedded.pachd.atwork import is_about
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.jobs import Job
from cdl.embedded.pachd.logs import Line, Logs
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import absent, invalid, missing
from cdl.embedded.pachd.rpc_pipelines import input_of
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.transactions import Desk
from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.wire import Msg

DAY = 24 * 3600 * 10**9
BATCH = 100  # datums that CreateDatum sends when the client names no number


class Jobs:
    """Answers about what pipelines did."""

    def __init__(self, engine: Engine, desk: Desk, logs: Logs) -> None:
        self._desk = desk
        self._engine = engine
        self._store = engine.store
        self._logs = logs

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pps_v2.API/{name}": getattr(self, name)
            for name in (
                "InspectJob",
                "ListJob",
                "SubscribeJob",
                "InspectJobSet",
                "ListJobSet",
                "StopJob",
                "DeleteJob",
                "ListDatum",
                "InspectDatum",
                "CreateDatum",
                "GetLogs",
            )
        }

    async def _ended(self, job: Job) -> Job:
        """Wait until a job has ended."""
        while True:
            turn = self._store.pulse.turn
            found = jobs.find(self._store.db, job.id)
            if found is None:
                raise missing(f"job {job.set_id} was deleted")
            if found.state in jobs.TERMINAL:
                return found
            await self._store.pulse.after(turn)

    async def InspectJob(self, request: Msg) -> Msg:
        """Describe a job, when asked only once it has ended."""
        found = jobs.get(self._store.db, request.job)
        if request.wait:
            found = await self._ended(found)
        return jobs.job_info(self._store.db, found, details=request.details)

    async def ListJob(self, request: Msg) -> AsyncIterator[Msg]:
        """List jobs, newest first; of current versions only unless history is asked for."""
        if request.jq_filter:
            raise absent("pps_v2.API/ListJob: jq_filter is not offered by the embedded pachd")
        for job in itertools.islice(self._selected(request), request.number or None):
            yield jobs.job_info(self._store.db, job, details=request.details or bool(request.input_commit))

    def _selected(self, request: Msg) -> Iterator[Job]:
        """Choose the jobs of a listing."""
        db = self._store.db
        only = pipelines.get(db, request.pipeline).id if request.pipeline.name else None
        projects = {p.name or "default" for p in request.projects}
        wanted = {refs.commit(db, handle).id for handle in request.input_commit}
        marker = request.pagination_marker.ToNanoseconds() if request.HasField("pagination_marker") else 0
        order = "ASC" if request.reverse else "DESC"
        for job in jobs.select(db, f"WHERE ? IS NULL OR pipeline = ? ORDER BY id {order}", (only, only)):
            pipeline = pipelines.by_id(db, job.pipeline)
            if projects and pipeline.project not in projects:
                continue
            if request.history >= 0 and job.version < pipeline.version - request.history:
                continue
            if marker and (job.created <= marker if request.reverse else job.created >= marker):
                continue
            if wanted and not wanted & {c.id for c in jobs.inputs(db, job)}:
                continue
            yield job

    async def SubscribeJob(self, request: Msg) -> AsyncIterator[Msg]:
        """Send every job of a pipeline that is not yet done, and each change of it, while the client listens."""
        pipeline = pipelines.get(self._store.db, request.pipeline)
        seen: dict[int, int] = {}
        first = True
        while True:
            turn = self._store.pulse.turn
            for job in jobs.select(self._store.db, "WHERE pipeline = ? ORDER BY id", (pipeline.id,)):
                known = seen.get(job.id)
                seen[job.id] = job.state
                if known == job.state or (first and job.state in jobs.TERMINAL):
                    continue
                yield jobs.job_info(self._store.db, job, details=request.details)
            first = False
            await self._store.pulse.after(turn)

    async def InspectJobSet(self, request: Msg) -> AsyncIterator[Msg]:
        """Describe a set's jobs in the order in which they run; with wait, each once it has ended."""
        found = jobs.select(self._store.db, "WHERE set_id = ? ORDER BY id", (request.job_set.id,))
        if not found and not refs.commits(self._store.db, "WHERE set_id = ?", (request.job_set.id,)):
            raise missing(f"job set {request.job_set.id} not found")
        for job in found:
            ready = await self._ended(job) if request.wait else job
            yield jobs.job_info(self._store.db, ready, details=request.details)

    async def ListJobSet(self, request: Msg) -> AsyncIterator[Msg]:
        """List job sets, newest first."""
        if request.jq_filter:
            raise absent("pps_v2.API/ListJobSet: jq_filter is not offered by the embedded pachd")
        db = self._store.db
        order = "ASC" if request.reverse else "DESC"
        projects = {p.name or "default" for p in request.projects}
        rows = db.execute(f"SELECT set_id FROM jobs GROUP BY set_id ORDER BY max(id) {order}").fetchall()  # noqa: S608  a constant of ours
        sent = 0
        for (set_id,) in rows:
            found = [
                job
                for job in jobs.select(db, "WHERE set_id = ? ORDER BY id", (set_id,))
                if not projects or pipelines.by_id(db, job.pipeline).project in projects
            ]
            if not found:
                continue
            yield wire.pps.JobSetInfo(
                job_set={"id": set_id}, jobs=[jobs.job_info(db, job, details=request.details) for job in found]
            )
            sent += 1
            if request.number and sent >= request.number:
                return

    async def StopJob(self, request: Msg) -> Msg:
        """Kill a job; one that has ended stays as it is."""
        return self._desk.do("stop_job", request)

    async def DeleteJob(self, request: Msg) -> Msg:
        """Kill a job and forget it; its output commit stays."""
        with self._store.write() as db:
            job = jobs.get(db, request.job)
            commits.end_job(db, job.id, commits.KILLED, "job deleted")
            db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
        return wire.Empty()

    # -- datums -------------------------------------------------------------------------------------------------------

    async def ListDatum(self, request: Msg) -> AsyncIterator[Msg]:
        """List the datums of a job, or those that an input would make."""
        if request.HasField("input"):
            for info in await self._dry(request.input):
                yield info
            return
        job = jobs.get(self._store.db, request.job)
        wanted = set(request.filter.state)
        rows = [row for row in jobs.datums(self._store.db, job.id) if not wanted or row.state in wanted]
        if request.reverse:
            rows.reverse()
        if request.pagination_marker:
            at = next((n for n, row in enumerate(rows) if row.id == request.pagination_marker), len(rows))
            rows = rows[at + 1 :]
        for row in rows[: request.number or None]:
            yield jobs.datum_info(self._engine, job, row)

    async def CreateDatum(self, requests: AsyncIterator[Msg]) -> AsyncIterator[Msg]:
        """Send the datums that an input would make, as many at a time as the client asks for."""
        rest: Iterator[Msg] | None = None
        async for request in requests:
            kind = request.WhichOneof("body")
            if rest is None:
                if kind != "start" or not request.start.HasField("input"):
                    raise invalid("CreateDatum: the first message has to be start, with an input")
                rest = iter(await self._dry(request.start.input))
            elif kind != "continue":
                raise invalid("CreateDatum: every message after the first has to be continue")
            number = getattr(request, kind).number
            sent = 0
            for info in itertools.islice(rest, number if number > 0 else BATCH):
                yield info
                sent += 1
            if not sent:
                return

    async def _dry(self, given: Msg) -> Iterable[Msg]:
        """List what an input would make, without a job."""
        given, named = input_of(given)
        read: list[tuple[Commit, Index]] = []
        for leaf, asked in zip(inputs.leaves(given), named, strict=True):
            project, name, kind = leaf.repo
            handle = wire.pfs.Commit(repo={"name": name, "type": kind, "project": {"name": project}})
            handle.id = asked or leaf.branch
            read.append(await self._engine.readable(refs.commit(self._store.db, handle)))
        found = datums.of_input(inputs.tree(given), [index for _, index in read], "")
        return (self._dry_info(datum, read) for datum in found)

    def _dry_info(self, datum: datums.Datum, read: list[tuple[Commit, Index]]) -> Msg:
        made = wire.pps.DatumInfo(datum={"id": datum.id})
        for file in datum.files:
            commit, index = read[file.leaf.number]
            entry = index.entries[file.path]
            made.data.append(views.file_info(views.commit(self._store.db, commit), commit, entry))
        return made

    async def InspectDatum(self, request: Msg) -> Msg:
        """Describe a datum of a job."""
        job = jobs.get(self._store.db, request.datum.job)
        return jobs.datum_info(self._engine, job, jobs.datum(self._store.db, job, request.datum.id))

    # -- logs ---------------------------------------------------------------------------------------------------------

    async def GetLogs(self, request: Msg) -> AsyncIterator[Msg]:
        """Send the log of a pipeline, a job or a datum; following it until the client has heard enough."""
        pipeline, only = self._scope(request)
        offsets: dict[str, int] = {}
        tail = request.tail
        while True:
            turn = self._store.pulse.turn
            found = list(self._lines(request, pipeline, only, offsets))
            for message in found[-tail:] if tail else found:
                yield message
            tail = 0  # only of what was there before
            if not request.follow or (only is not None and self._is_over(only)):
                return
            await self._wait_for_lines(turn)

    async def _wait_for_lines(self, turn: int) -> None:
        """Wait for a write, or a moment: user code prints without writing anything down."""
        try:
            async with asyncio.timeout(0.2):
                await self._store.pulse.after(turn)
        except TimeoutError:
            return

    def _scope(self, request: Msg) -> tuple[Pipeline, Job | None]:
        db = self._store.db
        handle = request.job if request.job.id else request.datum.job
        if handle.id:
            job = jobs.get(db, handle)
            return pipelines.by_id(db, job.pipeline), job
        return pipelines.get(db, request.pipeline), None

    def _is_over(self, job: Job) -> bool:
        found = jobs.find(self._store.db, job.id)
        return found is None or found.state in jobs.TERMINAL

    def _lines(self, request: Msg, pipeline: Pipeline, only: Job | None, offsets: dict[str, int]) -> Iterator[Msg]:
        """Read what is new in the logs and passes the filters."""
        since = now() - (request.since.ToNanoseconds() or DAY)
        chosen = [only] if only else jobs.select(self._store.db, "WHERE pipeline = ? ORDER BY id", (pipeline.id,))
        for job in chosen:
            read: dict[str, list[Msg]] = {}
            for offset, line in self._logs.read(pipeline.id, job.set_id, offsets.get(job.set_id, 0)):
                offsets[job.set_id] = offset
                if line.ts < since or (request.master and not line.master):
                    continue
                if request.datum.id and line.datum != request.datum.id:
                    continue
                if line.datum and line.datum not in read:
                    read[line.datum] = jobs.read_by(self._engine, job, line.datum)
                data = read.get(line.datum, [])
                if all(is_about(data, part) for part in request.data_filters):
                    yield _message(pipeline, job, line, data)


def _message(pipeline: Pipeline, job: Job, line: Line, data: list[Msg]) -> Msg:
    return wire.pps.LogMessage(
        project_name=pipeline.project,
        pipeline_name=pipeline.name,
        job_id=job.set_id,
        worker_id="" if line.master else f"{pipeline.name}-v{job.version}",
        datum_id=line.datum,
        master=line.master,
        data=[{"path": info.file.path, "hash": info.hash} for info in data],
        user=line.user,
        ts=views.stamp(line.ts),
        message=line.message,
    )
