"""Jobs and datums as rows: what is asked of them, and how the wire shows them."""

import sqlite3
from typing import NamedTuple

from cdl.embedded.pachd import pipelines, refs, remarks, views, wire
from cdl.embedded.pachd.commits import LIVE_JOBS
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.inputs import visit
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError, missing
from cdl.embedded.pachd.remarks import About
from cdl.embedded.pachd.wire import Msg

CREATED, STARTING, RUNNING, FAILURE, SUCCESS, KILLED, EGRESSING, FINISHING, UNRUNNABLE = range(1, 10)
TERMINAL = frozenset({FAILURE, SUCCESS, KILLED, UNRUNNABLE})


class DatumState:
    """A datum's states, by the wire's numbers; WAITING is shown as STARTING while its job runs."""

    UNKNOWN, FAILED, SUCCESS, SKIPPED, STARTING, RECOVERED = range(6)


class Job(NamedTuple):
    """A job; its id on the wire is that of its commit set."""

    id: int
    pipeline: int
    set_id: str
    version: int
    output: int
    state: int
    reason: str
    restart: int
    planned: int
    total: int
    created: int
    started: int
    finished: int


class FileRow(NamedTuple):
    """One thing that a datum reads: the number of its input, the commit, the path, and how it was joined or grouped."""

    leaf: int
    upstream: int
    path: str
    joined: str
    grouped: str


class DatumRow(NamedTuple):
    """One datum of one job: its stored state, the state that it counts as, and the job that really processed it."""

    job: int
    id: str
    seq: int
    hash: str
    state: int
    counted: int
    path: str
    origin: str
    download_ns: int
    process_ns: int
    upload_ns: int
    download_bytes: int
    upload_bytes: int


def find(db: sqlite3.Connection, key: int) -> Job | None:
    """Look for a job that may have been removed meanwhile."""
    row = db.execute("SELECT * FROM jobs WHERE id = ?", (key,)).fetchone()
    return Job(*row) if row else None


def get(db: sqlite3.Connection, handle: Msg) -> Job:
    """Find a job by its pipeline and global id, or refuse."""
    pipeline = pipelines.get(db, handle.pipeline)
    row = db.execute("SELECT * FROM jobs WHERE pipeline = ? AND set_id = ?", (pipeline.id, handle.id)).fetchone()
    if row is None:
        raise missing(f"job {pipeline}@{handle.id} not found")
    return Job(*row)


def select(db: sqlite3.Connection, where: str, values: tuple[object, ...] = ()) -> list[Job]:
    """Read jobs by a condition of ours."""
    return [Job(*row) for row in db.execute("SELECT * FROM jobs " + where, values)]  # noqa: S608  conditions are constants of ours


def next_live(db: sqlite3.Connection) -> list[Job]:
    """Read the oldest job of every pipeline that still has something to do."""
    return select(
        db,
        f"WHERE id IN (SELECT min(j.id) FROM jobs j JOIN pipelines p ON p.id = j.pipeline"  # noqa: S608  a constant of ours
        f" WHERE j.state IN {LIVE_JOBS} AND p.state <> {pipelines.FAILURE} GROUP BY j.pipeline)",
    )


def move(db: sqlite3.Connection, job: Job, state: int, **columns: int) -> None:
    """Take a live job to its next state."""
    more = "".join(f", {name} = ?" for name in columns)
    db.execute(
        f"UPDATE jobs SET state = ?{more} WHERE id = ? AND state IN {LIVE_JOBS}",  # noqa: S608  names of ours
        (state, *columns.values(), job.id),
    )


def datums(db: sqlite3.Connection, job: int) -> list[DatumRow]:
    """Read a job's datums in their order."""
    return [DatumRow(*row) for row in db.execute("SELECT * FROM datums WHERE job = ? ORDER BY seq", (job,))]


