"""Webhooks: what is to be said is kept with the change itself, and sent later by somebody else."""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import secrets
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping

import httpx

from cdl.embedded.determined.fields import Tree, items, section, text, truth
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.records import Experiment
from cdl.embedded.determined.states import COMPLETED, ERROR
from cdl.embedded.determined.store import Store, dump

STATE_CHANGE, CUSTOM = "EXPERIMENT_STATE_CHANGE", "CUSTOM"
TRIGGERS = {"TRIGGER_TYPE_EXPERIMENT_STATE_CHANGE": STATE_CHANGE, "TRIGGER_TYPE_CUSTOM": CUSTOM}
SLACK = "WEBHOOK_TYPE_SLACK"
SPECIFIC = "WEBHOOK_MODE_SPECIFIC"
KEY_VARIABLE, KEY_SETTING = "DET_WEBHOOKS_SIGNING_KEY", "webhooks_signing_key"
DELAYS = (1.0, 1.5)  # before the second and the third try; there is no fourth
PATIENCE = 10.0
LOOK = 1.0
TROUBLE = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
LOG = logging.getLogger(__name__)
WORDS = {COMPLETED: "completed successfully", ERROR: "has stopped with errors"}


def announce(ledger: Ledger, found: Experiment) -> None:
    """Keep an event for each webhook that waits for this state of an experiment; part of the same transaction."""
    for row in ledger.store.rows("SELECT * FROM webhooks ORDER BY id"):
        wanted = [
            trigger
            for trigger in _triggers(row, STATE_CHANGE)
            if text(trigger, "condition", "state") == found.state and fits(ledger, row, found)
        ]
        for _ in wanted:
            body = payload(ledger, row, found, STATE_CHANGE)
            ledger.store.insert("webhook_events", webhook_id=int(row["id"]), url=str(row["url"]), body=dump(body))


def alert(ledger: Ledger, found: Experiment, data: Tree, trial_id: int) -> None:
    """Keep an event for each webhook that the experiment's config names and that takes custom ones."""
    wish = section(found.config, "integrations", "webhooks")
    if truth(wish, "exclude"):
        return
    for row in ledger.store.rows("SELECT * FROM webhooks ORDER BY id"):
        named = row["id"] in items(wish, "webhook_id") or row["name"] in items(wish, "webhook_name")
        if not named or not _same_workspace(ledger, row, found):
            continue
        for _ in _triggers(row, CUSTOM):
            body = payload(ledger, row, found, CUSTOM, data, trial_id)
            ledger.store.insert("webhook_events", webhook_id=int(row["id"]), url=str(row["url"]), body=dump(body))


def fits(ledger: Ledger, row: sqlite3.Row, found: Experiment) -> bool:
    """Say whether a webhook is for this experiment: its workspace, and its config's word where it needs one."""
    wish = section(found.config, "integrations", "webhooks")
    if truth(wish, "exclude") or not _same_workspace(ledger, row, found):
        return False
    named = row["id"] in items(wish, "webhook_id") or row["name"] in items(wish, "webhook_name")
    return named or row["mode"] != SPECIFIC


def payload(
    ledger: Ledger, row: sqlite3.Row, found: Experiment, event: str, data: Tree | None = None, trial_id: int = 0
) -> Tree:
    """Write the message of a webhook in its kind's shape."""
    if row["kind"] == SLACK:
        return _slack(found, data)
    home = ledger.project(found.project_id)
    shown = {
        "id": found.id,
        "state": found.state,
        "name": text(found.config, "name"),
        "duration": int((found.end_time or time.time()) - found.start_time),
        "resource_pool": text(found.config, "resources", "resource_pool"),
        "slots_per_trial": found.slots,
        "workspace": ledger.workspace(home.workspace_id).name,
        "project": home.name,
    }
    told: Tree = {"experiment": shown | ({"trial_id": trial_id} if trial_id else {})}
    return message(event, {"state": found.state}, told | ({"custom_data": data} if data else {}))


