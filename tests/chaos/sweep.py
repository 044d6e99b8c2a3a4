"""Let something go wrong at every call once: which calls there are is found out, not guessed and not sampled.

A *point* is one call in one state of the world. The state is what the outside knows of the work: the phase of the
scenario (create, edit, delete), the last write that was acknowledged, and what the status said last. Polling repeats
calls in an unchanged state; those are one point. A scenario is run again and again. Each time a call
comes by whose point still lacks a fault, that fault falls; the restarted operator then meets the next such point, so
one run has many faults. It is over when a run comes by no such point any more: that run is undisturbed, and every call
it made has been a victim before. Calls that only recovery makes are points like any other.

Limits, said plainly:

* Faults of one run follow each other, so most of them hit an operator that has lived for less than a second, and a
  world that earlier faults have shaped. What needs a long life before a kill is left to `python -m tests.chaos`.
* A read is a point once in a state, not once in each of its repetitions; nothing outside changes between them. Unless
  `fine`, a read's state is the status alone: to die at a read is to die after the last write, which is a point itself.
* Calls that belong to no resource (discovery, lists, watches, leases, log-ins, the engines' common beat) are points
  once for all sweeps, or once in a phase with `fine`; events and progress once in a phase: no state depends on them.
* With `reads_twice` off, a read is a victim after it was answered and not before it left: nothing outside can tell
  that from a death right after the call before it, which is a point of its own.
* A status in passing (Queued, Training) and an event are victims when they come by, but nobody can demand that they do;
  all else that came by and was not a victim of everything on the menu is named by `lacking`.
* Threads: which of two concurrent calls comes first is chance; both are points, each pair of them is not.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos.calls import (
    CONFLICT,
    CUT_WATCH,
    DEADLY,
    GONE,
    KILL_AFTER,
    KILL_BEFORE,
    LOST_REPLY,
    REFUSE,
    Call,
    Fault,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.journal import Journal

START = "-"
ANY = "*"
SHARED_STATUS = re.compile(r"/releases/[^/]+/status$")
NO_NEWS = "status"
"""A status that was written without another answer in it: only progress."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A call in a state of the world."""

    phase: str
    engine: str
    """The last write that an engine acknowledged."""
    said: str
    """What the status said last."""
    signature: str


def kills(call: Call, *, reads_twice: bool) -> tuple[Fault, ...]:
    """Die before and after. An event is only told people: one that is lost is lost, and nothing depends on it."""
    if (call.writes and not is_event(call)) or reads_twice:
        return Fault(KILL_BEFORE), Fault(KILL_AFTER)
    return (Fault(KILL_AFTER),)


def disturbances(call: Call) -> tuple[Fault, ...]:
    """Everything but death: lost replies, refusals, conflicts, cut and stale watches."""
    if is_event(call) or call.door == "sources":
        return ()
    if call.method == "WATCH":
        return Fault(CUT_WATCH), Fault(GONE)
    if call.background or not call.writes:
        return ()
    refusal = Fault(REFUSE, code="UNAVAILABLE" if call.method == "RPC" else "503")
    conflict = (Fault(CONFLICT),) if call.door == "api" and call.method in {"PUT", "PATCH"} else ()
    return Fault(LOST_REPLY), refusal, *conflict


def is_event(call: Call) -> bool:
    """It tells people what happened."""
    return "/events" in call.path


def is_passing(call: Call) -> bool:
    """It says what is going on just now, and may as well be left out when things go quickly."""
    return is_event(call) or (call.path.endswith("/status") and not call.detail.startswith(("True/", "served")))


def demanded(call: Call) -> str:
    """Name what must have been a victim.

    Several controllers write to the status of a Release; which of their facts such a write finds there is chance.
    """
    return f"{call.door} {call.method} {call.path}" if SHARED_STATUS.search(call.path) else call.signature


