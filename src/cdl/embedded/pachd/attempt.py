"""The try loop of one datum: stage, run, on failure run err_cmd, upload; each attempt on a fresh bench."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cdl.embedded.pachd import bench as benches
from cdl.embedded.pachd import jobs, refs, secrets
from cdl.embedded.pachd.atwork import AtWork, RestartedError, Running
from cdl.embedded.pachd.bench import Bench, Laid
from cdl.embedded.pachd.blobs import Held, Part
from cdl.embedded.pachd.children import Children
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.inputs import Leaf
from cdl.embedded.pachd.jobs import DatumRow, DatumState, FileRow, Job
from cdl.embedded.pachd.logs import Line, Logs
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import is_full, now
from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.wire import Msg


@dataclass
class Outcome:
    """What came of a datum."""

    state: int = DatumState.FAILED
    counted: int = DatumState.FAILED
    files: list[tuple[str, Part]] = field(default_factory=list)
    small: list[tuple[bytes, bytes]] = field(default_factory=list)
    download_ns: int = 0
    process_ns: int = 0
    upload_ns: int = 0
    download_bytes: int = 0
    upload_bytes: int = 0


class Source(NamedTuple):
    """A leaf of the input with the commit that the job reads there."""

    leaf: Leaf
    commit: Commit
    held: Index


@dataclass(frozen=True)
class _Task:
    """One datum and what its attempts share."""

    bench: Bench
    transform: Msg
    files: list[Laid]
    env: dict[str, str]
    mark: str
    timeout: float | None
    say: Callable[[str], None]
    hear: Callable[[str], None]
    about: Callable[[], Running]


class Attempts:
    """Runs datums."""

    def __init__(self, engine: Engine, children: Children, logs: Logs, at_work: AtWork) -> None:
        self._engine = engine
        self._children = children
        self._logs = logs
        self._at_work = at_work

    def _folder(self, job: Job) -> Path:
        """Tell where a job's benches stand: never where another job's, or this one's before a crash, stood."""
        return self._engine.options.folder.absolute() / "scratch" / f"{job.id}-{job.restart}"

    def scrap(self, job: Job) -> None:
        """Remove what a job left on its benches."""
        shutil.rmtree(self._folder(job), ignore_errors=True)

    async def process(self, job: Job, pipeline: Pipeline, spec: Msg, sources: list[Source], row: DatumRow) -> Outcome:
        """Try a datum until it succeeds or its tries are used up."""
        read = jobs.files_of(self._engine.store.db, job.id, row.id)
        names = sorted({source.leaf.name for source in (sources[file.leaf] for file in read)})
        given = secrets.given_to(self._engine.store.db, pipeline.name, spec.transform)
        mounted = await self._children.mounts()
        bench = Bench(self._folder(job) / row.id[:16], self._engine.options, names, given.files, mounted=mounted)
        timeout = spec.datum_timeout.ToNanoseconds() / 1e9
        task = _Task(
            bench,
            spec.transform,
            [
                Laid(sources[file.leaf].leaf.name, entry, empty=sources[file.leaf].leaf.empty_files)
                for file in read
                for entry in sources[file.leaf].held.files(file.path.rstrip("/") or "/")
            ],
            {**self._environment(job, pipeline, spec, row), **given.env, **_of_inputs(sources, read)},
            f"PACH_DATUM_ID={row.id}",
            timeout or None,
            lambda text: self._logs.say(job.pipeline, job.set_id, text, datum=row.id),
            lambda text: self._logs.add(
                job.pipeline, job.set_id, Line(now(), text, user=True, datum=row.id, path=row.path)
            ),
            lambda: Running(
                job.pipeline,
                job.set_id,
                f"{pipeline.name}-v{job.version}",
                lambda: jobs.read_by(self._engine, job, row.id),
            ),
        )
        outcome = Outcome()
        try:
            for attempt in range(1, spec.datum_tries + 1):
                task.say(f"datum {row.path}: attempt {attempt} of {spec.datum_tries} started")
                if await self._tried(task, outcome):
                    # A datum that recovered once keeps that state although it counts as processed.
                    outcome.counted = DatumState.SUCCESS
                    if outcome.state != DatumState.RECOVERED:
                        outcome.state = DatumState.SUCCESS
                    return outcome
            outcome.counted = outcome.state
            return outcome
        finally:
            await asyncio.shield(asyncio.to_thread(bench.clear))

    async def _tried(self, task: _Task, outcome: Outcome) -> bool:
        """Try until nobody has the datum begun again: to be asked for that is no failure."""
        while True:
            try:
                return await self._attempt(task, outcome)
            except RestartedError:
                task.say("begun again, as somebody asked")

    async def _attempt(self, task: _Task, outcome: Outcome) -> bool:
        """Try once; a failure that err_cmd takes care of marks the outcome as recovered."""
        try:
            return await self._steps(task, outcome)
        except OSError as error:  # such as a folder that user code made unreadable; a full disk is nobody's attempt
            if is_full(error):
                raise
            task.say(f"attempt failed: {error}")
            return False

    async def _steps(self, task: _Task, outcome: Outcome) -> bool:
        """Stage, run, upload; on failure run err_cmd."""
        began = time.monotonic_ns()
        outcome.download_bytes = await asyncio.to_thread(task.bench.lay, self._engine.blobs, task.files)
        laid = time.monotonic_ns()
        fine = await self._run(task, list(task.transform.cmd), list(task.transform.stdin))
        ran = time.monotonic_ns()
        outcome.download_ns, outcome.process_ns = laid - began, ran - laid
        if fine:
            fine = await self._upload(task, outcome)
            outcome.upload_ns = time.monotonic_ns() - ran
        if not fine and task.transform.err_cmd:
            task.say("running err_cmd")
            if await self._run(task, list(task.transform.err_cmd), list(task.transform.err_stdin)):
                outcome.state = DatumState.RECOVERED
        return fine

    async def _run(self, task: _Task, cmd: list[str], stdin: list[str]) -> bool:
        """Run a command and tell whether its exit code means success."""
        began = time.monotonic()
        try:
            program = task.bench.program(cmd, stdin, task.env, task.mark, task.transform.working_dir)
            async with asyncio.timeout(task.timeout):
                status = await self._at_work.run(task.about(), self._children.run(program, task.hear))
        except TimeoutError:
            task.say(f"killed: {cmd[0]} ran longer than datum_timeout, {task.timeout:g}s")
            return False
        except RefusedError as error:
            task.say(error.text)
            return False
        task.say(f"{cmd[0]} exited with code {status} after {time.monotonic() - began:.3f}s")
        return status == 0 or status in set(task.transform.accept_return_code)

    async def _upload(self, task: _Task, outcome: Outcome) -> bool:
        """Take what the command wrote; a file that a commit cannot hold fails the attempt."""
        files: list[tuple[str, Part]] = []
        small: list[tuple[bytes, bytes]] = []
        batches = task.bench.harvest(self._engine.blobs)
        try:
            while batch := await asyncio.to_thread(_next, batches):
                files += [(path, held.part) for path, held in batch]
                if small:
                    self._engine.blobs.keep_now(small)
                small = [(held.part.digest, held.body) for _, held in batch if held.path is None]
        except RefusedError as error:
            task.say(f"upload failed: {error.text}")
            return False
        outcome.files, outcome.small = files, small
        outcome.upload_bytes = sum(part.size for _, part in files)
        task.say(f"uploaded {len(files)} files, {outcome.upload_bytes} bytes")
        return True

    def _environment(self, job: Job, pipeline: Pipeline, spec: Msg, row: DatumRow) -> dict[str, str]:
        """Make the environment that user code may see: little of ours, what is documented, and its own."""
        version_commit = self._spec_commit(job)
        options = self._engine.options
        return {
            **benches.ambient(),
            "PACH_NAMESPACE": "default",
            "PACH_IN_WORKER": "true",
            "PEER_PORT": str(options.port),
            "PACHD_PEER_SERVICE_HOST": options.host,
            "PACHD_PEER_SERVICE_PORT": str(options.port),
            "PPS_PROJECT_NAME": pipeline.project,
            "PPS_PIPELINE_NAME": pipeline.name,
            "PPS_SPEC_COMMIT": version_commit,
            "PPS_POD_NAME": f"{pipeline.name}-v{job.version}",
            "PPS_WORKER_IP": options.host,
            "PPS_WORKER_GRPC_PORT": str(options.port),
            **dict(spec.transform.env),
            "PACH_DATUM_ID": row.id,
            "PACH_JOB_ID": job.set_id,
            "PACH_OUTPUT_COMMIT_ID": refs.commit_by_id(self._engine.store.db, job.output).set_id,
        }

    def _spec_commit(self, job: Job) -> str:
        row = self._engine.store.db.execute(
            "SELECT spec_commit FROM specs WHERE pipeline = ? AND version = ?", (job.pipeline, job.version)
        ).fetchone()
        return str(row[0])


def _of_inputs(sources: list[Source], read: list[FileRow]) -> dict[str, str]:
    """Make the part of the environment that names the datum's inputs; of a group, the last file is named."""
    made: dict[str, str] = {}
    for file in read:
        leaf, commit, _ = sources[file.leaf]
        made[leaf.name] = f"/pfs/{leaf.name}{file.path.rstrip('/') or '/'}"
        made[f"{leaf.name}_COMMIT"] = commit.set_id
        made[f"PACH_DATUM_{leaf.name}_JOIN_ON"] = file.joined
        made[f"PACH_DATUM_{leaf.name}_GROUP_BY"] = file.grouped
    return made


def _next(batches: Iterator[list[tuple[str, Held]]]) -> list[tuple[str, Held]]:
    return next(batches, [])
