"""Workspaces and the projects in them."""

import re

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined import removal
from cdl.embedded.determined.cluster_views import POOL
from cdl.embedded.determined.errors import ApiError, Code, invalid, refused
from cdl.embedded.determined.fields import Tree, items, section, text
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Project, Workspace
from cdl.embedded.determined.store import Value, dump
from cdl.embedded.determined.web import Answer, Call, Routes, page

KEY = re.compile(r"[A-Z0-9]{1,5}")
LONGEST_NAME = 80
SORTS = {"SORT_BY_NAME": "name", "SORT_BY_DESCRIPTION": "description"}


class Places:
    """Endpoints of workspaces and projects."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger
        self.store = master.store

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("GET", "/workspaces", self.workspaces)
        routes.add("POST", "/workspaces", self.add_workspace)
        one = "/workspaces/{id}"
        routes.add("GET", one, self.workspace)
        routes.add("PATCH", one, self.change_workspace)
        routes.add("DELETE", one, self.delete_workspace)
        routes.add("POST", f"{one}/archive", self.archive_workspace)
        routes.add("POST", f"{one}/unarchive", self.unarchive_workspace)
        routes.add("GET", f"{one}/projects", self.projects)
        routes.add("POST", f"{one}/projects", self.add_project)
        routes.add("GET", f"{one}/available-resource-pools", self.pools)
        routes.add("GET", "/projects/key/{key}", self.project_by_key)
        one = "/projects/{id}"
        routes.add("GET", one, self.project)
        routes.add("PATCH", one, self.change_project)
        routes.add("DELETE", one, self.delete_project)
        routes.add("POST", f"{one}/archive", self.archive_project)
        routes.add("POST", f"{one}/unarchive", self.unarchive_project)
        routes.add("PUT", f"{one}/notes", self.put_notes)

    def workspaces(self, call: Call) -> Answer:
        """List workspaces."""
        wanted, archived = call.query("name").lower(), call.flag("archived")
        exact = call.query("nameCaseSensitive")
        found = [
            self._workspace(each)
            for each in self.ledger.workspaces()
            if wanted in each.name.lower()
            and exact in ("", each.name)
            and (archived is None or archived == each.archived)
        ]
        return page(call, "workspaces", _sorted(call, found))

    def workspace(self, call: Call) -> Answer:
        """Show one workspace."""
        return {"workspace": self._workspace(self.ledger.workspace(call.id()))}

    def add_workspace(self, call: Call) -> Answer:
        """Add a workspace."""
        name = _name("workspace", text(call.body, "name"))
        self._check_free("workspaces", name)
        kept = dump(section(call.body, "checkpointStorageConfig"))
        number = self.store.insert("workspaces", name=name, user_id=call.user.id, storage=kept)
        return {"workspace": self._workspace(self.ledger.workspace(number)), "namespaceBindings": {}}

    def change_workspace(self, call: Call) -> Answer:
        """Change the name, or where checkpoints go by default."""
        found = self.ledger.workspace(call.id())
        changed: dict[str, Value] = {}
        if text(call.body, "name") and text(call.body, "name") != found.name:
            _may_change(call, "workspace", found)
            changed["name"] = _name("workspace", text(call.body, "name"))
            self._check_free("workspaces", str(changed["name"]), found.id)
        if isinstance(call.body.get("checkpointStorageConfig"), dict):
            call.owner(found.user_id, f"change the checkpoint storage of workspace '{found.name}'")
            changed["storage"] = dump(call.body["checkpointStorageConfig"])
        if changed:
            self.store.update("workspaces", found.id, **changed)
        return {"workspace": self._workspace(self.ledger.workspace(found.id))}

    def delete_workspace(self, call: Call) -> Answer:
        """Remove a workspace with its projects and their experiments."""
        found = self.ledger.workspace(call.id())
        _may_change(call, "workspace", found)
        if self.store.row("SELECT 1 FROM models WHERE workspace_id = ?", found.id):
            raise refused(f"workspace '{found.name}' holds models; move them to another one first")
        projects = self.ledger.projects(found.id)
        inside = [e for e in self.ledger.experiments() if e.project_id in {project.id for project in projects}]
        removal.remove(self.master, inside)
        with self.store.transaction():
            for table in ("projects", "templates", "webhooks"):
                self.store.run(f"DELETE FROM {table} WHERE workspace_id = ?", found.id)  # noqa: S608 - constants
            self.store.run("DELETE FROM workspaces WHERE id = ?", found.id)
        return {"completed": True}

    def archive_workspace(self, call: Call) -> Answer:
        """Let nothing new into a workspace."""
        return self._archive(call, "workspaces", self.ledger.workspace(call.id()), archived=True)

    def unarchive_workspace(self, call: Call) -> Answer:
        """Open it again."""
        return self._archive(call, "workspaces", self.ledger.workspace(call.id()), archived=False)

    def pools(self, call: Call) -> Answer:
        """Say which pools a workspace may use: the one there is."""
        self.ledger.workspace(call.id())
        return {"resourcePools": [POOL], "pagination": page(call, "pools", [{}])["pagination"]}

    def projects(self, call: Call) -> Answer:
        """List the projects of a workspace; a name must fit wholly."""
        home = self.ledger.workspace(call.id())
        wanted, archived = call.query("name"), call.flag("archived")
        found = [
            self._project(each)
            for each in self.ledger.projects(home.id)
            if wanted in ("", each.name) and (archived is None or archived == each.archived)
        ]
        return page(call, "projects", _sorted(call, found))

    def project(self, call: Call) -> Answer:
        """Show one project."""
        return {"project": self._project(self.ledger.project(call.id()))}

    def project_by_key(self, call: Call) -> Answer:
        """Show the project with a key."""
        found = [each for each in self.ledger.projects() if each.key == call.path("key").upper()]
        if not found:
            raise ApiError(Code.NOT_FOUND, f"project with key '{call.path('key')}' not found")
        return {"project": self._project(found[0])}

    def add_project(self, call: Call) -> Answer:
        """Add a project to a workspace."""
        home = self.ledger.workspace(call.id())
        if home.archived:
            raise refused(f"workspace '{home.name}' is archived")
        name = _name("project", text(call.body, "name"))
        self._check_free_in(home, name)
        number = self.store.insert(
            "projects",
            workspace_id=home.id,
            name=name,
            key=self._key(text(call.body, "key"), name),
            description=text(call.body, "description"),
            user_id=call.user.id,
        )
        return {"project": self._project(self.ledger.project(number))}

    def change_project(self, call: Call) -> Answer:
        """Change the name, the description or the key."""
        found = self.ledger.project(call.id())
        _may_change(call, "project", found)
        changed: dict[str, Value] = {}
        if text(call.body, "name") and text(call.body, "name") != found.name:
            changed["name"] = _name("project", text(call.body, "name"))
            self._check_free_in(self.ledger.workspace(found.workspace_id), str(changed["name"]))
        if isinstance(call.body.get("description"), str):
            changed["description"] = text(call.body, "description")
        if text(call.body, "key") and text(call.body, "key").upper() != found.key:
            changed["key"] = self._key(text(call.body, "key"), found.name)
        if changed:
            self.store.update("projects", found.id, **changed)
        return {"project": self._project(self.ledger.project(found.id))}

    def delete_project(self, call: Call) -> Answer:
        """Remove a project with its experiments."""
        found = self.ledger.project(call.id())
        _may_change(call, "project", found)
        removal.remove(self.master, [e for e in self.ledger.experiments() if e.project_id == found.id])
        self.store.run("DELETE FROM projects WHERE id = ?", found.id)
        return {"completed": True}

    def archive_project(self, call: Call) -> Answer:
        """Let nothing new into a project."""
        return self._archive(call, "projects", self.ledger.project(call.id()), archived=True)

    def unarchive_project(self, call: Call) -> Answer:
        """Open it again."""
        return self._archive(call, "projects", self.ledger.project(call.id()), archived=False)

    def put_notes(self, call: Call) -> Answer:
        """Replace the notes of a project."""
        found = self.ledger.project(call.id())
        sent = [note for note in items(call.body, "notes") if isinstance(note, dict)]
        notes = [{"name": text(note, "name"), "contents": text(note, "contents")} for note in sent]
        self.store.update("projects", found.id, notes=dump(notes))
        return {"notes": notes}

    def _archive(self, call: Call, table: str, found: Workspace | Project, *, archived: bool) -> Answer:
        _may_change(call, table.removesuffix("s"), found)
        self.store.update(table, found.id, archived=int(archived))
        return {}

    def _workspace(self, found: Workspace) -> Tree:
        row = self.store.row(
            "SELECT count(DISTINCT projects.id) AS projects, count(experiments.id) AS experiments"
            " FROM projects LEFT JOIN experiments ON project_id = projects.id WHERE workspace_id = ?",
            found.id,
        )
        counts = (int(row["projects"]), int(row["experiments"])) if row else (0, 0)
        return views.workspace(found, self.ledger.username(found.user_id), *counts)

    def _project(self, found: Project) -> Tree:
        inside = [e for e in self.ledger.experiments() if e.project_id == found.id]
        row = self.store.row(
            "SELECT count(*) AS runs FROM trials JOIN experiments e ON e.id = experiment_id WHERE project_id = ?",
            found.id,
        )
        home = self.ledger.workspace(found.workspace_id)
        runs = int(row["runs"]) if row else 0
        return views.project(found, home, self.ledger.username(found.user_id), inside, runs)

    def _check_free(self, table: str, name: str, besides: int = 0) -> None:
        if self.store.row(f"SELECT 1 FROM {table} WHERE name = ? AND id != ?", name, besides):  # noqa: S608 - constants
            raise ApiError(Code.ALREADY_EXISTS, f"a workspace named '{name}' exists already")

    def _check_free_in(self, home: Workspace, name: str) -> None:
        if any(each.name == name for each in self.ledger.projects(home.id)):
            raise ApiError(Code.ALREADY_EXISTS, f"a project named '{name}' exists already in '{home.name}'")

    def _key(self, wanted: str, name: str) -> str:
        """Return a key nobody has: the wanted one, or one made of the name."""
        taken = {each.key for each in self.ledger.projects()}
        if wanted:
            key = wanted.upper()
            if not KEY.fullmatch(key):
                raise invalid(f"project key '{wanted}' must be one to five letters or digits")
            if key in taken:
                raise ApiError(Code.ALREADY_EXISTS, f"a project with the key '{key}' exists already")
            return key
        start = re.sub(r"[^A-Z0-9]", "", name.upper())[:3] or "P"
        return next(key for number in range(len(taken) + 1) if (key := f"{start}{number or ''}") not in taken)


def _name(kind: str, name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise invalid(f"{kind} name '{name[:LONGEST_NAME]}' must have 1 to {LONGEST_NAME} characters, not only spaces")
    return name


def _may_change(call: Call, kind: str, found: Workspace | Project) -> None:
    if found.immutable:
        raise refused(f"{kind} '{found.name}' is immutable")
    call.owner(found.user_id, f"change the {kind} '{found.name}' of somebody else")


def _sorted(call: Call, found: list[Tree]) -> list[Tree]:
    key = SORTS.get(call.query("sortBy"), "id")
    ordered = sorted(found, key=lambda each: (each.get(key) is not None, each.get(key)))
    return ordered[::-1] if call.query("orderBy") == "ORDER_BY_DESC" else ordered