@dataclass(slots=True)
class Sweep:
    """What has gone wrong where, for one scenario."""

    token: str
    """What stands for the scenario's name in signatures."""
    doors: frozenset[str]
    menu: Callable[[Call], tuple[Fault, ...]]
    journal: Journal
    fine: bool = False
    blunt: bool = False
    """Take no notice of states within a phase: a call is a point once in each phase."""
    shared: dict[Point, list[str]] = field(default_factory=dict)
    """What other sweeps have done at calls that belong to no resource."""
    phase: str = ""
    covered: dict[Point, list[str]] = field(default_factory=dict)
    writes: set[Point] = field(default_factory=set)
    known: dict[str, Call] = field(default_factory=dict)
    """One call of each signature."""
    last_fault: float = 0.0
    fresh: int = 0
    """Faults of this run."""
    open_lines: list[dict[str, Any]] = field(default_factory=list)
    """Faults after which it was not calm yet."""
    tally: Tally = field(default_factory=Tally)
    quiet: bool = False
    """Let nothing go wrong, and learn the usual course: the calls that come whenever nothing goes wrong."""
    usual: set[tuple[str, str]] = field(default_factory=set)
    """Phase and signature of every call of the usual course."""
    _engine: str = START
    _said: str = START
    _life: int = 0

    def begin(self) -> None:
        """Start a run."""
        self.fresh, self.tally = 0, Tally()

    def enter(self, phase: str) -> None:
        """Start a phase."""
        self.phase, self._engine, self._said = phase, START, START

    def plan(self, call: Call) -> Fault | None:
        """Say what goes wrong at a call."""
        self._note_return(call)
        point = self.point(call)
        if point is None:
            return None
        self.tally.add(call)
        done = self.covered.setdefault(point, self.shared.setdefault(point, []) if point.phase == ANY else [])
        self.known.setdefault(call.signature, call)
        if call.writes:
            self.writes.add(point)
        if self.quiet:
            self.usual.add((self.phase, demanded(call)))
            return None
        fault = next((f for f in self.menu(call) if f.kind + f.code not in done), None)
        if fault is None:
            return None
        done.append(fault.kind + fault.code)
        self.fresh += 1
        self.last_fault = time.monotonic()
        more = {"code": fault.code} if fault.code else {}
        line = self.journal.fault(
            fault.kind, call.signature, call=call.number, phase=self.phase, state=point.said, **more
        )
        line["life"] = call.life
        self.open_lines.append(line)
        return fault

    def answered(self, call: Call, status: str) -> None:
        """Learn from an acknowledged write in which state the world is now."""
        if not call.writes or not self._is_about_it(call) or is_event(call):
            return
        if call.door == "api" and call.path.endswith("/status"):
            self._said = call.detail if call.detail != NO_NEWS else self._said
        elif status == "OK" or status.startswith("2"):
            self._engine = call.signature

    def point(self, call: Call) -> Point | None:
        """Give the point of a call; None when it is not about this scenario."""
        if call.door not in self.doors or not self.phase:
            return None
        if call.background or (call.method == "RPC" and not self._is_about_it(call)):
            return Point(self.phase if self.fine else ANY, "", "", call.signature)
        if call.door == "api" and not self._is_about_it(call):
            return None
        if self.blunt or is_event(call) or call.detail == NO_NEWS:
            return Point(self.phase, "", "", call.signature)
        engine = self._engine if self.fine or call.writes else ""
        return Point(self.phase, engine, self._said, call.signature)

    def _is_about_it(self, call: Call) -> bool:
        return not call.background and (
            self.token in call.path or self.token in call.detail or call.door == "determined"
        )

    def lacking(self, *, usual: bool = False) -> list[str]:
        """Name calls that came by in some phase and were not a victim of everything on the menu, in whatever state.

        With `usual` only calls of the usual course are named, which a quiet run has taught; others came of a fault,
        and nobody can say whether they come again.
        """
        met: dict[tuple[str, str], set[str]] = {}
        menus: dict[tuple[str, str], set[str]] = {}
        for point, done in self.covered.items():
            call = self.known[point.signature]
            if not is_passing(call):  # what belongs to no resource need not come by in every phase
                key = (ANY if call.background else point.phase, demanded(call))
                met.setdefault(key, set()).update(done)
                menus.setdefault(key, set()).update(f.kind + f.code for f in self.menu(call))
        lacks = {key: menus[key] - done for key, done in met.items()}
        named = {key: lack for key, lack in lacks.items() if lack and (not usual or key[0] == ANY or key in self.usual)}
        return [f"{phase} {signature}: {sorted(lack)}" for (phase, signature), lack in named.items()]

    def table(self) -> str:
        """Show every point and what went wrong there."""
        lines = [f"{'phase':7} {'faults':40} call  (state: last engine write | last status)"]
        for point in sorted(self.covered):
            faults = ",".join(self.covered[point]) or "NONE"
            state = f"  ({point.engine} | {point.said})" if point.said else ""
            lines.append(f"{point.phase:7} {faults:40} {point.signature}{state}")
        return "\n".join(lines)

    def figures(self) -> dict[str, int]:
        """Count points and faults."""
        faults = [kind for done in self.covered.values() for kind in done]
        return {
            "points": len(self.covered),
            "write_points": len(self.writes),
            "faults": len(faults),
            "kills": sum(kind in DEADLY for kind in faults),
            "bare_points": sum(not done for done in self.covered.values()),
            "calls_undisturbed": sum(self.tally.counts.values()),
            "signatures_undisturbed": len(self.tally.counts),
        }

    def _note_return(self, call: Call) -> None:
        if call.life == self._life:
            return
        self._life = call.life
        for line in self.open_lines:
            if line["fault"] in DEADLY:
                line.setdefault("back_s", round(time.monotonic() - self.last_fault, 3))
