"""Config templates: keep, show, change, remove."""

import json
import sqlite3

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined.errors import ApiError, Code, invalid, missing
from cdl.embedded.determined.fields import Tree, section, text, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.store import dump, load
from cdl.embedded.determined.templates import merged
from cdl.embedded.determined.web import Answer, Call, Routes, page


class Templates:
    """Endpoints of templates."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.store = master.store

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("GET", "/templates", self.list)
        routes.add("PATCH", "/template/rename", self.rename)
        routes.add("GET", "/templates/{name}", self.get)
        routes.add("POST", "/templates/{name}", self.add)
        routes.add("PUT", "/templates/{name}", self.put)
        routes.add("PATCH", "/templates/{name}", self.change)
        routes.add("DELETE", "/templates/{name}", self.delete)

    def list(self, call: Call) -> Answer:
        """List templates by name."""
        wanted = call.query("name").lower()
        rows = [
            row for row in self.store.rows("SELECT * FROM templates ORDER BY name") if wanted in row["name"].lower()
        ]
        if call.query("orderBy") == "ORDER_BY_DESC":
            rows.reverse()
        return page(call, "templates", [_shown(row) for row in rows])

    def get(self, call: Call) -> Answer:
        """Show one."""
        return {"template": _shown(self._row(call.path("name")))}

    def add(self, call: Call) -> Answer:
        """Add one; a name that is taken is refused."""
        name, config = call.path("name"), _config(call.body.get("config"))
        workspace = self.master.ledger.workspace(whole(call.body, "workspaceId") or 1)
        if self.store.row("SELECT 1 FROM templates WHERE name = ?", name):
            raise ApiError(Code.ALREADY_EXISTS, f"a template named '{name}' exists already")
        self.store.insert("templates", name=name, config=dump(config), workspace_id=workspace.id)
        return {"template": _shown(self._row(name))}

    def put(self, call: Call) -> Answer:
        """Add one, or replace its config."""
        name, config = call.path("name"), _config(call.body.get("config"))
        if self.store.row("SELECT 1 FROM templates WHERE name = ?", name) is None:
            return self.add(call)
        self.store.run("UPDATE templates SET config = ? WHERE name = ?", dump(config), name)
        return {"template": _shown(self._row(name))}

    def change(self, call: Call) -> Answer:
        """Replace the config of one; the body is the config."""
        row = self._row(call.path("name"))
        self.store.run("UPDATE templates SET config = ? WHERE name = ?", dump(_config(call.body)), row["name"])
        return {"template": _shown(self._row(row["name"]))}

    def rename(self, call: Call) -> Answer:
        """Give one another name."""
        row, new = self._row(text(call.body, "oldName")), text(call.body, "newName")
        if not new.strip():
            raise invalid("the name of a template must not be blank")
        if new != row["name"] and self.store.row("SELECT 1 FROM templates WHERE name = ?", new):
            raise ApiError(Code.ALREADY_EXISTS, f"a template named '{new}' exists already")
        self.store.run("UPDATE templates SET name = ? WHERE name = ?", new, row["name"])
        return {"template": _shown(self._row(new))}

    def delete(self, call: Call) -> Answer:
        """Remove one."""
        self.store.run("DELETE FROM templates WHERE name = ?", self._row(call.path("name"))["name"])
        return {}

    def _row(self, name: str) -> sqlite3.Row:
        return found(self.master, name)


def found(master: Master, name: str) -> sqlite3.Row:
    """Return the row of a template.

    Raises:
        ApiError: there is none of this name.
    """
    row = master.store.row("SELECT * FROM templates WHERE name = ?", name)
    if row is None:
        raise missing(f"template '{name}' not found")
    return row


def completed(master: Master, written: Tree, name: str) -> Tree:
    """Return the config with what a template adds; no name, no change."""
    return merged(written, load(found(master, name)["config"])) if name else written


def _config(sent: object) -> Tree:
    if not isinstance(sent, dict) or not sent:
        raise invalid("the config of a template must be an object with at least one field")
    return section({"config": json.loads(json.dumps(sent))}, "config")


def _shown(row: sqlite3.Row) -> Tree:
    return views.template(str(row["name"]), load(row["config"]), int(row["workspace_id"]))
