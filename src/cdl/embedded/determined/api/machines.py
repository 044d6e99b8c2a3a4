"""The agent, its slots, the pool, what occupies them and who waits: one machine seen as a cluster."""

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined.cluster_views import AGENT, POOL
from cdl.embedded.determined.errors import invalid, missing
from cdl.embedded.determined.fields import Tree, items, section, text, truth, whole
from cdl.embedded.determined.master import VERSION, Master
from cdl.embedded.determined.records import Allocation, Experiment
from cdl.embedded.determined.store import dump
from cdl.embedded.determined.web import Answer, Call, Routes, page

PRIORITIES = range(1, 100)


class Machines:
    """Endpoints of agents, slots, pools, tasks and jobs."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger
        self.engine = master.engine
        self.slots = master.engine.slots

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        one = "/agents/{agent}"
        routes.add("GET", "/agents", self.agents)
        routes.add("GET", one, self.agent)
        routes.add("POST", f"{one}/enable", self.enable)
        routes.add("POST", f"{one}/disable", self.disable)
        routes.add("GET", f"{one}/slots", self.list_slots)
        routes.add("GET", f"{one}/slots/{{slot}}", self.slot)
        routes.add("POST", f"{one}/slots/{{slot}}/enable", self.enable_slot)
        routes.add("POST", f"{one}/slots/{{slot}}/disable", self.disable_slot)
        routes.add("GET", "/resource-pools", self.pools)
        routes.add("GET", "/tasks", self.tasks)
        routes.add("GET", "/tasks/count", self.count)
        routes.add("GET", "/job-queues-v2", self.jobs)
        routes.add("GET", "/job-queues/stats", self.stats)
        routes.add("POST", "/job-queues", self.update)

    def agents(self, call: Call) -> Answer:
        """List the one agent."""
        return page(call, "agents", [self._agent()])

    def agent(self, call: Call) -> Answer:
        """Show the one agent."""
        _only_agent(call)
        return {"agent": self._agent()}

    def enable(self, call: Call) -> Answer:
        """Open every slot."""
        _only_agent(call)
        call.admin("enable agents")
        self.slots.reopen(list(range(self.slots.count)))
        self.engine.settle()
        return {"agent": self._agent()}

    def disable(self, call: Call) -> Answer:
        """Close every slot; unless drained, their trials stop and wait."""
        _only_agent(call)
        call.admin("disable agents")
        self._close(list(range(self.slots.count)), drain=truth(call.body, "drain"))
        return {"agent": self._agent()}

    def list_slots(self, call: Call) -> Answer:
        """List the slots."""
        _only_agent(call)
        return {"slots": list(self._slots().values())}

    def slot(self, call: Call) -> Answer:
        """Show one slot."""
        return {"slot": self._slots()[self._number(call)]}

    def enable_slot(self, call: Call) -> Answer:
        """Open a slot."""
        number = self._number(call)
        call.admin("enable slots")
        self.slots.reopen([number])
        self.engine.settle()
        return {"slot": self._slots()[number]}

    def disable_slot(self, call: Call) -> Answer:
        """Close a slot; unless drained, its trial stops and waits."""
        number = self._number(call)
        call.admin("disable slots")
        self._close([number], drain=truth(call.body, "drain"))
        return {"slot": self._slots()[number]}

    def pools(self, call: Call) -> Answer:
        """Show the one pool."""
        jobs = self._jobs()
        held = sum(1 for job in jobs if whole(job, "allocatedSlots"))
        used = sum(len(allocation.slot_ids) for allocation in self.ledger.live_allocations())
        shown = views.pool(self.master.place.url, self.slots.count, used, len(jobs) - held, held)
        return page(call, "resourcePools", [shown])

    def tasks(self, _call: Call) -> Answer:
        """Show what occupies slots now."""
        return {
            "allocationIdToSummary": {
                held.id: views.allocation_summary(held, self._owner(held)) for held in self.ledger.live_allocations()
            }
        }

    def count(self, _call: Call) -> Answer:
        """Count tasks by kind; there are only trials, which this endpoint does not count."""
        return dict.fromkeys(("commands", "notebooks", "shells", "tensorboards"), 0)

    def jobs(self, call: Call) -> Answer:
        """List what runs or waits, in the order of the queue."""
        if call.query("resourcePool", POOL) != POOL:
            raise missing(f"resource pool '{call.query('resourcePool')}' not found")
        found = self._jobs()
        ordered = found[::-1] if call.query("orderBy") == "ORDER_BY_DESC" else found
        return page(call, "jobs", [{"full": job} for job in ordered])

    def stats(self, _call: Call) -> Answer:
        """Count jobs by whether they hold slots."""
        jobs = self._jobs()
        held = sum(1 for job in jobs if whole(job, "allocatedSlots"))
        counts = {"queuedCount": len(jobs) - held, "scheduledCount": held}
        return {"results": [{"resourcePool": POOL, "stats": counts, "aggregates": []}]}

    def update(self, call: Call) -> Answer:
        """Change the priority of experiments; the order of the queue follows from it."""
        with self.master.store.transaction():
            for sent in items(call.body, "updates"):
                self._update(sent if isinstance(sent, dict) else {})
        self.engine.settle()
        return {}

    def _update(self, sent: Tree) -> None:
        job = text(sent, "jobId")
        number = job.removeprefix("job-")
        if not (job.startswith("job-") and number.isascii() and number.isdigit()):
            raise missing(f"job '{job}' not found")
        found = self.ledger.experiment(int(number))
        if text(sent, "resourcePool", default=POOL) != POOL:
            raise missing(f"resource pool '{sent['resourcePool']}' not found")
        if sent.get("priority") is None:
            raise invalid(f"job '{job}': this queue is ordered by priority only; weights and places cannot be set")
        priority = whole(sent, "priority")
        if priority not in PRIORITIES:
            raise invalid(f"priority {priority} must be between {PRIORITIES[0]} and {PRIORITIES[-1]}")
        resources = section(found.config, "resources") | {"priority": priority}
        self.master.store.update("experiments", found.id, config=dump(found.config | {"resources": resources}))

    def _close(self, numbers: list[int], *, drain: bool) -> None:
        self.slots.close(numbers, drain=drain)
        if not drain:
            self.engine.evict(set(numbers))
        self.engine.settle()

    def _number(self, call: Call) -> int:
        _only_agent(call)
        number = call.id("slot")
        if number >= self.slots.count:
            raise missing(f"slot '{number}' not found on agent '{AGENT}', which has {self.slots.count}")
        return number

    def _agent(self) -> Tree:
        enabled = bool(self.slots.open) or not self.slots.count
        live = self.ledger.live_allocations()
        return views.agent(self._slots(), live, self.engine.since, VERSION, enabled=enabled)

    def _slots(self) -> dict[int, Tree]:
        closed = self.slots.closed
        on = {slot: held for held in self.ledger.live_allocations() for slot in held.slot_ids}
        return {
            slot: views.slot(
                slot, on.get(slot), enabled=slot not in closed, draining=closed.get(slot, False) and slot in on
            )
            for slot in range(self.slots.count)
        }

    def _owner(self, held: Allocation) -> Experiment:
        return self.ledger.experiment(self.ledger.trial(held.trial_id).experiment_id)

    def _jobs(self) -> list[Tree]:
        """Return the queue: those that hold slots first, then by priority and age."""
        held: dict[int, int] = {}
        for allocation in self.ledger.live_allocations():
            owner = self._owner(allocation).id
            held[owner] = held.get(owner, 0) + len(allocation.slot_ids)
        found = [e for e in self.ledger.live_experiments() if e.id in held or e.state == "ACTIVE"]
        found.sort(key=lambda e: (e.id not in held, e.priority, e.start_time))
        running = sum(1 for e in found if e.id in held)
        return [self._job(e, held.get(e.id, 0), max(place - running, 0)) for place, e in enumerate(found)]

    def _job(self, found: Experiment, held: int, ahead: int) -> Tree:
        wanted = sum(found.slots for trial in self.ledger.trials(found.id) if trial.live)
        username = self.ledger.username(found.user_id)
        return views.job(found, self.ledger.project(found.project_id), username, (held, wanted), ahead)


def _only_agent(call: Call) -> None:
    if call.path("agent") != AGENT:
        raise missing(f"agent '{call.path('agent')}' not found; the only one is '{AGENT}'")
