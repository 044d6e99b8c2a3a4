"""The one place where looking at the store leads to processes: start, signal, watch, adopt."""

import asyncio
import contextlib
import json
import secrets
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

from cdl.embedded.determined import container, processes, storage
from cdl.embedded.determined.container import Place
from cdl.embedded.determined.fields import whole
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.lifecycle import Lifecycle
from cdl.embedded.determined.logs import Growth
from cdl.embedded.determined.records import Allocation, Experiment, Trial
from cdl.embedded.determined.retention import superfluous
from cdl.embedded.determined.slots import Slots
from cdl.embedded.determined.states import (
    ACTIVE,
    ENDS,
    KILLING,
    PAUSED,
    RUNNING,
    STARTING,
)

TICK = 1.0
WATCH = 0.1
GRACE = 3.0
TROUBLE = (sqlite3.Error, OSError)  # a full disk: nothing is lost, the next look tries again
HARNESS_TMP = Path("/tmp")  # noqa: S108 - the harness writes these two there, whatever TMPDIR says
LEFT_BEHIND = ("tensorboard-{}-*", "pid_server-{}")


class Engine:
    """Level-triggered: ``settle`` may be called at any time and repairs whatever it finds."""

    def __init__(self, ledger: Ledger, place: Place, slots: int) -> None:
        """Run up to ``slots`` slots of trials at a time."""
        self.ledger = ledger
        self.store = ledger.store
        self.lifecycle = Lifecycle(ledger)
        self.place = place
        self.slots = Slots(ledger.store, slots)
        self.since = time.time()
        self.closing = False
        self._bells: dict[str, asyncio.Event] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._killers: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Adopt what a previous master left running, then keep the world settled."""
        live = [allocation.id for allocation in self.ledger.live_allocations()]
        for folder in self.place.folder("").iterdir():
            if folder.name not in live:  # a master died between an end and its sweeping
                _clean(folder, folder.name)
        for allocation_id in live:
            self._watch(allocation_id, None)
        while not self.closing:
            with contextlib.suppress(*TROUBLE):
                self.settle()
                await self._tidy()
            await asyncio.sleep(TICK)

    def settle(self) -> None:
        """Move states, give signals, start what fits."""
        if self.closing:
            return
        self.lifecycle.settle()
        self._write_notes()
        for allocation in self.ledger.live_allocations():
            self._signal(allocation)
        self._start_waiting()

    def wants_preemption(self, allocation: Allocation) -> bool:
        """Say whether the allocation should checkpoint and leave."""
        trial = self.ledger.trial(allocation.trial_id)
        experiment = self.ledger.experiment(trial.experiment_id)
        leaving = trial.state in ENDS or experiment.state in (PAUSED, *ENDS)
        return leaving or allocation.nudged or allocation.preempted_at is not None or self.closing

    async def preemption(self, allocation_id: str, longest: float) -> bool:
        """Wait until the allocation should leave, at most the longest seconds."""
        bell = self._bells.setdefault(allocation_id, asyncio.Event())
        if not self.wants_preemption(self.ledger.allocation(allocation_id)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), longest)
        return self.wants_preemption(self.ledger.allocation(allocation_id))

    def evict(self, slots: set[int]) -> None:
        """Kill what runs on these slots; it waits for others and is not blamed."""
        for allocation in self.ledger.live_allocations():
            if slots & set(allocation.slot_ids):
                self._kill(allocation)

    async def close(self) -> None:
        """Ask every trial to checkpoint, kill what stays, and leave no process behind."""
        self.closing = True
        for bell in self._bells.values():
            bell.set()
        live = self.ledger.live_allocations()
        ready = [a for a in live if a.ready and a.id in self._watchers]
        waiting = [self._watchers[a.id] for a in ready]
        if waiting:
            await asyncio.wait(waiting, timeout=GRACE)
        for allocation in self.ledger.live_allocations():
            await asyncio.to_thread(processes.kill, self.place.folder(allocation.id))
            self._finish(allocation.id, None)
        for task in (*self._watchers.values(), *self._killers.values()):
            task.cancel()

    async def _tidy(self) -> None:
        """Delete the checkpoints that ended experiments do not ask to keep."""
        for experiment in self.ledger.untidied_experiments():
            doomed = superfluous(self.ledger, experiment) if storage.reachable(experiment.storage) else []
            for found in doomed:
                left = await asyncio.to_thread(storage.remove, experiment.storage, found.uuid, ["*"])
                self.store.update("checkpoints", found.uuid, state="DELETED", resources=json.dumps(left))
            self.store.update("experiments", experiment.id, tidied=1)

    def _signal(self, allocation: Allocation) -> None:
        trial = self.ledger.trial(allocation.trial_id)
        experiment = self.ledger.experiment(trial.experiment_id)
        if not self.wants_preemption(allocation):
            return
        patience = whole(experiment.config, "preemption_timeout", default=3600)
        since = allocation.preempted_at
        late = since is not None and time.time() - since > patience
        hard = trial.state in KILLING or experiment.state in KILLING
        if hard or late or not allocation.ready:
            self._kill(allocation)
        elif since is None:
            self.store.update("allocations", allocation.id, preempted_at=time.time())
            self._bells.setdefault(allocation.id, asyncio.Event()).set()

    def _kill(self, allocation: Allocation) -> None:
        if allocation.id in self._killers and not self._killers[allocation.id].done():
            return
        self.store.update("allocations", allocation.id, killed=1)
        self._killers[allocation.id] = asyncio.create_task(_kill(self.place.folder(allocation.id)))

    def _start_waiting(self) -> None:
        """Start trials by priority, then first come, first served; a big one at the head is not overtaken."""
        for trial, experiment in self._queue():
            live = self.ledger.live_allocations()
            taken = {slot for allocation in live for slot in allocation.slot_ids}
            free = [slot for slot in self.slots.open if slot not in taken]
            if experiment.slots > len(free):
                return
            if self._over_own_limit(experiment, live):
                continue
            self._start(experiment, trial, free[: experiment.slots])

    def _queue(self) -> list[tuple[Trial, Experiment]]:
        busy = {allocation.trial_id for allocation in self.ledger.live_allocations()}
        waiting = [
            (trial, experiment)
            for experiment in self.ledger.live_experiments()
            if experiment.state == ACTIVE
            for trial in self.ledger.trials(experiment.id)
            if trial.state == ACTIVE and trial.id not in busy
        ]
        return sorted(waiting, key=lambda pair: (pair[1].priority, pair[0].queued_at, pair[0].id))

    def _over_own_limit(self, experiment: Experiment, live: list[Allocation]) -> bool:
        limit = whole(experiment.config, "resources", "max_slots", default=0)
        own = {trial.id for trial in self.ledger.trials(experiment.id)}
        used = sum(len(allocation.slot_ids) for allocation in live if allocation.trial_id in own)
        return bool(limit) and used + experiment.slots > limit

    def _start(self, experiment: Experiment, trial: Trial, slots: list[int]) -> None:
        """Write the allocation first: a master that dies here finds the process by its mark."""
        run_id = trial.run_id + 1
        allocation_id = f"{trial.task_id}.{run_id}"
        with self.store.transaction():
            self.store.update("trials", trial.id, run_id=run_id)
            self.store.insert(
                "allocations",
                id=allocation_id,
                task_id=trial.task_id,
                trial_id=trial.id,
                run_id=run_id,
                state=STARTING,
                token=secrets.token_hex(16),
                slot_ids=json.dumps(slots),
                start_time=time.time(),
            )
        allocation = self.ledger.allocation(allocation_id)
        try:
            child = self._spawn(experiment, trial, allocation)
        except OSError as error:
            self._note(trial.id, run_id, f"trial {trial.id} could not be started: {error}")
            self.lifecycle.ended(allocation, 1)
            return
        self.store.update("allocations", allocation_id, pid=child.pid)
        self._watch(allocation_id, child)

    def _spawn(self, experiment: Experiment, trial: Trial, allocation: Allocation) -> subprocess.Popen[bytes]:
        work = container.prepare(self.place, allocation.id)
        latest = self.ledger.latest_checkpoint(trial.id)
        start = (latest.uuid, latest.steps) if latest else None
        if start is None and trial.warm_start:
            start = (trial.warm_start, 0)
        user = (self.ledger.username(experiment.user_id), allocation.token)
        env = container.environment(self.place, experiment, trial, allocation, user, start)
        return processes.start(env, work, self.place.log(trial.id, allocation.run_id))

    def _watch(self, allocation_id: str, child: subprocess.Popen[bytes] | None) -> None:
        self._bells.setdefault(allocation_id, asyncio.Event())
        task = asyncio.create_task(self._wait(allocation_id, child))
        self._watchers[allocation_id] = task

    async def _wait(self, allocation_id: str, child: subprocess.Popen[bytes] | None) -> None:
        pid = child.pid if child else self._adopted_pid(allocation_id)
        allocation = self.ledger.allocation(allocation_id)
        folder = self.place.folder(allocation_id)
        growth = Growth(self.place.log(allocation.trial_id, allocation.run_id))
        while pid and _running(child, pid, folder):
            growth.note()
            await asyncio.sleep(WATCH)
        growth.note()
        code = processes.exit_code(folder)
        if code is None and child is not None:
            code = child.returncode
        await asyncio.to_thread(processes.kill, folder)
        await self._finish_surely(allocation_id, code)

    async def _finish_surely(self, allocation_id: str, code: int | None) -> None:
        """Try until the end is on disk; a full disk may be emptied."""
        while True:
            with contextlib.suppress(*TROUBLE):
                self._finish(allocation_id, code)
                return
            await asyncio.sleep(TICK)

    def _adopted_pid(self, allocation_id: str) -> int | None:
        pid, folder = self.ledger.allocation(allocation_id).pid, self.place.folder(allocation_id)
        if pid and processes.alive(pid, folder):
            return pid
        found = processes.marked(folder)
        return found[0].pid if found else None

    def _finish(self, allocation_id: str, code: int | None) -> None:
        """Record the end once, clean up, and look at what comes next."""
        allocation = self.ledger.allocation(allocation_id)
        if not allocation.live:
            return
        folder = self.place.folder(allocation_id)
        launched = processes.launched_at(folder)
        with self.store.transaction():
            self.store.update("allocations", allocation_id, launched_at=launched)
            lost = self.closing and code != 0
            self.lifecycle.ended(allocation, None if lost else code)
        self._write_notes()
        self._watchers.pop(allocation_id, None)
        self._bells.pop(allocation_id, asyncio.Event()).set()
        _clean(folder, allocation_id)
        self.settle()

    def launched_at(self, allocation: Allocation) -> float | None:
        """Return when the user's entrypoint of a live or ended allocation was started."""
        return allocation.launched_at or processes.launched_at(self.place.folder(allocation.id))

    def ready(self, allocation_id: str) -> None:
        """Take note that the container met its peers and is about to run user code."""
        self.store.update("allocations", allocation_id, ready=1, state=RUNNING)

    def _write_notes(self) -> None:
        notes, self.lifecycle.notes = self.lifecycle.notes, []
        for trial_id, run_id, line in notes:
            self._note(trial_id, run_id, line)

    def _note(self, trial_id: int, run_id: int, line: str) -> None:
        log = self.place.log(trial_id, run_id)
        with contextlib.suppress(OSError):  # a full disk must not stop the master
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as out:
                out.write(f"INFO: master: {line}\n".encode())
        Growth(log).note()


async def _kill(folder: Path) -> None:
    await asyncio.to_thread(processes.kill, folder)


def _running(child: subprocess.Popen[bytes] | None, pid: int, folder: Path) -> bool:
    return child.poll() is None if child else processes.alive(pid, folder)


def _clean(folder: Path, allocation_id: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    link = HARNESS_TMP / "tensorboard"
    if link.is_symlink() and allocation_id in str(link.readlink()):
        link.unlink(missing_ok=True)
    for pattern in LEFT_BEHIND:
        for left in HARNESS_TMP.glob(pattern.format(allocation_id)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
