"""Handlers for the defaults of pipeline specs."""

import sqlite3

from cdl.embedded.pachd import acts, defaults, jobs, pipelines, refs, specs, views, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.inputs import visit
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.wire import Msg


class _DryError(Exception):
    """Ends a transaction of the database that was only to be tried."""


class Defaults:
    """Answers about defaults."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pps_v2.API/{name}": getattr(self, name)
            for name in ("GetClusterDefaults", "SetClusterDefaults", "GetProjectDefaults", "SetProjectDefaults")
        }

    async def GetClusterDefaults(self, _request: Msg) -> Msg:
        """Tell the cluster's defaults."""
        return wire.pps.GetClusterDefaultsResponse(cluster_defaults_json=defaults.read(self._store.db)[0])

    async def GetProjectDefaults(self, request: Msg) -> Msg:
        """Tell a project's defaults."""
        project = refs.project(self._store.db, request.project.name)
        text, created = defaults.read(self._store.db, project)
        return wire.pps.GetProjectDefaultsResponse(project_defaults_json=text, created_at=views.stamp(created))

    async def SetClusterDefaults(self, request: Msg) -> Msg:
        """Replace the cluster's defaults; pipelines follow when asked."""
        found = self._set(request, request.cluster_defaults_json, None)
        return wire.pps.SetClusterDefaultsResponse(affected_pipelines=found)

    async def SetProjectDefaults(self, request: Msg) -> Msg:
        """Replace a project's defaults; its pipelines follow when asked."""
        project = refs.project(self._store.db, request.project.name)
        found = self._set(request, request.project_defaults_json, project)
        return wire.pps.SetProjectDefaultsResponse(affected_pipelines=found)

    def _set(self, request: Msg, text: str, project: str | None) -> list[Msg]:
        """Keep defaults and tell which pipelines they change; in a dry run nothing is kept."""
        found: list[Msg] = []
        try:
            with self._store.write() as db:
                defaults.write(db, text, project)
                if request.regenerate:
                    found = _regenerate(db, project, reprocess=request.reprocess)
                if request.dry_run:
                    raise _DryError
        except _DryError:
            return found
        return found


def _regenerate(db: sqlite3.Connection, project: str | None, *, reprocess: bool) -> list[Msg]:
    """Update every pipeline whose completed spec the defaults have changed."""
    wave = Wave(db)
    found: list[Msg] = []
    rows = db.execute("SELECT * FROM pipelines WHERE ? IN ('', project) ORDER BY id", (project or "",)).fetchall()
    for row in map(Pipeline._make, rows):
        kept = pipelines.spec_of(db, row.id, row.version)
        asked = specs.parse(kept.user_json)
        asked.pipeline.project.name = row.project
        made = specs.complete(defaults.applied(db, asked, specs.to_json(asked)))
        if _comparable(made) == _comparable(kept.message()):
            continue
        asked.update, asked.reprocess = True, reprocess
        request = wire.pps.CreatePipelineTransaction(create_pipeline_request=asked, user_json=kept.user_json)
        acts.create_pipeline_v2(wave, request)
        found.append(jobs.handle(row))
    wave.spread()
    return found


def _comparable(spec: Msg) -> Msg:
    """Leave out what is no part of what a spec says: flags of one request, and when its clocks were first set."""
    made = wire.pps.CreatePipelineRequest.FromString(spec.SerializeToString())
    for flag in ("update", "reprocess", "dry_run"):
        made.ClearField(flag)
    for node in visit(made.input):
        if node.HasField("cron"):
            node.cron.ClearField("start")
    return made
