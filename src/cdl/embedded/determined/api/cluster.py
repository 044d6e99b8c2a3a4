"""Log in, who am I, and what the command line asks about the cluster."""

import time
from collections.abc import AsyncIterator, Mapping

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined.cluster_views import POOL
from cdl.embedded.determined.errors import ApiError, Code, invalid
from cdl.embedded.determined.fields import Tree, text
from cdl.embedded.determined.journal import Entry
from cdl.embedded.determined.master import VERSION, Master
from cdl.embedded.determined.store import dump, load
from cdl.embedded.determined.web import Answer, Call, Routes, seconds, stamp, stream

NAME = "embedded"
NOTICE = "cluster_message"


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
        routes.add("GET", "/master", self.info, public=True)
        routes.add("GET", "/master/telemetry", self.telemetry, public=True)
        routes.add("GET", "//info", self.info, public=True)
        routes.add("GET", "/master/config", self.config)
        routes.add("GET", "/master/logs", self.logs)
        routes.add("GET", "/master/cluster_message", self.notice)
        routes.add("PUT", "/master/cluster_message", self.set_notice)
        routes.add("DELETE", "/master/cluster_message", self.clear_notice)

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

    def info(self, _call: Call) -> Answer:
        """Show the cluster."""
        cluster = self.master.place.cluster_id
        return {
            "clusterId": cluster,
            "clusterName": NAME,
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

    def config(self, call: Call) -> Answer:
        """Show the settings, secrets hidden."""
        call.admin("read the master's config")
        listed = {"pool_name": POOL, "description": "the cores of this machine"}
        manager = {"type": "agent", "scheduler": {"type": "priority", "default_priority": 42}}
        return {
            "config": {
                "cluster_name": NAME,
                "checkpoint_storage": self.master.default_storage,
                "resource_manager": manager,
                "resource_pools": [listed],
                "slots": self.master.engine.slots.count,
                "telemetry": {"enabled": False},
                "webhooks": {"signing_key": "********"},
            }
        }

    def logs(self, call: Call) -> Answer:
        """Stream the newest lines of this process, on and on if wished."""
        journal = self.master.journal
        kept = list(journal.kept)
        offset, limit = call.whole("offset"), call.whole("limit")
        shown = kept[offset:] if offset < 0 else [entry for entry in kept if entry.number > offset]
        shown = shown[:limit] if limit > 0 else shown

        async def each() -> AsyncIterator[Mapping[str, object]]:
            for entry in shown:
                yield _line(entry)
            if call.flag("follow"):
                async for entry in journal.follow(kept[-1].number if kept else 0, lambda: self.master.engine.closing):
                    yield _line(entry)

        return stream(each())

    def notice(self, _call: Call) -> Answer:
        """Show what an admin wants everybody to know."""
        row = self.master.store.row("SELECT value FROM settings WHERE name = ?", NOTICE)
        return {"clusterMessage": load(str(row["value"]))} if row else {}

    def set_notice(self, call: Call) -> Answer:
        """Tell everybody something, from one time to another."""
        call.admin("set the cluster message")
        said = text(call.body, "message")
        if not said.strip():
            raise invalid("the cluster message must not be blank")
        start = seconds(text(call.body, "startTime"))
        kept: Tree = {"message": said, "startTime": stamp(start), "createdTime": stamp(time.time())}
        if call.body.get("duration"):
            raise ApiError(Code.UNIMPLEMENTED, "give the end of a cluster message as a time, not as a duration")
        if call.body.get("endTime"):
            kept["endTime"] = stamp(seconds(text(call.body, "endTime")))
        self.master.store.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", NOTICE, dump(kept))
        return {}

    def clear_notice(self, call: Call) -> Answer:
        """Stop telling it."""
        call.admin("clear the cluster message")
        self.master.store.run("DELETE FROM settings WHERE name = ?", NOTICE)
        return {}


def _line(entry: Entry) -> Tree:
    level = {"WARNING": "WARNING", "ERROR": "ERROR", "CRITICAL": "CRITICAL"}.get(entry.level, "INFO")
    told = {"id": entry.number, "timestamp": stamp(entry.when), "message": entry.message}
    return {"logEntry": told | {"level": f"LOG_LEVEL_{level}"}}
