"""Pipelines: made, updated, stopped, started and deleted, each in the caller's transaction."""

import sqlite3
from typing import NamedTuple

from cdl.embedded.pachd import commits, graph, inputs, refs, specs, triggers, wire
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.refs import Branch, Repo, RepoName
from cdl.embedded.pachd.refusals import RefusedError, exists, missing
from cdl.embedded.pachd.store import new_id, now
from cdl.embedded.pachd.wire import Msg

RUNNING, FAILURE, PAUSED, STANDBY = 2, 4, 5, 6


class Pipeline(NamedTuple):
    """A pipeline as it is now."""

    id: int
    project: str
    name: str
    version: int
    output_branch: str
    stopped: int
    state: int
    reason: str
    created: int

    def __str__(self) -> str:
        return f"{self.project}/{self.name}"


class Spec(NamedTuple):
    """One version of a pipeline."""

    pipeline: int
    version: int
    spec: bytes
    user_json: str
    effective_json: str
    salt: str
    spec_commit: str
    updated: int

    def message(self) -> Msg:
        """Read the completed spec."""
        return wire.pps.CreatePipelineRequest.FromString(self.spec)


def find(db: sqlite3.Connection, handle: Msg) -> Pipeline | None:
    """Look for a pipeline."""
    row = db.execute(
        "SELECT * FROM pipelines WHERE project = ? AND name = ?", (handle.project.name or "default", handle.name)
    ).fetchone()
    return Pipeline(*row) if row else None


def get(db: sqlite3.Connection, handle: Msg) -> Pipeline:
    """Find a pipeline or refuse."""
    if not handle.name:
        raise RefusedError("a pipeline must be named: pipeline.name is empty", "INVALID_ARGUMENT")
    found = find(db, handle)
    if found is None:
        raise missing(f"pipeline {handle.project.name or 'default'}/{handle.name} not found")
    return found


def by_id(db: sqlite3.Connection, key: int) -> Pipeline:
    """Read a pipeline that is known to be there."""
    return Pipeline(*db.execute("SELECT * FROM pipelines WHERE id = ?", (key,)).fetchone())


def spec_of(db: sqlite3.Connection, pipeline: int, version: int) -> Spec:
    """Read one version's spec."""
    return Spec(*db.execute("SELECT * FROM specs WHERE pipeline = ? AND version = ?", (pipeline, version)).fetchone())


def create(wave: Wave, spec: Msg, user_json: str, *, update: bool, reprocess: bool) -> None:
    """Make a pipeline, or its next version; a job follows when the wave spreads."""
    db = wave.db
    found = find(db, spec.pipeline)
    if found is not None and not update:
        raise exists(f"pipeline {found} already exists")
    sources = _sources(wave, spec)
    if found is None:
        repos = _make_repos(db, spec)
        key = _insert(db, spec)
        salt, version = spec.salt or new_id(), 1
    else:
        repos = _repos(db, found)
        key, version = found.id, found.version + 1
        salt = new_id() if reprocess else spec_of(db, key, found.version).salt
        commits.stop_jobs_of(db, key, f"pipeline updated to version {version}")
        if found.output_branch != spec.output_branch:
            wave.depend(wave.branch(repos["user"], found.output_branch), [])
    failed = not spec.transform.cmd
    stopped = bool(found and found.stopped)
    state = FAILURE if failed else PAUSED if stopped else RUNNING
    db.execute(
        "UPDATE pipelines SET version = ?, output_branch = ?, state = ?, reason = ? WHERE id = ?",
        (version, spec.output_branch, state, "no transform.cmd" if failed else "", key),
    )
    _write_version(wave, key, version, spec, user_json, salt, repos)
    if not stopped:
        _connect(wave, spec, repos, sources)


def _write_version(
    wave: Wave, key: int, version: int, spec: Msg, user_json: str, salt: str, repos: dict[str, Repo]
) -> None:
    """Write a version down, with the commit in the spec repo that stands for it."""
    made = wave.commit(wave.branch(repos["spec"], "master"), done=True)
    wave.db.execute(
        "INSERT INTO specs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (key, version, spec.SerializeToString(), user_json, specs.to_json(spec), salt, made.set_id, now()),
    )


class Source(NamedTuple):
    """A branch that a pipeline reads, and whether its commits are let through."""

    branch: Branch
    never: bool


def _sources(wave: Wave, spec: Msg) -> list[Source]:
    """Find the input's branches; their repos must be there."""
    refs.project(wave.db, spec.pipeline.project.name)
    found: dict[int, Source] = {}
    for leaf in inputs.leaves(spec.input):
        repo = refs.find_repo(wave.db, leaf.repo)
        if repo is None and leaf.cron:
            repo = refs.make_repo(wave.db, leaf.repo, f"Cron tick repo for pipeline {spec.pipeline.name}.")
        if repo is None:
            raise missing(f"pipeline {spec.pipeline.name}: input repo {leaf.repo} not found")
        branch = wave.headed(repo, leaf.branch)
        if leaf.trigger:
            triggers.replace(wave.db, branch, wire.pfs.Trigger.FromString(leaf.trigger), depends=False)
        known = found.get(branch.id)
        found[branch.id] = Source(branch, leaf.never and (known is None or known.never))
    return list(found.values())


