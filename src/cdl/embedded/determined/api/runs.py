"""What the harness asks for on behalf of a running allocation, and tasks."""

import json

from cdl.embedded.determined import model_defs, views
from cdl.embedded.determined.fields import section, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.store import Store
from cdl.embedded.determined.web import Answer, Call, Routes

LONGEST_POLL = 60


class Runs:
    """Endpoints of allocations, runs and tasks."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("GET", "/tasks/{task}", self.task)
        routes.add("GET", "/tasks/{task}/context_directory", self.context)
        one = "/allocations/{allocation}"
        routes.add("GET", one, self.allocation)
        routes.add("POST", f"{one}/acceleratorData", self.nothing)
        routes.add("POST", f"{one}/proxy_address", self.nothing)
        routes.add("POST", f"{one}/all_gather", self.all_gather)
        routes.add("GET", f"{one}/resources/{{resources}}/rendezvous", self.rendezvous)
        routes.add("GET", f"{one}/signals/preemption", self.preemption)
        routes.add("POST", f"{one}/signals/ack_preemption", self.acknowledge)
        routes.add("POST", f"{one}/signals/pending_preemption", self.nudge)
        routes.add("POST", "/runs/start", self.start)

    def task(self, call: Call) -> Answer:
        """Show a task with its allocations."""
        trial = self.ledger.trial_of_task(call.path("task"))
        found = {
            allocation.id: (allocation, self.master.engine.launched_at(allocation))
            for allocation in self.ledger.allocations(trial.id)
        }
        return {"task": views.task(trial, found)}

    def context(self, call: Call) -> Answer:
        """Return the files a trial runs with."""
        trial = self.ledger.trial_of_task(call.path("task"))
        experiment = self.ledger.experiment(trial.experiment_id)
        return {"b64Tgz": model_defs.encoded(self.master.store, experiment.model_def)}

    def allocation(self, call: Call) -> Answer:
        """Show one allocation."""
        found = self.ledger.allocation(call.path("allocation"))
        return {"allocation": views.allocation(found, self.master.engine.launched_at(found))}

    def nothing(self, call: Call) -> Answer:
        """Accept what has no use on one machine."""
        self.ledger.allocation(call.path("allocation"))
        return {}

    def all_gather(self, call: Call) -> Answer:
        """Return the data of the one peer there is."""
        self.ledger.allocation(call.path("allocation"))
        return {"data": [section(call.body, "data")]}

    def rendezvous(self, call: Call) -> Answer:
        """Let the one container meet itself; from here on user code runs."""
        found = self.ledger.allocation(call.path("allocation"))
        if found.live:
            self.master.engine.ready(found.id)
        return {"rendezvousInfo": {"addresses": ["127.0.0.1"], "rank": 0, "slots": [max(len(found.slot_ids), 1)]}}

    async def preemption(self, call: Call) -> Answer:
        """Answer as soon as the allocation should leave, at the latest after the timeout."""
        found = self.ledger.allocation(call.path("allocation"))
        timeout = min(max(call.whole("timeout_seconds", LONGEST_POLL), 0), LONGEST_POLL)
        return {"preempt": await self.master.engine.preemption(found.id, timeout)}

    def acknowledge(self, call: Call) -> Answer:
        """Take note that the trial leaves before its work is done."""
        found = self.ledger.allocation(call.path("allocation"))
        self.master.store.update("allocations", found.id, acked=1)
        return {}

    def nudge(self, call: Call) -> Answer:
        """Ask one allocation to checkpoint and leave."""
        found = self.ledger.allocation(call.path("allocation"))
        if found.live:
            self.master.store.update("allocations", found.id, nudged=1)
            self.master.engine.settle()
        return {}

    def start(self, call: Call) -> Answer:
        """Give the storage of a run its number; the same storage keeps the same number."""
        trial = self.ledger.trial(whole(call.body, "runId"))
        experiment = self.ledger.experiment(trial.experiment_id)
        chosen = section(call.body, "checkpointStorage") or experiment.storage
        return {"storageId": _storage_id(self.master.store, json.dumps(chosen, sort_keys=True))}


def _storage_id(store: Store, written: str) -> int:
    store.run("INSERT OR IGNORE INTO storages (config) VALUES (?)", written)
    row = store.row("SELECT id FROM storages WHERE config = ?", written)
    return int(row["id"]) if row else 0
