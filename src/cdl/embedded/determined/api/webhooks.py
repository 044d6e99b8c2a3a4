"""Webhooks: add, list, change, test, and events of user code."""

import asyncio
import json
import sqlite3
from urllib.parse import urlsplit

import httpx

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined.errors import ApiError, Code, invalid, missing
from cdl.embedded.determined.fields import Tree, items, section, text, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.store import dump
from cdl.embedded.determined.web import Answer, Call, Routes
from cdl.embedded.determined.webhooks import (
    PATIENCE,
    SLACK,
    SPECIFIC,
    STATE_CHANGE,
    TRIGGERS,
    TROUBLE,
    alert,
    message,
)

KINDS = ("WEBHOOK_TYPE_DEFAULT", SLACK)
MODES = ("WEBHOOK_MODE_WORKSPACE", SPECIFIC)
TEST = 5.0


class Webhooks:
    """Endpoints of webhooks; an admin's, or the owner's of the workspace they belong to."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.store = master.store

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("GET", "/webhooks", self.list)
        routes.add("POST", "/webhooks", self.add)
        routes.add("POST", "/webhooks/custom", self.custom)
        routes.add("PATCH", "/webhooks/{id}", self.change)
        routes.add("DELETE", "/webhooks/{id}", self.delete)
        routes.add("POST", "/webhooks/{id}/test", self.test)

    def list(self, call: Call) -> Answer:
        """List those the caller may change."""
        rows = self.store.rows("SELECT * FROM webhooks ORDER BY id")
        return {"webhooks": [_shown(row) for row in rows if self._may(call, int(row["workspace_id"]))]}

    def add(self, call: Call) -> Answer:
        """Add one."""
        workspace = whole(call.body, "workspaceId")
        self._check_may(call, workspace)
        name, mode = text(call.body, "name"), text(call.body, "mode", default=MODES[0])
        kind = text(call.body, "webhookType", default=KINDS[0])
        if not name.strip() or kind not in KINDS or mode not in MODES:
            raise invalid(f"a webhook needs a name, a webhookType of {', '.join(KINDS)}, a mode of {', '.join(MODES)}")
        triggers = _triggers(call.body, mode)
        if self.store.row("SELECT 1 FROM webhooks WHERE name = ? AND workspace_id = ?", name, workspace):
            raise ApiError(Code.ALREADY_EXISTS, f"a webhook named '{name}' exists already")
        number = self.store.insert(
            "webhooks",
            name=name,
            url=_url(text(call.body, "url")),
            kind=kind,
            mode=mode,
            workspace_id=workspace,
            triggers=dump(triggers),
        )
        return {"webhook": _shown(self._row(number))}

    def change(self, call: Call) -> Answer:
        """Send its events elsewhere."""
        row = self._mine(call)
        self.store.update("webhooks", int(row["id"]), url=_url(text(call.body, "url")))
        return {}

    def delete(self, call: Call) -> Answer:
        """Remove one; what waits for it is not sent any more."""
        row = self._mine(call)
        with self.store.transaction():
            self.store.run("DELETE FROM webhook_events WHERE webhook_id = ?", row["id"])
            self.store.run("DELETE FROM webhooks WHERE id = ?", row["id"])
        return {}

    async def test(self, call: Call) -> Answer:
        """Send a test event now and say what became of it."""
        row = self._mine(call)
        plain: Tree = {"type": "section", "text": {"type": "plain_text", "text": "test"}}
        said = message(STATE_CHANGE, {"state": "COMPLETED"}, {"data": "test"})
        body = dump({"blocks": [plain]} if row["kind"] == SLACK else said).encode()
        try:
            async with asyncio.timeout(TEST), httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                status = await self.master.shipper.post(client, str(row["url"]), body)
        except (TimeoutError, *TROUBLE) as error:
            why = str(error) or "no answer in time"
            raise invalid(f"the test event could not be sent to {row['url']}: {why}") from error
        if status >= 400:
            raise invalid(f"the receiver at {row['url']} answered the test event with {status}")
        return {"completed": True}

    def custom(self, call: Call) -> Answer:
        """Take in an event of user code."""
        found = self.master.ledger.experiment(whole(call.body, "experimentId"))
        data = section(call.body, "data")
        told: Tree = {name: text(data, name) for name in ("title", "description")}
        level = text(data, "level", default="LOG_LEVEL_INFO").removeprefix("LOG_LEVEL_")
        with self.store.transaction():
            alert(self.master.ledger, found, told | {"level": level}, whole(call.body, "trialId"))
        return {}

    def _mine(self, call: Call) -> sqlite3.Row:
        row = self._row(call.id())
        self._check_may(call, int(row["workspace_id"]))
        return row

    def _row(self, number: int) -> sqlite3.Row:
        row = self.store.row("SELECT * FROM webhooks WHERE id = ?", number)
        if row is None:
            raise missing(f"webhook {number} not found")
        return row

    def _may(self, call: Call, workspace: int) -> bool:
        owner = self.store.row("SELECT user_id FROM workspaces WHERE id = ?", workspace)
        return call.user.admin or (owner is not None and owner["user_id"] == call.user.id)

    def _check_may(self, call: Call, workspace: int) -> None:
        if workspace:
            self.master.ledger.workspace(workspace)
        if not self._may(call, workspace):
            where = f"of workspace {workspace}" if workspace else "of all workspaces"
            raise ApiError(Code.PERMISSION_DENIED, f"user '{call.user.username}' may not edit webhooks {where}")


def _shown(row: sqlite3.Row) -> Tree:
    return views.webhook(dict(row), json.loads(row["triggers"]))


def _url(written: str) -> str:
    try:
        parts = urlsplit(written)
        ok = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        ok = False
    if not ok:
        raise invalid(f"a webhook needs an http or https URL, found {written!r}")
    return written


def _triggers(body: Tree, mode: str) -> list[Tree]:
    sent = [trigger for trigger in items(body, "triggers") if isinstance(trigger, dict)]
    if not sent:
        raise invalid("a webhook needs at least one trigger")
    for trigger in sent:
        kind = text(trigger, "triggerType")
        if kind == "TRIGGER_TYPE_TASK_LOG":
            raise ApiError(Code.UNIMPLEMENTED, "this master does not watch logs for webhooks")
        if kind not in TRIGGERS:
            raise invalid(f"triggerType must be one of {', '.join(TRIGGERS)}, found {kind!r}")
        if kind == "TRIGGER_TYPE_CUSTOM" and mode != SPECIFIC:
            raise invalid(f"a custom trigger needs a webhook of mode {SPECIFIC}")
    return [{"triggerType": text(t, "triggerType"), "condition": section(t, "condition")} for t in sent]