def message(event: str, condition: Tree, data: Tree) -> Tree:
    """Write a message of the default kind."""
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": event,
        "timestamp": int(time.time()),
        "condition": condition,
        "event_data": data,
    }


def signing_key(store: Store) -> str:
    """Return the key of signatures: the environment's, or one made up once."""
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given
    store.run("INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", KEY_SETTING, secrets.token_hex(32))
    row = store.row("SELECT value FROM settings WHERE name = ?", KEY_SETTING)
    return str(row["value"]) if row else ""


def headers(body: bytes, key: str) -> dict[str, str]:
    """Sign a message together with the time it is sent."""
    stamp = str(int(time.time()))
    signature = hmac.new(key.encode(), f"{stamp},".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json; charset=UTF-8",
        "X-Determined-AI-Signature-Timestamp": stamp,
        "X-Determined-AI-Signature": signature,
    }


class Shipper:
    """Sends kept events, in order for each address; a slow receiver delays nobody but itself."""

    def __init__(self, store: Store) -> None:
        """Send what this store keeps."""
        self.store = store
        self.key = signing_key(store)
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look for events until cancelled."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            try:
                while True:
                    self._start(client)
                    await asyncio.sleep(LOOK)
            finally:
                for task in self._busy.values():
                    task.cancel()
                await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def post(self, client: httpx.AsyncClient, url: str, body: bytes) -> int:
        """Send once and return the status.

        Raises:
            httpx.HTTPError: nobody answered.
        """
        answer = await client.post(url, content=body, headers=headers(body, self.key))
        return answer.status_code

    def _start(self, client: httpx.AsyncClient) -> None:
        self._busy = {url: task for url, task in self._busy.items() if not task.done()}
        for row in self.store.rows("SELECT DISTINCT url FROM webhook_events"):
            url = str(row["url"])
            if url not in self._busy:
                self._busy[url] = asyncio.create_task(self._drain(client, url))

    async def _drain(self, client: httpx.AsyncClient, url: str) -> None:
        """Send the events of one address, the oldest first; one that fails for good is dropped."""
        try:
            while row := self.store.row("SELECT * FROM webhook_events WHERE url = ? ORDER BY id LIMIT 1", url):
                await self._send(client, url, str(row["body"]).encode())
                self.store.run("DELETE FROM webhook_events WHERE id = ?", row["id"])
        except sqlite3.Error as error:
            LOG.warning("the event for %s stays in the queue: %s", url, error)

    async def _send(self, client: httpx.AsyncClient, url: str, body: bytes) -> None:
        why = ""
        for delay in (*DELAYS, None):
            try:
                status = await self.post(client, url, body)
            except TROUBLE as error:
                why = str(error) or type(error).__name__
            else:
                if status < 400:
                    return
                why = f"the receiver answered {status}"
                if status < 500:
                    break
            if delay is not None:
                await asyncio.sleep(delay)
        LOG.error("a webhook event for %s is dropped: %s", url, why)


def _triggers(row: sqlite3.Row, event: str) -> Iterable[Mapping[str, object]]:
    for trigger in json.loads(row["triggers"]):
        if TRIGGERS.get(text(trigger, "triggerType")) == event:
            yield trigger


def _same_workspace(ledger: Ledger, row: sqlite3.Row, found: Experiment) -> bool:
    return int(row["workspace_id"]) in (0, ledger.project(found.project_id).workspace_id)


def _slack(found: Experiment, data: Tree | None) -> Tree:
    said = f"Your experiment {WORDS.get(found.state, f'is {found.state}')}"
    first: Tree = {"type": "section", "text": {"type": "plain_text", "text": said}}
    if data:
        first["fields"] = [
            {"type": "mrkdwn", "text": f"*{name.title()}*: {text(data, name)}"}
            for name in ("level", "title", "description")
        ]
    named = {"type": "mrkdwn", "text": f"{text(found.config, 'name')} (#{found.id})"}
    fields = [{"type": "mrkdwn", "text": f"*Status*: {found.state}"}]
    return {
        "blocks": [first],
        "attachments": [{"blocks": [{"type": "section", "text": named, "fields": fields}]}],
    }
