"""Chance, seeded: faults of every kind fall on all three kinds of resources at once, for as long as one likes.

The seed decides the order of faults, targets and edits; how far the platform is when one falls is the machine's own.
A run counts only if the traffic floor was met and nearly all faults were seen to take effect.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.chaos import invariants
from tests.chaos.calls import CONFLICT, CUT_WATCH, GONE, HANG, KILL_AFTER, KILL_BEFORE, LOST_REPLY, REFUSE, STALE, Fault
from tests.chaos.course import DATA, DOORS, Scenario
from tests.chaos.kube import condition, is_settled
from tests.chaos.load import Load
from tests.chaos.rig import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.calls import Call
    from tests.chaos.journal import Journal
    from tests.chaos.rig import Rig

NAMESPACE = "proving-ground"
FLOOR = 5.0
"""Spec changes a second, on average, below which a run says nothing."""
EFFECTIVE = 0.95
"""Share of planned faults that must have been seen to take effect."""
ARMED_SECONDS = 15.0
"""How long a fault waits for a call it can fall on."""
SETTLE_SECONDS = 90.0
QUIET_EVERY, QUIET_SECONDS = 10, 5.0
CODES = {
    "pachd": ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"),
    "api": ("500", "503", "429"),
    "determined": ("500", "502", "503", "429"),
    "seldon": ("500", "503", "429"),
}
ENGINES = ("pachd", "determined", "seldon")


class Traffic:
    """Changes specs at a steady rate in ways that cost nothing but a look: the interval between two looks."""

    def __init__(self, run: LongRun) -> None:
        """Nothing is changed before it is resumed."""
        self.changes, self.seconds = 0, 0.0
        self._run = run
        self._go, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="chaos-traffic")

    def __enter__(self) -> Self:
        """Begin, paused."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._go.set()
        self._thread.join()

    def resume(self) -> None:
        """Go on."""
        self._go.set()

    def pause(self) -> None:
        """Let what was changed be looked at."""
        self._go.clear()

    def _work(self) -> None:
        minutes = 10
        while not self._stop.is_set():
            self._go.wait()
            for it in self._run.scenarios:
                if self._stop.is_set() or not self._go.is_set():
                    break
                began = time.monotonic()
                minutes = 10 + (minutes - 9) % 40
                body = {"spec": {"interval": f"{minutes}m"}}
                try:
                    self._run.rig.kube.patch(it.kind, it.namespace, it.name, body)
                    self.changes += 1
                except Exception as error:
                    say(f"traffic: {error}")
                self._stop.wait(max(0.0, 0.1 - (time.monotonic() - began)))
                self.seconds += time.monotonic() - began


