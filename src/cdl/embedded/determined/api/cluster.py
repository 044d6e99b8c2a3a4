"""Log in, who am I, and what the command line asks about the cluster."""

from cdl.embedded.determined import views
from cdl.embedded.determined.errors import invalid, missing
from cdl.embedded.determined.fields import Tree, text
from cdl.embedded.determined.master import VERSION, Master
from cdl.embedded.determined.web import Answer, Call, Routes, page

CREATED = "1970-01-01T00:00:00Z"


class Cluster:
    """Endpoints about people and the cluster."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("POST", "/auth/login", self.login, public=True)
        routes.add("POST", "/auth/logout", self.logout)
        routes.add("GET", "/auth/user", self.me)
        routes.add("GET", "/me", self.me)
        routes.add("GET", "/users", self.users)
        routes.add("GET", "/master", self.info, public=True)
        routes.add("GET", "/master/telemetry", self.telemetry, public=True)
        routes.add("GET", "//info", self.info, public=True)
        routes.add("GET", "/workspaces", self.workspaces)
        routes.add("GET", "/workspaces/{id}", self.workspace)
        routes.add("GET", "/workspaces/{id}/projects", self.projects)
        routes.add("GET", "/projects/{id}", self.project)
        routes.add("GET", "/resource-pools", self.pools)

    def login(self, call: Call) -> Answer:
        """Open a session."""
        if call.body.get("isHashed") is False:
            raise invalid("the password must be sent hashed")
        user, token = self.master.accounts.login(text(call.body, "username"), text(call.body, "password"))
        return {"token": token, "user": views.user(user)}

    def logout(self, call: Call) -> Answer:
        """Close the session."""
        self.master.accounts.logout(call.token)
        return {}

    def me(self, call: Call) -> Answer:
        """Show the caller."""
        return {"user": views.user(call.user)}

    def users(self, call: Call) -> Answer:
        """List users."""
        return page(call, "users", [views.user(user) for user in self.master.accounts.users()])

    def info(self, _call: Call) -> Answer:
        """Show the cluster."""
        cluster = self.master.place.cluster_id
        return {
            "clusterId": cluster,
            "clusterName": "embedded",
            "masterId": cluster,
            "version": VERSION,
            "hasCustomLogo": False,
            "strictJobQueueControl": False,
            "rbacEnabled": False,
            "telemetryEnabled": False,
            "userManagementEnabled": False,
            "ssoProviders": [],
            "featureSwitches": [],
            "branding": "determined",
        }

    def telemetry(self, _call: Call) -> Answer:
        """Say that nothing is sent anywhere."""
        return {"enabled": False, "segmentKey": ""}

    def workspaces(self, call: Call) -> Answer:
        """List the one workspace."""
        wanted = call.query("name").lower()
        return page(call, "workspaces", [w for w in [_workspace()] if wanted in str(w["name"]).lower()])

    def workspace(self, call: Call) -> Answer:
        """Show the one workspace."""
        _only(call, "workspace")
        return {"workspace": _workspace()}

    def projects(self, call: Call) -> Answer:
        """List the one project."""
        _only(call, "workspace")
        return page(call, "projects", [self._project()])

    def project(self, call: Call) -> Answer:
        """Show the one project."""
        _only(call, "project")
        return {"project": self._project()}

    def pools(self, call: Call) -> Answer:
        """Say which pool there is; the full object belongs to real agents."""
        return page(call, "resourcePools", [])

    def _project(self) -> Tree:
        count = len(self.master.ledger.experiments())
        named = {"id": 1, "name": views.PROJECT, "workspaceId": 1, "workspaceName": views.WORKSPACE}
        flags = {"archived": False, "immutable": True, "state": "WORKSPACE_STATE_UNSPECIFIED"}
        counts = {"numActiveExperiments": 0, "numExperiments": count, "numRuns": 0}
        owner = {"username": "admin", "userId": 1, "notes": [], "errorMessage": "", "key": ""}
        return named | flags | counts | owner


def _workspace() -> Tree:
    named = {"id": 1, "name": views.WORKSPACE, "username": "admin", "userId": 1}
    flags = {"archived": False, "immutable": True, "pinned": False}
    rest = {"numProjects": 1, "numExperiments": 0, "state": "WORKSPACE_STATE_UNSPECIFIED"}
    return named | flags | rest | {"errorMessage": "", "autoCreateNamespace": False}


def _only(call: Call, kind: str) -> None:
    if call.id() != 1:
        raise missing(f"{kind} '{call.id()}' not found; this master has only {views.PROJECT}")