def files_of(db: sqlite3.Connection, job: int, datum: str) -> list[FileRow]:
    """Read what a datum reads, in the order of the input."""
    rows = db.execute(
        "SELECT leaf, upstream, path, joined, grouped FROM datum_files WHERE job = ? AND datum = ? ORDER BY seq",
        (job, datum),
    )
    return [FileRow(*row) for row in rows]


def inputs(db: sqlite3.Connection, job: Job) -> list[Commit]:
    """Read the commits that a job reads: all that its output comes from, but the spec."""
    return refs.commits(
        db,
        "WHERE id IN (SELECT p.upstream FROM commit_provenance p JOIN commits c ON c.id = p.upstream"
        " JOIN repos r ON r.id = c.repo WHERE p.downstream = ? AND r.type <> 'spec') ORDER BY id",
        (job.output,),
    )


# -- as the wire shows them -------------------------------------------------------------------------------------------


def handle(pipeline: Pipeline) -> Msg:
    """Make a pipeline's handle."""
    return wire.pps.Pipeline(project={"name": pipeline.project}, name=pipeline.name)


def job_info(db: sqlite3.Connection, job: Job, *, details: bool) -> Msg:
    """Describe a job; the counts come from its datums."""
    pipeline = pipelines.by_id(db, job.pipeline)
    counts = dict(
        db.execute("SELECT counted, count(*) FROM datums WHERE job = ? GROUP BY counted", (job.id,)).fetchall()
    )
    sums = db.execute(
        "SELECT sum(download_ns), sum(process_ns), sum(upload_ns), sum(download_bytes), sum(upload_bytes)"
        " FROM datums WHERE job = ? AND state <> ?",
        (job.id, DatumState.SKIPPED),
    ).fetchone()
    output = refs.commit_by_id(db, job.output)
    info = wire.pps.JobInfo(
        job={"pipeline": handle(pipeline), "id": job.set_id},
        pipeline_version=job.version,
        output_commit=views.commit(db, output, named=True),
        restart=job.restart,
        data_total=job.total,
        data_processed=counts.get(DatumState.SUCCESS, 0),
        data_skipped=counts.get(DatumState.SKIPPED, 0),
        data_failed=counts.get(DatumState.FAILED, 0),
        data_recovered=counts.get(DatumState.RECOVERED, 0),
        stats=_stats(*(int(value or 0) for value in sums)),
        state=job.state,
        reason=job.reason,
        created=views.stamp(job.created),
        started=views.stamp(job.started),
        finished=views.stamp(job.finished),
    )
    if details:
        info.details.CopyFrom(_details(db, job))
    return info


def _stats(download: int, process: int, upload: int, got: int, gave: int) -> Msg:
    return wire.pps.ProcessStats(
        download_time=views.span(download),
        process_time=views.span(process),
        upload_time=views.span(upload),
        download_bytes=got,
        upload_bytes=gave,
    )


def _details(db: sqlite3.Connection, job: Job) -> Msg:
    """Copy what the job's version of the spec says; its input names the job as commit."""
    version = pipelines.spec_of(db, job.pipeline, job.version)
    spec = version.message()
    made = wire.pps.JobInfoDetails(salt=version.salt)
    copy_fields(spec, made, skip=frozenset({"salt"}))
    for node in visit(made.input):
        for kind in ("pfs", "cron"):
            if node.HasField(kind):
                getattr(node, kind).commit = job.set_id
    return made


def copy_fields(source: Msg, target: Msg, skip: frozenset[str] = frozenset()) -> None:
    """Copy what two messages have in common by name."""
    names = {field.name for field in target.DESCRIPTOR.fields} - skip
    for field, value in source.ListFields():
        if field.name not in names:
            continue
        if field.message_type is not None and not isinstance(value, (str, bytes)):
            getattr(target, field.name).MergeFrom(value)
        else:
            setattr(target, field.name, value)