@dataclass(slots=True)
class LongRun:
    """One run: resources that are there throughout, and faults until the time is over."""

    rig: Rig
    journal: Journal
    minutes: float
    scenarios: list[Scenario] = field(default_factory=list)
    _armed: list[tuple[Callable[[Call], bool], Fault]] = field(default_factory=list)
    _dice: random.Random = field(default_factory=random.Random)
    _hit: threading.Event = field(default_factory=threading.Event)

    def run(self) -> bool:
        """Let faults fall; give whether everything held and the run counts."""
        self._dice.seed(self.journal.seed)
        self._begin()
        self.rig.gate.plan = self._plan
        until = time.monotonic() + self.minutes * 60
        url = next(d for it in self.scenarios if (d := it.get()) and it.kind == "ModelDeployment")["status"]["url"]
        with Traffic(self) as traffic, Load(url, 20) as load:
            while time.monotonic() < until:
                self._step(traffic, load)
        self._end()
        rate = traffic.changes / traffic.seconds if traffic.seconds else 0.0
        effective = sum(bool(line["took_effect"]) for line in self.journal.lines if "took_effect" in line)
        planned = sum("took_effect" in line for line in self.journal.lines) or 1
        say(f"traffic: {rate:.1f} spec changes/s (floor {FLOOR}); {effective} of {planned} faults took effect")
        return not self.journal.violations and rate >= FLOOR and effective / planned >= EFFECTIVE

    def _begin(self) -> None:
        for kind in DOORS:
            it = Scenario(self.rig, kind, NAMESPACE, f"{kind.lower()[:3]}-long")
            it.prepare()
            self.rig.kube.create(it.document())
            self.scenarios.append(it)
        for it in self.scenarios:
            self.rig.kube.until(it.kind, NAMESPACE, it.name, is_settled)

    def _step(self, traffic: Traffic, load: Load) -> None:
        dice, answered = self._dice, len(load.answers)
        traffic.resume()
        if dice.random() < 0.4:
            it = dice.choice(self.scenarios)
            self.rig.kube.patch(it.kind, it.namespace, it.name, it.edited())
        name, fault = dice.choice(self._faults())
        line = self.journal.fault(name, "")
        line["target"], line["took_effect"] = fault()
        time.sleep(dice.uniform(0.3, 1.5))
        traffic.pause()
        began = time.monotonic()
        problems = list(self._unsettled())
        seconds = time.monotonic() - began
        for it in self.scenarios:
            document = it.get()
            if document is not None:
                problems += invariants.at_most_one(self.rig.eyes, document)
        model = next(it.name for it in self.scenarios if it.kind == "ModelDeployment")
        fresh = load.answers[answered:]
        problems += invariants.served(fresh, self.rig.kube, NAMESPACE, model)
        if name not in {"kill-server", "kill-seldon"}:
            problems += invariants.available(fresh)
        if line["step"] % QUIET_EVERY == 0:
            for it in self.scenarios:
                problems += invariants.quiet(self.rig.gate, self.rig.kube, it.get() or {}, QUIET_SECONDS)
        self._note(line, seconds, problems)

    def _note(self, line: dict[str, Any], seconds: float, problems: list[str]) -> None:
        line["converged_s"], line["invariants"] = round(seconds, 3), problems or "ok"
        self.journal.violations += [f"step {line['step']} ({line['fault']}): {p}" for p in problems]
        self.journal.write([line])
        say(f"{line['step']:5} {line['fault']:16} {line['target']:14} {seconds:6.2f} s  {problems or 'ok'}")

    def _unsettled(self) -> Iterator[str]:
        deadline = time.monotonic() + SETTLE_SECONDS
        for it in self.scenarios:
            while not is_settled(found := it.get()):
                if time.monotonic() > deadline:
                    yield f"I4: {it.kind} {it.name} not settled in {SETTLE_SECONDS:.0f} s: {condition(found)}"
                    break
                time.sleep(0.05)

    def _end(self) -> None:
        self.rig.gate.plan = lambda _call: None
        problems: list[str] = []
        gone = []
        for it in self.scenarios:
            document: Any = it.get()
            invariants.acknowledge(self.rig.eyes, self.rig.kube, document, it.told)
            gone.append((it, document))
            self.rig.kube.delete(it.kind, it.namespace, it.name)
        for it, document in gone:
            problems += invariants.nothing_left(self.rig.eyes, self.rig.kube, document)
            uid, lives = document["metadata"]["uid"], self.rig.gate.life
            problems += invariants.forward(self.rig.recorder, uid, lives=lives, calm=False)
            problems += invariants.nothing_lost(self.rig.eyes, it.told, set() if it.kind == "DataPipeline" else None)
            it.tidy()
        self.rig.kube.delete("DataPipeline", NAMESPACE, DATA)
        self.journal.violations += problems

    # --- faults

    def _faults(self) -> list[tuple[str, Callable[[], tuple[str, bool]]]]:
        dice = self._dice
        doors = ("api", *ENGINES)
        return [
            ("kill-random", self._kill),
            (KILL_BEFORE, lambda: self._arm(dice.choice(doors), Fault(KILL_BEFORE), writes=dice.random() < 0.5)),
            (KILL_AFTER, lambda: self._arm(dice.choice(doors), Fault(KILL_AFTER), writes=dice.random() < 0.5)),
            (LOST_REPLY, lambda: self._arm(dice.choice(doors), Fault(LOST_REPLY), writes=dice.random() < 0.7)),
            (REFUSE, self._refuse),
            (CONFLICT, lambda: self._arm("api", Fault(CONFLICT), writes=True)),
            (HANG, lambda: self._arm(dice.choice(doors), Fault(HANG, seconds=dice.uniform(0.5, 3)), writes=False)),
            (CUT_WATCH, self._cut),
            (GONE, lambda: self._watch(Fault(GONE))),
            (STALE, self._stale),
            ("swallow-events", self._swallow),
            ("partition", lambda: self._partition(dice.choice(doors), dice.choice((1.0, 2.0, 5.0)))),
            *((f"kill-{name}", lambda name=name: self._engine(name)) for name in ENGINES),
            ("kill-apiserver", lambda: self._plane("kube-apiserver")),
            ("kill-etcd", lambda: self._plane("etcd")),
            ("kill-server", self._server),
            ("kill-trial", self._trial),
        ]

    def _plan(self, call: Call) -> Fault | None:
        for armed in list(self._armed):
            fits, fault = armed
            if fits(call):
                self._armed.remove(armed)
                self._hit.set()
                return fault
        return None

    def _arm(self, door: str, fault: Fault, *, writes: bool) -> tuple[str, bool]:
        """Let a fault fall on one of the next calls at a door; somebody asks for a look so that there are some."""
        skip = self._dice.randrange(4)
        number = self.rig.gate.calls[-1].number if self.rig.gate.calls else 0
        self._hit.clear()
        armed = (lambda c: c.door == door and c.number > number + skip and (c.writes or not writes), fault)
        self._armed.append(armed)
        kind = next((k for k, doors in DOORS.items() if door in doors), "Experiment")
        it = next(it for it in self.scenarios if it.kind == kind)
        self.rig.kube.patch(it.kind, it.namespace, it.name, it.edited())
        hit = self._hit.wait(ARMED_SECONDS)
        if not hit and armed in self._armed:
            self._armed.remove(armed)
        return door, hit

    def _refuse(self) -> tuple[str, bool]:
        door = self._dice.choice(tuple(CODES))
        code = self._dice.choice(CODES[door])
        target, hit = self._arm(door, Fault(REFUSE, code=code), writes=False)
        return f"{target} {code}", hit

    def _watch(self, fault: Fault) -> tuple[str, bool]:
        self._hit.clear()
        armed = (lambda c: c.method == "WATCH", fault)
        self._armed.append(armed)
        self.rig.gate.cut()
        hit = self._hit.wait(ARMED_SECONDS)
        if not hit and armed in self._armed:
            self._armed.remove(armed)
        return "watch", hit

    def _cut(self) -> tuple[str, bool]:
        count = len(self.rig.gate.cuts)
        self.rig.gate.cut()
        return f"{count} watches", count > 0

    def _stale(self) -> tuple[str, bool]:
        """An operator that has just started lists from before: a lagging API server behind a load balancer."""
        self._hit.clear()
        armed = (lambda c: c.door == "api" and c.method == "LIST", Fault(STALE))
        self._armed.append(armed)
        self.rig.kill()
        hit = self._hit.wait(ARMED_SECONDS)
        if not hit and armed in self._armed:
            self._armed.remove(armed)
        self.rig.gate.cut()
        return "list", hit

    def _swallow(self) -> tuple[str, bool]:
        proxy, before = self.rig.proxies["api"], self.rig.proxies["api"].events
        swallowed: list[bytes] = []
        proxy.events = lambda line: (swallowed.append(line), ())[1]
        time.sleep(self._dice.uniform(0.5, 2))
        proxy.events = before
        self.rig.gate.cut()
        return "watch", bool(swallowed)

    def _partition(self, door: str, seconds: float) -> tuple[str, bool]:
        self.rig.gate.partition(door, seconds)
        time.sleep(seconds)
        return f"{door} {seconds:.0f} s", True

    def _kill(self) -> tuple[str, bool]:
        life = self.rig.gate.life
        self.rig.kill()
        return "operator", self.rig.gate.life > life

    def _engine(self, name: str) -> tuple[str, bool]:
        os.kill(self.rig.servers.pid(name), signal.SIGKILL)
        time.sleep(self._dice.uniform(0.0, 1.0))
        self.rig.servers.start(name)
        return name, self.rig.eyes.answering()

    def _plane(self, name: str) -> tuple[str, bool]:
        self.rig.cluster.kill(name)
        time.sleep(self._dice.uniform(0.0, 2.0))
        self.rig.cluster.start()
        return name, True

    def _server(self) -> tuple[str, bool]:
        name = next(it.name for it in self.scenarios if it.kind == "ModelDeployment")
        return name, _killed(self.rig.eyes.servers(name))

    def _trial(self) -> tuple[str, bool]:
        """Wait for a trial to run, so that there is one to kill."""
        it = next(it for it in self.scenarios if it.kind == "Experiment")
        self.rig.kube.patch(it.kind, it.namespace, it.name, it.edited())
        deadline = time.monotonic() + ARMED_SECONDS
        while time.monotonic() < deadline:
            found = self.rig.eyes.trials()
            if found:
                return "trial", _killed(found)
            time.sleep(0.05)
        return "trial", False


def _killed(pids: list[int]) -> bool:
    killed = False
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            killed = True
        except ProcessLookupError:
            continue
    return killed
