"""Handlers for pipelines."""

from collections.abc import AsyncIterator

from cdl.embedded.pachd import crons, egress, inputs, jobs, pipelines, specs, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refusals import RefusedError, absent
from cdl.embedded.pachd.transactions import Desk
from cdl.embedded.pachd.wire import Msg


class Pipelines:
    """Answers about pipelines."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._desk = desk
        self._engine = engine
        self._store = engine.store
        self._layers = engine.layers

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pps_v2.API/{name}": getattr(self, name)
            for name in (
                "CreatePipeline",
                "CreatePipelineV2",
                "InspectPipeline",
                "ListPipeline",
                "DeletePipeline",
                "StartPipeline",
                "StopPipeline",
                "RerunPipeline",
                "RunCron",
            )
        }

    async def CreatePipeline(self, request: Msg) -> Msg:
        """Create or update a pipeline from a message."""
        self._create(request, specs.to_json(request))
        return wire.Empty()

    async def CreatePipelineV2(self, request: Msg) -> Msg:
        """Create or update a pipeline from JSON, which is kept as it was sent."""
        spec = specs.parse(request.create_pipeline_request_json)
        for flag in ("update", "reprocess", "dry_run"):
            setattr(spec, flag, getattr(spec, flag) or getattr(request, flag))
        return self._create(spec, request.create_pipeline_request_json)

    def _create(self, spec: Msg, user_json: str) -> Msg:
        egress.target_of(self._engine.options, self._engine.store.db, spec.egress)
        request = wire.pps.CreatePipelineTransaction(create_pipeline_request=spec, user_json=user_json)
        return self._desk.do("create_pipeline_v2", request)

    async def RerunPipeline(self, request: Msg) -> Msg:
        """Update a pipeline to the spec that it has."""
        with self._store.write() as db:
            found = pipelines.get(db, request.pipeline)
            row = pipelines.spec_of(db, found.id, found.version)
            wave = Wave(db)
            pipelines.create(wave, row.message(), row.user_json, update=True, reprocess=request.reprocess)
            wave.spread()
        return wire.Empty()

    async def RunCron(self, request: Msg) -> Msg:
        """Let a pipeline's cron inputs tick now."""
        with self._store.write() as db:
            wave = Wave(db)
            crons.run_now(wave, pipelines.get(db, request.pipeline))
            wave.spread()
        return wire.Empty()

    async def InspectPipeline(self, request: Msg) -> Msg:
        """Describe a pipeline."""
        found = pipelines.get(self._store.db, request.pipeline)
        return jobs.pipeline_info(self._store.db, found, found.version, details=request.details)

    async def ListPipeline(self, request: Msg) -> AsyncIterator[Msg]:
        """List pipelines, newest first, with older versions when asked."""
        if request.jq_filter:
            raise absent("pps_v2.API/ListPipeline: jq_filter is not offered by the embedded pachd")
        if request.commit_set.id or request.page.page_size:
            raise absent("pps_v2.API/ListPipeline: commit_set and page are not offered by the embedded pachd")
        db = self._store.db
        projects = {p.name or "default" for p in request.projects}
        if request.pipeline.name:
            found = [row for row in [pipelines.find(db, request.pipeline)] if row is not None]
        else:
            found = [Pipeline(*row) for row in db.execute("SELECT * FROM pipelines ORDER BY id DESC").fetchall()]
        for row in found:
            if projects and row.project not in projects:
                continue
            oldest = 1 if request.history < 0 else max(1, row.version - request.history)
            for version in range(row.version, oldest - 1, -1):
                yield jobs.pipeline_info(db, row, version, details=True)

    async def DeletePipeline(self, request: Msg) -> Msg:
        """Delete a pipeline; one that is not there is an error only when asked."""
        with self._store.write() as db:
            if request.all:
                for row in db.execute("SELECT * FROM pipelines WHERE project = 'default' ORDER BY id DESC").fetchall():
                    pipelines.delete(db, Pipeline(*row), force=request.force, keep_repo=request.keep_repo)
            elif found := pipelines.find(db, request.pipeline):
                pipelines.delete(db, found, force=request.force, keep_repo=request.keep_repo)
            elif request.must_exist:
                pipelines.get(db, request.pipeline)
        self._layers.forget()
        return wire.Empty()

    async def StartPipeline(self, request: Msg) -> Msg:
        """Connect a stopped pipeline to its inputs again."""
        with self._store.write() as db:
            pipelines.start(db, pipelines.get(db, request.pipeline))
        return wire.Empty()

    async def StopPipeline(self, request: Msg) -> Msg:
        """Cut a pipeline off its inputs."""
        with self._store.write() as db:
            found = pipelines.find(db, request.pipeline)
            if found is None and request.must_exist:
                pipelines.get(db, request.pipeline)
            if found is not None:
                pipelines.stop(db, found)
        return wire.Empty()


def input_of(message: Msg) -> tuple[Msg, list[str]]:
    """Complete and check an input that stands alone, as in a dry listing of datums.

    Gives the commits that its leaves name as well: a pipeline must not name one, a listing may.
    """
    spec = wire.pps.CreatePipelineRequest(pipeline={"name": "dry"}, input=message)
    completed = specs.complete(spec)
    named: list[str] = []
    for node in inputs.visit(completed.input):
        if node.HasField("cron"):
            raise RefusedError("datums of a cron input cannot be listed: they are made by its clock")
        if node.HasField("pfs"):
            named.append(node.pfs.commit)
            node.pfs.ClearField("commit")
    specs.check(completed)
    return completed.input, named
