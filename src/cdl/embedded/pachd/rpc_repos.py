"""Handlers for the cluster, projects, repos and branches."""

from collections.abc import AsyncIterator

from cdl.embedded.pachd import graph, refs, remarks, views, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.refs import Branch, Repo, RepoName
from cdl.embedded.pachd.refusals import RefusedError, exists, missing
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.transactions import Desk
from cdl.embedded.pachd.wire import Msg

VERSION = (2, 12, 2)


class Repos:
    """Answers for everything that names commits, but is none."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._desk = desk
        self._store = engine.store
        self._layers = engine.layers

    def handlers(self) -> Handlers:
        """List what is answered here."""
        own = {
            name: getattr(self, name)
            for name in (
                "CreateProject",
                "InspectProject",
                "ListProject",
                "DeleteProject",
                "CreateRepo",
                "InspectRepo",
                "ListRepo",
                "DeleteRepo",
                "CreateBranch",
                "InspectBranch",
                "ListBranch",
                "DeleteBranch",
            )
        }
        return {
            "versionpb_v2.API/GetVersion": self.GetVersion,
            "admin_v2.API/InspectCluster": self.InspectCluster,
            **{f"pfs_v2.API/{name}": handler for name, handler in own.items()},
        }

    async def GetVersion(self, request: Msg) -> Msg:
        """Tell the version whose protocol is spoken."""
        major, minor, micro = VERSION
        return wire.version.Version(major=major, minor=minor, micro=micro)

    async def InspectCluster(self, request: Msg) -> Msg:
        """Tell who this is; a client of another minor version is only warned."""
        asked = request.client_version
        skewed = (asked.major, asked.minor) not in {(0, 0), VERSION[:2]}
        text = f"the client speaks {asked.major}.{asked.minor}, this server {VERSION[0]}.{VERSION[1]}"
        cluster = self._store.fact("cluster")
        return wire.admin.ClusterInfo(
            id=cluster,
            deployment_id=cluster,
            warnings_ok=True,
            warnings=[text] if skewed else [],
            metadata=remarks.read(self._store.db, remarks.CLUSTER),
        )

    # -- projects -----------------------------------------------------------------------------------------------------

    async def CreateProject(self, request: Msg) -> Msg:
        """Create a project, or update its description."""
        name = refs.check_name("project", request.project.name)
        with self._store.write() as db:
            known = db.execute("SELECT 1 FROM projects WHERE name = ?", (name,)).fetchone()
            if known and not request.update:
                raise exists(f"project {name} already exists")
            if not known and request.update:
                raise missing(f"project {name} not found")
            db.execute(
                "INSERT INTO projects VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET description = excluded.description",
                (name, request.description, now()),
            )
        return wire.Empty()

    async def InspectProject(self, request: Msg) -> Msg:
        """Describe a project."""
        return views.project_info(self._store.db, refs.project(self._store.db, request.project.name))

    async def ListProject(self, request: Msg) -> AsyncIterator[Msg]:
        """List the projects."""
        for row in self._store.db.execute("SELECT name FROM projects ORDER BY created DESC, name").fetchall():
            yield views.project_info(self._store.db, str(row[0]))

    async def DeleteProject(self, request: Msg) -> Msg:
        """Delete an empty project; by force, also one with repos that nothing writes."""
        with self._store.write() as db:
            name = refs.project(db, request.project.name)
            repos = [Repo(*row) for row in db.execute("SELECT * FROM repos WHERE project = ?", (name,))]
            pipelines = db.execute("SELECT count(*) FROM pipelines WHERE project = ?", (name,)).fetchone()[0]
            if pipelines or (repos and not request.force):
                raise RefusedError(
                    f"project {name} cannot be deleted: it has {len(repos)} repos and {pipelines} pipelines"
                )
            for repo in repos:
                if refs.find_repo(db, RepoName(repo.project, repo.name, repo.type)) is not None:
                    graph.delete_repo(db, repo, force=True)
            db.execute("DELETE FROM projects WHERE name = ?", (name,))
        self._layers.forget()
        return wire.Empty()

    # -- repos --------------------------------------------------------------------------------------------------------

    async def CreateRepo(self, request: Msg) -> Msg:
        """Create a repo, or update its description."""
        return self._desk.do("create_repo", request)

    async def InspectRepo(self, request: Msg) -> Msg:
        """Describe a repo."""
        return views.repo_info(self._store.db, refs.repo(self._store.db, request.repo))

    async def ListRepo(self, request: Msg) -> AsyncIterator[Msg]:
        """List repos, newest first; of one type, and of some projects, when asked."""
        projects = {p.name or "default" for p in request.projects}
        rows = self._store.db.execute("SELECT * FROM repos ORDER BY id DESC").fetchall()
        found = [
            row
            for row in map(Repo._make, rows)
            if (not request.type or row.type == request.type) and (not projects or row.project in projects)
        ]
        if request.HasField("page") and request.page.page_size:
            start = request.page.page_index * request.page.page_size
            found = found[start : start + request.page.page_size]
        for row in found:
            yield views.repo_info(self._store.db, row)

    async def DeleteRepo(self, request: Msg) -> Msg:
        """Delete a repo; one that is not there is no error, and a pipeline's goes with the pipeline."""
        return self._desk.do("delete_repo", request)

    # -- branches -----------------------------------------------------------------------------------------------------

    async def CreateBranch(self, request: Msg) -> Msg:
        """Create a branch, move its head, or replace what it depends on or is triggered by."""
        return self._desk.do("create_branch", request)

    async def InspectBranch(self, request: Msg) -> Msg:
        """Describe a branch."""
        return views.branch_info(self._store.db, refs.branch(self._store.db, request.branch))

    async def ListBranch(self, request: Msg) -> AsyncIterator[Msg]:
        """List branches, newest first; of one repo when it is named."""
        db = self._store.db
        order = "id" if request.reverse else "id DESC"
        if request.repo.name:
            owner = refs.repo(db, request.repo)
            rows = db.execute(f"SELECT * FROM branches WHERE repo = ? ORDER BY {order}", (owner.id,)).fetchall()  # noqa: S608  a constant of ours
        else:
            rows = db.execute(f"SELECT * FROM branches ORDER BY {order}").fetchall()  # noqa: S608  a constant of ours
        for row in rows:
            yield views.branch_info(db, Branch(*row))

    async def DeleteBranch(self, request: Msg) -> Msg:
        """Delete a branch; its commits stay."""
        return self._desk.do("delete_branch", request)
