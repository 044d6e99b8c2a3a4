"""Handlers that look at everything at once: summaries, alerts, checks, and removal of many things."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable

from cdl.embedded.pachd import commits, defaults, fsck, graph, jobs, pickers, pipelines, refs, remarks, views, wire
from cdl.embedded.pachd.commits import LIVE_JOBS
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Repo
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg

FAILED, CRASHING, PAUSED = 4, 7, 5
UNHEALTHY = frozenset({jobs.KILLED, jobs.FAILURE, jobs.UNRUNNABLE})


class Overview:
    """Answers about the whole cluster, or about whole projects."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    def handlers(self) -> Handlers:
        """List what is answered here."""
        pfs = ("InspectProjectV2", "ReposSummary", "DeleteRepos", "Fsck")
        pps = ("PipelinesSummary", "DeletePipelines", "CheckStatus")
        return {
            "metadata.API/EditMetadata": self.EditMetadata,
            **{f"pfs_v2.API/{name}": getattr(self, name) for name in pfs},
            **{f"pps_v2.API/{name}": getattr(self, name) for name in pps},
        }

    async def EditMetadata(self, request: Msg) -> Msg:
        """Edit what is kept beside things; all edits or none."""
        with self._store.write() as db:
            remarks.edit(db, list(request.edits))
        return wire.metadata.EditMetadataResponse()

    async def InspectProjectV2(self, request: Msg) -> Msg:
        """Describe a project with its defaults."""
        db = self._store.db
        name = refs.project(db, request.project.name)
        return wire.pfs.InspectProjectV2Response(
            info=views.project_info(db, name), defaults_json=defaults.read(db, name)[0]
        )

    async def ReposSummary(self, request: Msg) -> Msg:
        """Count the user repos of the named projects and add up their sizes; one without repos is left out."""
        db = self._store.db
        answer = wire.pfs.ReposSummaryResponse()
        for picker in request.projects:
            name = pickers.project(db, picker)
            rows = db.execute("SELECT * FROM repos WHERE project = ? AND type = 'user'", (name,)).fetchall()
            if rows:
                sizes = [views.repo_info(db, Repo(*row)).size_bytes_upper_bound for row in rows]
                answer.summaries.add(project={"name": name}, user_repo_count=len(rows), size_bytes=sum(sizes))
        return answer

    async def PipelinesSummary(self, request: Msg) -> Msg:
        """Count the pipelines of the named projects, or of all, by how they are."""
        db = self._store.db
        answer = wire.pps.PipelinesSummaryResponse()
        every = [str(row[0]) for row in db.execute("SELECT name FROM projects ORDER BY created DESC, name")]
        for name in [pickers.project(db, picker) for picker in request.projects] or every:
            found = [jobs.pipeline_info(db, row, row.version, details=False) for row in _pipelines(db, {name})]
            if not found:
                continue
            failed = sum(info.state in {FAILED, CRASHING} for info in found)
            paused = sum(info.state == PAUSED for info in found)
            answer.summaries.add(
                project={"name": name},
                active_pipelines=len(found) - failed - paused,
                paused_pipelines=paused,
                failed_pipelines=failed,
                unhealthy_pipelines=sum(info.last_job_state in UNHEALTHY for info in found),
            )
        return answer

    async def CheckStatus(self, request: Msg) -> AsyncIterator[Msg]:
        """Send the pipelines whose workers have been up for longer than their spec expects."""
        db = self._store.db
        wanted = {refs.project(db, request.project.name)} if request.project.name else None
        for row in _pipelines(db, wanted):
            spec = pipelines.spec_of(db, row.id, row.version).message()
            limit = spec.maximum_expected_uptime.ToNanoseconds()
            since = db.execute(
                f"SELECT min(created) FROM jobs WHERE pipeline = ? AND state IN {LIVE_JOBS}",  # noqa: S608  a constant of ours
                (row.id,),
            ).fetchone()[0]
            if limit and since and now() - since > limit:
                over = (now() - since - limit) / 1e9
                text = (
                    f"{row}: workers have run since {views.spoken_time(since)}, exceeded maximum uptime by {over:.0f}s"
                )
                yield wire.pps.CheckStatusResponse(
                    project={"name": row.project}, pipeline=jobs.handle(row), alerts=[text]
                )

    async def DeleteRepos(self, request: Msg) -> Msg:
        """Delete the repos of projects, or all, but those that belong to pipelines; all or none."""
        with self._store.write() as db:
            wanted = None if request.all else {p.name or "default" for p in request.projects}
            going = _free_repos(db, wanted)
            _part(db, [repo.id for repo in going])
            handles = [views.repo(repo) for repo in going]
            for repo in going:
                if refs.find_repo(db, refs.RepoName(repo.project, repo.name, repo.type)) is not None:
                    graph.delete_repo(db, repo, force=request.force)
        self._engine.layers.forget()
        return wire.pfs.DeleteReposResponse(repos=handles)

    async def DeletePipelines(self, request: Msg) -> Msg:
        """Delete the pipelines of projects, or all; all or none."""
        with self._store.write() as db:
            wanted = None if request.all else {p.name or "default" for p in request.projects}
            found = _pipelines(db, wanted)
            for row in found:
                pipelines.stop(db, row)  # which parts them from one another as well
            for row in found:
                pipelines.delete(db, row, force=request.force, keep_repo=request.keep_repo)
        self._engine.layers.forget()
        return wire.pps.DeletePipelinesResponse(pipelines=[jobs.handle(row) for row in found])

    async def Fsck(self, request: Msg) -> AsyncIterator[Msg]:
        """Send what does not hold in the store. Nothing of it can be mended by itself: `fix` finds nothing to do."""
        db = self._store.db
        if request.zombie_all or (request.HasField("zombie_target") and request.zombie_target.id):
            for text in self._zombies(request):
                yield wire.pfs.FsckResponse(error=text)
            return
        for text in list(fsck.graph_faults(db)):
            yield wire.pfs.FsckResponse(error=text)
        for text in await asyncio.to_thread(self._content_faults):
            yield wire.pfs.FsckResponse(error=text)

    def _content_faults(self) -> list[str]:
        return list(fsck.content_faults(self._store.reader(), self._engine.blobs))

    def _zombies(self, request: Msg) -> Iterable[str]:
        db = self._store.db
        if request.zombie_all:
            where = "WHERE id IN (SELECT output FROM jobs WHERE state = ?) ORDER BY id"
            chosen = refs.commits(db, where, (commits.SUCCESS,))
        else:
            chosen = [refs.commit(db, request.zombie_target)]
        for commit in chosen:
            yield from fsck.zombies(db, self._engine.layers, commit)


def _pipelines(db: sqlite3.Connection, projects: set[str] | None) -> list[Pipeline]:
    """Read the pipelines of some projects, newest first."""
    rows = [Pipeline(*row) for row in db.execute("SELECT * FROM pipelines ORDER BY id DESC").fetchall()]
    return [row for row in rows if projects is None or row.project in projects]


def _free_repos(db: sqlite3.Connection, projects: set[str] | None) -> list[Repo]:
    """Read the repos of some projects that no pipeline owns, newest first."""
    rows = db.execute(
        "SELECT r.* FROM repos r WHERE NOT EXISTS"
        " (SELECT 1 FROM pipelines p WHERE p.project = r.project AND p.name = r.name) ORDER BY r.id DESC"
    ).fetchall()
    return [row for row in map(Repo._make, rows) if projects is None or row.project in projects]


def _part(db: sqlite3.Connection, repos: list[int]) -> None:
    """Cut what goes together: only dependants outside may keep a repo from going."""
    keys = json.dumps(repos)
    db.execute(
        "WITH ours AS (SELECT id FROM branches WHERE repo IN (SELECT value FROM json_each(?)))"
        " DELETE FROM branch_provenance WHERE downstream IN ours AND upstream IN ours",
        (keys,),
    )
