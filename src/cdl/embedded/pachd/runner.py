"""Jobs at work: one at a time per pipeline, their datums in parallel; each result is one transaction."""

import asyncio
import shutil
import sqlite3
import sys
import traceback
from dataclasses import dataclass

from cdl.embedded.pachd import commits, datums, egress, inputs, jobs, layers, pipelines, refs, trees
from cdl.embedded.pachd.attempt import Attempts, Outcome, Source
from cdl.embedded.pachd.atwork import AtWork
from cdl.embedded.pachd.children import Children
from cdl.embedded.pachd.commits import FINISHED
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.jobs import DatumRow, DatumState, Job
from cdl.embedded.pachd.layers import base_of
from cdl.embedded.pachd.logs import Logs
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import is_full, now
from cdl.embedded.pachd.trees import Change, put
from cdl.embedded.pachd.wire import Msg

PAUSE = 0.5
"""Seconds before a failed egress is tried again; doubled each time."""


@dataclass(frozen=True)
class Work:
    """A job with all that running it needs."""

    job: Job
    pipeline: Pipeline
    spec: Msg
    salt: str
    sources: list[Source]


class Foreman:
    """Gives every pipeline's oldest unfinished job a task, and takes it away when the job has ended."""

    def __init__(self, engine: Engine, children: Children, logs: Logs, at_work: AtWork) -> None:
        self._engine = engine
        self._store = engine.store
        self._logs = logs
        self._tasks: dict[int, tuple[int, asyncio.Task[None]]] = {}
        self._slots = asyncio.Semaphore(engine.options.workers)
        self._attempts = Attempts(engine, children, logs, at_work)
        shutil.rmtree(engine.options.folder / "scratch", ignore_errors=True)
        with self._store.write() as db:  # what ran when the server died starts again; its finished datums stay
            db.execute(
                "UPDATE jobs SET state = ?, restart = restart + 1 WHERE state IN (?, ?, ?)",
                (jobs.CREATED, jobs.STARTING, jobs.RUNNING, jobs.EGRESSING),
            )

    async def run(self) -> None:
        """Look at the jobs whenever anything was written; forever."""
        try:
            while True:
                turn = self._store.pulse.turn
                self._dismiss()
                for job in jobs.next_live(self._store.db):
                    if job.pipeline not in self._tasks and job.state != jobs.FINISHING:
                        task = asyncio.create_task(self._run_job(job))
                        task.add_done_callback(lambda _: self._store.pulse.beat())
                        self._tasks[job.pipeline] = (job.id, task)
                await self._store.pulse.after(turn)
        finally:
            for _, task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._tasks.values()), return_exceptions=True)

    def _dismiss(self) -> None:
        """Cancel tasks whose job has ended otherwise, and forget those that are done."""
        for pipeline, (key, task) in list(self._tasks.items()):
            if task.done():
                del self._tasks[pipeline]
                if not task.cancelled() and (error := task.exception()) is not None:
                    self._failed(key, error)
                continue
            job = jobs.find(self._store.db, key)
            if job is None or job.state in jobs.TERMINAL:
                task.cancel()

    def _failed(self, key: int, error: BaseException) -> None:
        """End a job that the engine itself could not run, and say why."""
        traceback.print_exception(error, file=sys.stderr)
        try:
            with self._store.write() as db:
                commits.end_job(db, key, jobs.FAILURE, f"pachd could not run the job: {error}")
        except sqlite3.OperationalError as full:  # the job stays live and is tried again
            print(f"pachd: the job's end could not be written down: {full}", file=sys.stderr)

    async def _run_job(self, job: Job) -> None:
        while True:
            try:
                await self._steps_or_end(job)
                return
            except (OSError, sqlite3.OperationalError) as error:
                if isinstance(error, OSError) and not is_full(error):
                    raise
                print(f"pachd: job {job.set_id} waits: {error}", file=sys.stderr)  # it may get room again
                self._attempts.scrap(job)
                await asyncio.sleep(2)
            finally:
                self._logs.done(job.pipeline, job.set_id)

    async def _steps_or_end(self, job: Job) -> None:
        try:
            await self._steps(job)
        except RefusedError as error:
            self._end(job, jobs.FAILURE, error.text)

    async def _steps(self, job: Job) -> None:
        """Take a job from created to finishing."""
        with self._store.write() as db:
            jobs.move(db, job, jobs.STARTING)
        self._say(job, "job created: waiting for its input commits")
        if not self._has_inputs(job):
            self._end(job, jobs.UNRUNNABLE, "unrunnable because its input commit was deleted")
            return
        try:
            read = [await self._engine.until(c, FINISHED) for c in jobs.inputs(self._store.db, job)]
        except RefusedError as gone:
            self._end(job, jobs.UNRUNNABLE, f"unrunnable because its input {gone.text}")
            return
        if bad := [commit for commit in read if commit.error]:
            self._end(job, jobs.UNRUNNABLE, self._unrunnable(bad))
            return
        work = self._prepare(job)
        with self._store.write() as db:
            jobs.move(db, job, jobs.RUNNING, started=job.started or now())
        limit = work.spec.job_timeout.ToNanoseconds()
        try:
            async with asyncio.timeout(self._left(job, limit)):
                self._plan(work)
                await self._process(work)
                await self._egress(work)
        except TimeoutError:
            self._end(job, jobs.KILLED, f"job timed out after {limit / 1e9:g}s")
            return
        self._conclude(work)

    def _has_inputs(self, job: Job) -> bool:
        """Tell whether every repo that the job reads still has the commit that it was made for."""
        spec = pipelines.spec_of(self._store.db, job.pipeline, job.version).message()
        there = {str(refs.repo_by_id(self._store.db, c.repo)) for c in jobs.inputs(self._store.db, job)}
        return all(str(leaf.repo) in there for leaf in inputs.leaves(spec.input))

    def _left(self, job: Job, limit: int) -> float | None:
        if not limit:
            return None
        current = jobs.find(self._store.db, job.id)
        return (limit - (now() - (current.started if current else now()))) / 1e9

    def _unrunnable(self, bad: list[Commit]) -> str:
        """Say which inputs cannot be used."""
        names = sorted({commits.pipeline_of(self._store.db, c).rsplit("/", 1)[-1] for c in bad} - {""})
        if names:
            return "unrunnable because the following upstream pipelines failed: " + ", ".join(names)
        return "unrunnable because the following input commits have an error: " + ", ".join(
            refs.spoken(self._store.db, c) for c in bad
        )

    def _prepare(self, job: Job) -> Work:
        db = self._store.db
        spec = pipelines.spec_of(db, job.pipeline, job.version)
        message = spec.message()
        by_repo = {str(refs.repo_by_id(db, c.repo)): c for c in jobs.inputs(db, job)}
        sources = []
        for leaf in inputs.leaves(message.input):
            commit = by_repo[str(leaf.repo)]
            sources.append(Source(leaf, commit, self._engine.layers.index(commit.id)))
        return Work(job, pipelines.by_id(db, job.pipeline), message, spec.salt, sources)

    def _plan(self, work: Work) -> None:
        """Write down what the job will do, once; a job that is run again keeps its plan."""
        job = work.job
        with self._store.write() as db:
            current = jobs.find(db, job.id)
            if current is None or current.planned:
                return
            found = datums.of_input(inputs.tree(work.spec.input), [s.held for s in work.sources], work.salt)
            base, tags = self._base(job)
            done = (
                {}
                if base is None
                else {
                    row.id: row
                    for row in jobs.datums(db, base.id)
                    if row.state in {DatumState.SUCCESS, DatumState.SKIPPED}
                }
            )
            plan = datums.plan(
                found,
                {key: row.hash for key, row in done.items()},
                tags=tags,
                everything=work.spec.reprocess_spec == "every_job",
            )
            layers.add(db, job.output, (Change("untag", "", tag) for tag in plan.remove))
            order = {datum.id: seq for seq, datum in enumerate(found)}
            rows = [(d, DatumState.STARTING, job.set_id) for d in plan.process]
            rows += [(d, DatumState.SKIPPED, done[d.id].origin) for d in plan.skip]
            db.executemany(
                "INSERT INTO datums (job, id, seq, hash, state, counted, path, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (job.id, d.id, order[d.id], d.hash, state, state, d.files[0].path, origin)
                    for d, state, origin in rows
                ),
            )
            db.executemany(
                "INSERT INTO datum_files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (job.id, d.id, n, f.leaf.number, work.sources[f.leaf.number].commit.id, f.path, f.joined, f.grouped)
                    for d in found
                    for n, f in enumerate(d.files)
                ),
            )
            db.execute("UPDATE jobs SET planned = 1, total = ? WHERE id = ?", (len(found), job.id))
        self._say(job, f"job started: {len(found)} datums, {len(plan.process)} to process, {len(plan.skip)} skipped")

    def _base(self, job: Job) -> tuple[Job | None, set[str]]:
        """Find the job that the output builds on, and the tags that are in its output."""
        db = self._store.db
        commit = base_of(db, job.output)
        if commit is None:
            return None, set()
        tags = {tag for by_tag in self._engine.layers.tree(commit).values() for tag in by_tag}
        found = jobs.select(db, "WHERE output = ? AND pipeline = ?", (commit, job.pipeline))
        return (found[0] if found else None), tags

    async def _process(self, work: Work) -> None:
        """Process what is planned and not yet done."""
        waiting = [row for row in jobs.datums(self._store.db, work.job.id) if row.state == DatumState.STARTING]
        todo = iter(waiting)
        count = min(work.spec.parallelism_spec.constant, self._engine.options.workers, max(1, len(waiting)))

        async def work_through() -> None:
            for row in todo:
                async with self._slots:
                    await self._process_one(work, row)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(work_through())
        except ExceptionGroup as errors:  # the first says what is wrong; the rest were cancelled
            raise errors.exceptions[0] from errors

    async def _egress(self, work: Work) -> None:
        """Copy the output out where the spec says so; what goes wrong there is tried again until it goes well."""
        target = egress.target_of(self._engine.options, self._store.db, work.spec.egress)
        failed = [row for row in jobs.datums(self._store.db, work.job.id) if row.state == DatumState.FAILED]
        if target is None or failed or trees.fault(self._engine.layers.tree(work.job.output)):
            return  # what cannot be finished does not leave
        with self._store.write() as db:
            jobs.move(db, work.job, jobs.EGRESSING)
        index = self._engine.layers.index(work.job.output)
        pause = PAUSE
        while True:
            try:
                found = await asyncio.to_thread(target.write, self._engine.blobs, index)
            except OSError as error:
                self._why(work.job, f"egress to {target.name} failed and is tried again: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, 30.0)
                continue
            if pause > PAUSE:
                self._why(work.job, "")
            self._say(work.job, f"egress to {target.name}: {_counted(found)}")
            return

    def _why(self, job: Job, reason: str) -> None:
        """Say on the job itself why its egress is not done yet."""
        with self._store.write() as db:
            db.execute("UPDATE jobs SET reason = ? WHERE id = ? AND state = ?", (reason, job.id, jobs.EGRESSING))
        if reason:
            self._say(job, reason)

    async def _process_one(self, work: Work, row: DatumRow) -> None:
        outcome = await self._attempts.process(work.job, work.pipeline, work.spec, work.sources, row)
        with self._store.write() as db:
            current = jobs.find(db, work.job.id)
            if current is None or current.state != jobs.RUNNING:
                return
            self._engine.blobs.keep(db, outcome.small)
            layers.add(db, work.job.output, (put(path, part, row.id) for path, part in outcome.files))
            self._record(db, work.job, row, outcome)

    def _record(self, db: sqlite3.Connection, job: Job, row: DatumRow, outcome: Outcome) -> None:
        db.execute(
            "UPDATE datums SET state = ?, counted = ?, download_ns = ?, process_ns = ?, upload_ns = ?,"
            " download_bytes = ?, upload_bytes = ? WHERE job = ? AND id = ?",
            (
                outcome.state,
                outcome.counted,
                outcome.download_ns,
                outcome.process_ns,
                outcome.upload_ns,
                outcome.download_bytes,
                outcome.upload_bytes,
                job.id,
                row.id,
            ),
        )

    def _conclude(self, work: Work) -> None:
        """Close the output when every datum is done; a failed one fails the job."""
        job = work.job
        with self._store.write() as db:
            current = jobs.find(db, job.id)
            if current is None or current.state not in {jobs.RUNNING, jobs.EGRESSING}:
                return
            failed = [row for row in jobs.datums(db, job.id) if row.state == DatumState.FAILED]
            if failed:
                commits.end_job(db, job.id, jobs.FAILURE, f"datum {failed[0].id} failed")
            else:
                jobs.move(db, job, jobs.FINISHING)
                for commit in commits.outputs_of(db, job.output):
                    commits.finish(db, commit)
        self._say(job, "job failed" if failed else "job done: finishing its output commit")

    def _end(self, job: Job, state: int, reason: str) -> None:
        with self._store.write() as db:
            commits.end_job(db, job.id, state, reason)
        self._say(job, f"job ended: {reason}")

    def _say(self, job: Job, message: str) -> None:
        self._logs.say(job.pipeline, job.set_id, message, master=True)


def _counted(found: int | dict[str, int]) -> str:
    """Say how much has left."""
    if isinstance(found, dict):
        return ", ".join(f"{count} rows of {table}" for table, count in sorted(found.items())) or "no rows"
    return f"{found} bytes"
