"""Webhooks on their way out: kept before they are sent, sent a bounded number of times, and the log of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from urllib.parse import urlsplit, urlunsplit

import httpx

from cdl.embedded.forge.store import Store, Tree, now

DELAYS = (1.0, 5.0, 20.0)
"""Seconds until the next try after the first, second, third that failed."""
PATIENCE = 10.0
AT_ONCE = 8
KEPT = 2000
WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"


class Outbox:
    """What receivers are to be told, in the store until they were."""

    def __init__(self, store: Store, url: str) -> None:
        """Say in each message which forge it comes from."""
        self._store = store
        self._url = url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more = asyncio.Event()

    def tell(self, project: int, flag: str, event: str, body: Tree) -> None:
        """Keep a message for each hook of a project that wants this event."""
        event_uuid = str(uuid.uuid4())
        for hook in self._store.all("hook", project):
            if not hook.get(flag):
                continue
            self.send(hook, event, body, event_uuid)

    def send(self, hook: Tree, event: str, body: Tree, event_uuid: str = "") -> Tree:
        """Keep one message for one hook."""
        delivery = {
            "project_id": hook["project_id"],
            "hook_id": hook["id"],
            "state": WAITING,
            "event": event,
            "uuid": str(uuid.uuid4()),
            "event_uuid": event_uuid or str(uuid.uuid4()),
            "body": body,
            "attempts": 0,
            "next_at": time.time(),
            "response_status": None,
            "error": "",
            "created_at": now(),
            "delivered_at": None,
        }
        return self._store.add("delivery", delivery)

    def wake(self) -> None:
        """Look for what is waiting; may be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._more.set)

    async def run(self) -> None:
        """Send what is waiting until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            while True:
                self._more.clear()
                waiting = await asyncio.to_thread(self._store.all, "delivery", None, WAITING)
                due = [found for found in waiting if found["next_at"] <= time.time()]
                by_hook: dict[int, list[Tree]] = {}
                for found in due:
                    by_hook.setdefault(found["hook_id"], []).append(found)
                await asyncio.gather(*(self._send_all(client, found[:AT_ONCE]) for found in by_hook.values()))
                if not due:
                    await self._pause(min((found["next_at"] for found in waiting), default=time.time() + 60))

    async def _pause(self, until: float) -> None:
        try:
            async with asyncio.timeout(max(until - time.time(), 0.01)):
                await self._more.wait()
        except TimeoutError:
            return

    async def _send_all(self, client: httpx.AsyncClient, found: list[Tree]) -> None:
        """In order, so that a receiver that is well hears of things as they happened."""
        for delivery in found:
            hook = await asyncio.to_thread(self._store.get, "hook", delivery["hook_id"])
            result = await self._attempt(client, hook, delivery) if hook else {"state": FAILED, "error": "no hook"}
            await asyncio.to_thread(self._write_down, delivery | result)

    def _write_down(self, delivery: Tree) -> None:
        with self._store.transaction():
            self._store.put("delivery", delivery)
            self._forget_old(delivery["id"])

    async def _attempt(self, client: httpx.AsyncClient, hook: Tree, delivery: Tree) -> Tree:
        attempts = delivery["attempts"] + 1
        content = json.dumps(delivery["body"]).encode()
        status: int | None = None
        try:
            answer = await client.post(hook["url"], content=content, headers=self._headers(hook, delivery, content))
            status, error = answer.status_code, "" if answer.is_success else f"HTTP {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            error = f"{type(problem).__name__}: {problem}".replace(hook["url"], bare(hook["url"]))
        result: Tree = {"attempts": attempts, "response_status": status, "error": error}
        if not error:
            return result | {"state": DELIVERED, "delivered_at": now()}
        # What a receiver refuses, it will refuse again; what it could not do, it may do later.
        again = attempts <= len(DELAYS) and (status is None or status >= 500 or status in {408, 429})
        if not again:
            return result | {"state": FAILED}
        return result | {"next_at": time.time() + DELAYS[attempts - 1]}

    def _headers(self, hook: Tree, delivery: Tree, content: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/cdl-forge",
            "Idempotency-Key": delivery["uuid"],
            "X-Gitlab-Event": delivery["event"],
            "X-Gitlab-Webhook-UUID": delivery["uuid"],
            "X-Gitlab-Event-UUID": delivery["event_uuid"],
            "X-Gitlab-Instance": self._url,
        }
        if hook.get("token"):
            headers["X-Gitlab-Token"] = hook["token"]
        if hook.get("signing_token"):
            headers |= signed(hook["signing_token"], delivery["uuid"], int(time.time()), content)
        return headers

    def _forget_old(self, newest: int) -> None:
        old = self._store.get("delivery", newest - KEPT)
        if old is not None and old["state"] != WAITING:
            self._store.remove("delivery", old["id"])


def signed(secret: str, message: str, at: int, content: bytes) -> dict[str, str]:
    """Give the headers of Standard Webhooks; a secret after whsec_ is base64, any other is as it is."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{message}.{at}.".encode() + content, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message, "webhook-timestamp": str(at), "webhook-signature": signature}


def bare(url: str) -> str:
    """Give an address without the password in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