def _names(project: str, name: str) -> list[RepoName]:
    return [RepoName(project, name, kind) for kind in ("user", "spec", "meta")]


def _make_repos(db: sqlite3.Connection, spec: Msg) -> dict[str, Repo]:
    """Make the three repos of a new pipeline."""
    project, name = spec.pipeline.project.name, spec.pipeline.name
    made: dict[str, Repo] = {}
    for wanted in _names(project, name):
        if refs.find_repo(db, wanted) is not None:
            raise exists(f"pipeline {project}/{name} cannot be created: repo {wanted} already exists")
        what = "Output" if wanted.type == "user" else wanted.type.capitalize()
        made[wanted.type] = refs.make_repo(db, wanted, f"{what} repo for pipeline {name}.")
    return made


def _repos(db: sqlite3.Connection, pipeline: Pipeline) -> dict[str, Repo]:
    found = [refs.find_repo(db, name) for name in _names(pipeline.project, pipeline.name)]
    return {repo.type: repo for repo in found if repo is not None}


def _insert(db: sqlite3.Connection, spec: Msg) -> int:
    key = db.execute(
        "INSERT INTO pipelines (project, name, version, output_branch, state, created) VALUES (?, ?, 0, ?, ?, ?)",
        (spec.pipeline.project.name, spec.pipeline.name, spec.output_branch, RUNNING, now()),
    ).lastrowid
    if key is None:
        raise RefusedError(f"pipeline {spec.pipeline.name} could not be written")
    return key


def _connect(wave: Wave, spec: Msg, repos: dict[str, Repo], sources: list[Source]) -> None:
    """Let output and meta depend on the inputs and the spec; both get a new commit."""
    upstream = [*(source.branch for source in sources), wave.branch(repos["spec"], "master")]
    never = frozenset(source.branch.id for source in sources if source.never)
    for repo, name in ((repos["user"], spec.output_branch), (repos["meta"], "master")):
        branch = wave.branch(repo, name)
        wave.depend(branch, upstream, never)
        wave.want(branch)


def _outputs(wave: Wave, pipeline: Pipeline) -> list[Branch]:
    repos = _repos(wave.db, pipeline)
    return [wave.branch(repos["user"], pipeline.output_branch), wave.branch(repos["meta"], "master")]


def stop(db: sqlite3.Connection, pipeline: Pipeline) -> None:
    """Cut a pipeline off its inputs and end its jobs."""
    if pipeline.stopped:
        return
    commits.stop_jobs_of(db, pipeline.id, "pipeline stopped")
    wave = Wave(db)
    for branch in _outputs(wave, pipeline):
        wave.depend(branch, [])
    db.execute("UPDATE pipelines SET stopped = 1, state = ? WHERE id = ?", (PAUSED, pipeline.id))


def start(db: sqlite3.Connection, pipeline: Pipeline) -> None:
    """Connect a stopped pipeline again: one job for what is there now."""
    if not pipeline.stopped:
        return
    spec = spec_of(db, pipeline.id, pipeline.version).message()
    wave = Wave(db)
    state = RUNNING if spec.transform.cmd else FAILURE
    db.execute("UPDATE pipelines SET stopped = 0, state = ? WHERE id = ?", (state, pipeline.id))
    _connect(wave, spec, _repos(db, pipeline), _sources(wave, spec))
    wave.spread()


def delete(db: sqlite3.Connection, pipeline: Pipeline, *, force: bool, keep_repo: bool) -> None:
    """Remove a pipeline with its jobs and repos; the output repo stays when asked."""
    repos = _repos(db, pipeline)
    commits.stop_jobs_of(db, pipeline.id, "pipeline deleted")
    wave = Wave(db)
    for branch in _outputs(wave, pipeline):
        wave.depend(branch, [])
    if not keep_repo:
        graph.delete_repo(db, repos["user"], force=force)
    for kind in ("spec", "meta"):
        left = refs.find_repo(db, RepoName(pipeline.project, pipeline.name, kind))
        if left is not None:
            graph.delete_repo(db, left, force=True)
    spec = spec_of(db, pipeline.id, pipeline.version).message()
    _delete_triggered(db, spec)
    for leaf in inputs.leaves(spec.input):
        ticks = refs.find_repo(db, leaf.repo) if leaf.cron and not keep_repo else None
        if ticks is not None:
            graph.delete_repo(db, ticks, force=force)
    db.execute("DELETE FROM pipelines WHERE id = ?", (pipeline.id,))


def _delete_triggered(db: sqlite3.Connection, spec: Msg) -> None:
    """Remove the branches that only this pipeline's triggers moved, unless somebody else has come to use them."""
    for leaf in inputs.leaves(spec.input):
        repo = refs.find_repo(db, leaf.repo) if leaf.trigger else None
        branch = refs.find_branch(db, repo.id, leaf.branch) if repo is not None else None
        if branch is not None and not graph.downstream(db, branch.id):
            graph.delete_branch(db, branch, force=False)
