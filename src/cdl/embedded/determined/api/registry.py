"""The model registry: models and their versions."""

import json
import sqlite3
import time

from cdl.embedded.determined import registry_views, views
from cdl.embedded.determined.errors import ApiError, Code, invalid, missing, refused
from cdl.embedded.determined.fields import Tree, section, text, texts, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.store import Value, dump, load
from cdl.embedded.determined.web import Answer, Call, Routes, page

SORTS = {
    "SORT_BY_NAME": "name",
    "SORT_BY_DESCRIPTION": "description",
    "SORT_BY_CREATION_TIME": "creationTime",
    "SORT_BY_LAST_UPDATED_TIME": "lastUpdatedTime",
    "SORT_BY_NUM_VERSIONS": "numVersions",
}


class Registry:
    """Endpoints of models and model versions."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.store = master.store

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("POST", "/models", self.create)
        routes.add("GET", "/models", self.list)
        routes.add("GET", "/model/labels", self.labels)
        one = "/models/{model}"
        routes.add("GET", one, self.get)
        routes.add("PATCH", one, self.patch)
        routes.add("DELETE", one, self.delete)
        routes.add("POST", f"{one}/archive", self.archive)
        routes.add("POST", f"{one}/unarchive", self.unarchive)
        routes.add("POST", f"{one}/move", self.move)
        routes.add("POST", f"{one}/versions", self.register)
        routes.add("GET", f"{one}/versions", self.versions)
        version = f"{one}/versions/{{version}}"
        routes.add("GET", version, self.version)
        routes.add("PATCH", version, self.patch_version)
        routes.add("DELETE", version, self.delete_version)
        routes.add("GET", f"{version}/metrics", self.metrics)

    def create(self, call: Call) -> Answer:
        """Add a model; a name that is taken is refused."""
        name, now = text(call.body, "name"), time.time()
        _check_name(name)
        if self.store.row("SELECT 1 FROM models WHERE name = ?", name):
            raise ApiError(Code.ALREADY_EXISTS, f"a model named {name!r} exists already")
        self.store.insert(
            "models",
            name=name,
            description=text(call.body, "description"),
            metadata=dump(section(call.body, "metadata")),
            labels=dump(texts(call.body, "labels")),
            notes=text(call.body, "notes"),
            workspace_id=self._workspace(call.body),
            user_id=call.user.id,
            created=now,
            updated=now,
        )
        return {"model": self._model(self._row(name))}

    def list(self, call: Call) -> Answer:
        """List models."""
        shown = [self._model(row) for row in self.store.rows("SELECT * FROM models ORDER BY name")]
        archived, labels = call.flag("archived"), set(call.queries("labels"))
        kept = [
            model
            for model in shown
            if call.query("name").lower() in str(model["name"]).lower()
            and call.query("description").lower() in str(model["description"]).lower()
            and labels <= set(texts(model, "labels"))
            and (archived is None or model["archived"] == archived)
            and (not call.whole("id") or model["id"] == call.whole("id"))
        ]
        key = SORTS.get(call.query("sortBy"), "name")
        kept.sort(key=lambda model: (model.get(key) is not None, model.get(key)))
        if call.query("orderBy") == "ORDER_BY_DESC":
            kept.reverse()
        return page(call, "models", kept)

    def labels(self, call: Call) -> Answer:
        """List labels, the most used first."""
        used: dict[str, int] = {}
        for row in self.store.rows("SELECT labels FROM models"):
            for label in json.loads(row["labels"]):
                used[label] = used.get(label, 0) + 1
        ordered = sorted(used, key=lambda label: (-used[label], label))
        return {"labels": ordered, "pagination": page(call, "labels", [{}] * len(ordered))["pagination"]}

    def get(self, call: Call) -> Answer:
        """Show one, by name or number."""
        return {"model": self._model(self._row(call.path("model")))}

    def patch(self, call: Call) -> Answer:
        """Change what is sent."""
        row = self._row(call.path("model"))
        changed = _written(call.body, ("name", "description", "notes"))
        if "name" in changed:
            self._check_new_name(str(changed["name"]), int(row["id"]))
        if text(call.body, "workspaceName") or whole(call.body, "workspaceId"):
            changed["workspace_id"] = self._workspace(call.body)
        self.store.update("models", int(row["id"]), **changed, updated=time.time())
        return {"model": self._model(self._row(str(row["id"])))}

    def delete(self, call: Call) -> Answer:
        """Remove a model with its versions; the checkpoints stay."""
        row = self._row(call.path("model"))
        with self.store.transaction():
            self.store.run("DELETE FROM model_versions WHERE model_id = ?", row["id"])
            self.store.run("DELETE FROM models WHERE id = ?", row["id"])
        return {}

    def archive(self, call: Call) -> Answer:
        """Hide it."""
        self.store.update("models", int(self._row(call.path("model"))["id"]), archived=1)
        return {}

    def unarchive(self, call: Call) -> Answer:
        """Show it again."""
        self.store.update("models", int(self._row(call.path("model"))["id"]), archived=0)
        return {}

    def move(self, call: Call) -> Answer:
        """Put it into another workspace."""
        row = self._row(call.path("model"))
        home = self.master.ledger.workspace(whole(call.body, "destinationWorkspaceId"))
        if home.archived:
            raise refused(f"workspace '{home.name}' is archived")
        self.store.update("models", int(row["id"]), workspace_id=home.id)
        return {}

    def metrics(self, call: Call) -> Answer:
        """List what trials reported that said they used this version."""
        row = self._row(call.path("model"))
        number = int(self._version_row(row, call.id("version"))["version"])
        kind = call.query("metricGroup") or None
        found = self.store.rows(
            "SELECT trial_id FROM trial_sources WHERE model_id = ? AND version = ?", row["id"], number
        )
        reports = [report for each in found for report in self.master.ledger.reports(each["trial_id"], kind)]
        return {"metrics": [views.metrics(report) for report in reports]}

    def register(self, call: Call) -> Answer:
        """Make a checkpoint the next version; version numbers are never used again."""
        found = self.master.ledger.checkpoint(text(call.body, "checkpointUuid"))
        if found.state != "COMPLETED":
            raise refused(f"checkpoint {found.uuid} is {found.state}; only a COMPLETED one can be registered")
        now = time.time()
        with self.store.transaction():
            row = self._row(call.path("model"))
            if row["archived"]:
                raise refused(f"model {row['name']!r} is archived")
            number = int(row["last_version"]) + 1
            self.store.update("models", int(row["id"]), last_version=number, updated=now)
            self.store.insert(
                "model_versions",
                model_id=row["id"],
                version=number,
                checkpoint=found.uuid,
                name=text(call.body, "name"),
                comment=text(call.body, "comment"),
                notes=text(call.body, "notes"),
                metadata=dump(section(call.body, "metadata")),
                labels=dump(texts(call.body, "labels")),
                user_id=call.user.id,
                created=now,
                updated=now,
            )
        return {"modelVersion": self._version(self._row(str(row["id"])), number)}

    def versions(self, call: Call) -> Answer:
        """List versions, by default the newest first."""
        row = self._row(call.path("model"))
        order = "ASC" if call.query("orderBy") == "ORDER_BY_ASC" else "DESC"
        found = self.store.rows(
            f"SELECT version FROM model_versions WHERE model_id = ? ORDER BY version {order}",  # noqa: S608 - one of two words
            row["id"],
        )
        shown = [self._version(row, int(each["version"])) for each in found]
        return {"model": self._model(row), **page(call, "modelVersions", shown)}

    def version(self, call: Call) -> Answer:
        """Show one version."""
        return {"modelVersion": self._version(self._row(call.path("model")), call.id("version"))}

    def patch_version(self, call: Call) -> Answer:
        """Change what is sent."""
        row = self._row(call.path("model"))
        found = self._version_row(row, call.id("version"))
        changed = _written(call.body, ("name", "comment", "notes"))
        self.store.update("model_versions", int(found["id"]), **changed, updated=time.time())
        return {"modelVersion": self._version(row, call.id("version"))}

    def delete_version(self, call: Call) -> Answer:
        """Remove one version; its number stays used."""
        found = self._version_row(self._row(call.path("model")), call.id("version"))
        self.store.run("DELETE FROM model_versions WHERE id = ?", found["id"])
        return {}

    def _row(self, model: str) -> sqlite3.Row:
        column = "id" if model.isdigit() else "name"
        row = self.store.row(f"SELECT * FROM models WHERE {column} = ?", model)  # noqa: S608 - one of two words
        if row is None:
            raise missing(f"model '{model}' not found")
        return row

    def _workspace(self, body: Tree) -> int:
        """Return the workspace a new model belongs to, named or numbered."""
        ledger, name = self.master.ledger, text(body, "workspaceName")
        if not name:
            home = ledger.workspace(whole(body, "workspaceId") or 1)
        else:
            named = [each for each in ledger.workspaces() if each.name == name]
            if not named:
                raise missing(f"workspace '{name}' not found")
            home = named[0]
        if home.archived:
            raise refused(f"workspace '{home.name}' is archived")
        return home.id

    def _check_new_name(self, name: str, model_id: int) -> None:
        _check_name(name)
        if self.store.row("SELECT 1 FROM models WHERE name = ? AND id != ?", name, model_id):
            raise ApiError(Code.ALREADY_EXISTS, f"a model named {name!r} exists already")

    def _model(self, row: sqlite3.Row) -> Tree:
        count = self.store.row("SELECT count(*) AS n FROM model_versions WHERE model_id = ?", row["id"])
        username = self.master.ledger.username(int(row["user_id"]))
        held = int(count["n"]) if count else 0
        return registry_views.model(dict(row), json.loads(row["labels"]), load(row["metadata"]), held, username)

    def _version_row(self, row: sqlite3.Row, number: int) -> sqlite3.Row:
        found = self.store.row("SELECT * FROM model_versions WHERE model_id = ? AND version = ?", row["id"], number)
        if found is None:
            raise missing(f"model '{row['name']}' version {number} not found")
        return found

    def _version(self, row: sqlite3.Row, number: int) -> Tree:
        found = self._version_row(row, number)
        saved = views.checkpoint(self.master.ledger, self.master.ledger.checkpoint(found["checkpoint"]))
        labels, meta = json.loads(found["labels"]), load(found["metadata"])
        return registry_views.model_version(dict(found), self._model(row), saved, labels, meta)


def _check_name(name: str) -> None:
    if not name.strip() or "/" in name or "\\" in name or "  " in name or name.isdigit():
        raise invalid(f"model name {name!r}: must not be blank, hold a slash or two spaces in a row, or be only digits")


def _written(body: Tree, plain: tuple[str, ...]) -> dict[str, Value]:
    """Return the columns a PATCH sends, absent ones left alone."""
    changed: dict[str, Value] = {name: text(body, name) for name in plain if isinstance(body.get(name), str)}
    if isinstance(body.get("metadata"), dict):
        changed["metadata"] = dump(body["metadata"])
    if isinstance(body.get("labels"), list):
        changed["labels"] = dump(texts(body, "labels"))
    return changed