def pipeline_info(db: sqlite3.Connection, pipeline: Pipeline, version: int, *, details: bool) -> Msg:
    """Describe one version of a pipeline."""
    row = pipelines.spec_of(db, pipeline.id, version)
    spec = row.message()
    last = db.execute("SELECT state FROM jobs WHERE pipeline = ? ORDER BY id DESC LIMIT 1", (pipeline.id,)).fetchone()
    spec_repo = refs.find_repo(db, refs.RepoName(pipeline.project, pipeline.name, "spec"))
    info = wire.pps.PipelineInfo(
        pipeline=handle(pipeline),
        version=version,
        stopped=bool(pipeline.stopped),
        state=_state(db, pipeline, spec),
        reason=pipeline.reason,
        last_job_state=last[0] if last else 0,
        parallelism=spec.parallelism_spec.constant,
        type=1,
        user_spec_json=row.user_json,
        effective_spec_json=row.effective_json,
        spec_commit=wire.pfs.Commit(repo=views.repo(spec_repo), id=row.spec_commit) if spec_repo else None,
        metadata=remarks.read(db, About("pipeline", pipeline.id)),
    )
    if details:
        copy_fields(spec, info.details, skip=frozenset({"salt"}))
        info.details.salt = row.salt
        info.details.created_at.FromNanoseconds(pipeline.created)
        info.details.updated_at.FromNanoseconds(row.updated)
        info.details.workers_requested = spec.parallelism_spec.constant
    return info


def _state(db: sqlite3.Connection, pipeline: Pipeline, spec: Msg) -> int:
    """Tell a pipeline's state; an autoscaling one that has nothing to do stands by."""
    if pipeline.state == pipelines.RUNNING and spec.autoscaling:
        busy = db.execute(f"SELECT 1 FROM jobs WHERE pipeline = ? AND state IN {LIVE_JOBS}", (pipeline.id,)).fetchone()  # noqa: S608  a constant of ours
        return pipelines.RUNNING if busy else pipelines.STANDBY
    return pipeline.state


def datum_info(engine: Engine, job: Job, row: DatumRow) -> Msg:
    """Describe a datum of a job."""
    db = engine.store.db
    pipeline = pipelines.by_id(db, job.pipeline)
    meta = refs.find_repo(db, refs.RepoName(pipeline.project, pipeline.name, "meta"))
    return wire.pps.DatumInfo(
        datum={"job": {"pipeline": handle(pipeline), "id": row.origin or job.set_id}, "id": row.id},
        state=row.state,
        stats=_stats(row.download_ns, row.process_ns, row.upload_ns, row.download_bytes, row.upload_bytes),
        pfs_state={"commit": {"repo": views.repo(meta), "id": row.origin or job.set_id}, "path": f"/pfs/{row.id}"}
        if meta
        else None,
        data=read_by(engine, job, row.id),
    )


def read_by(engine: Engine, job: Job, datum: str) -> list[Msg]:
    """Describe what a datum reads."""
    return [_file_info(engine, file) for file in files_of(engine.store.db, job.id, datum)]


def _file_info(engine: Engine, file: FileRow) -> Msg:
    """Describe what a datum read; only its path, when the commit was removed meanwhile."""
    commit = refs.find_commit(engine.store.db, file.upstream)
    entry = engine.layers.index(commit.id).find(file.path.rstrip("/") or "/") if commit is not None else None
    if commit is not None and entry is not None:
        return views.file_info(views.commit(engine.store.db, commit), commit, entry)
    return wire.pfs.FileInfo(file={"path": file.path}, file_type=views.DIR if file.path.endswith("/") else views.FILE)


def datum(db: sqlite3.Connection, job: Job, key: str) -> DatumRow:
    """Find a datum of a job, or refuse; the real server's code here is UNKNOWN."""
    row = db.execute("SELECT * FROM datums WHERE job = ? AND id = ?", (job.id, key)).fetchone()
    if row is None:
        raise RefusedError(f"datum {key} could not be found for job ID {job.set_id}")
    return DatumRow(*row)
