"""What passes between the operator and the outside: every call counted in one order, and what goes wrong at it.

The proxies ask the gate about each call of the operator; a plan answers with a fault or with nothing. A call has two
moments, before it is passed on and after the other side has answered but before the operator hears of it.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED = 20_000

KILL_BEFORE = "kill-before"
"""The operator dies before the call leaves."""
KILL_AFTER = "kill-after"
"""The other side has acted and answered; the operator dies before it hears of it."""
LOST_REPLY = "lost-reply"
"""The other side has acted; the connection is reset."""
REFUSE = "refuse"
"""The other side does not act and answers with an error of the 5xx kind, 429 or a gRPC code."""
CONFLICT = "conflict"
"""The API server answers a write with 409 without doing it."""
HANG = "hang"
"""The call waits, then goes on."""
CUT_WATCH = "cut-watch"
"""Every open watch ends at once."""
GONE = "gone"
"""A watch is answered with 410 Gone."""
STALE = "stale"
"""A list is answered from before."""

DEADLY = frozenset({KILL_BEFORE, KILL_AFTER})


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at a call."""

    kind: str
    seconds: float = 0.0
    code: str = ""
    """An HTTP status or a gRPC code, where the fault is an answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the operator."""

    number: int
    life: int
    """Which of the operator's lives made it, counted from 0."""
    door: str
    """api, pachd, determined or seldon."""
    method: str
    path: str
    """With the names of this scenario and numbers replaced, so that two runs can be compared."""
    detail: str = ""
    """What a write says, in a word."""
    raw: str = ""
    at: float = 0.0

    @property
    def signature(self) -> str:
        """What makes two calls the same call."""
        detail = f" [{self.detail}]" if self.detail else ""
        return f"{self.door} {self.method} {self.path}{detail}"

    @property
    def writes(self) -> bool:
        """It may change something outside."""
        if self.method == "RPC":
            return bool(RPC_WRITES.search(self.path))
        return self.method in {"POST", "PUT", "PATCH", "DELETE"} and not READS_BY_POST.search(self.path)

    @property
    def background(self) -> bool:
        """It belongs to no resource: discovery, lists, watches, leases, log-ins."""
        return bool(BACKGROUND.search(self.path)) or self.method in {"LIST", "WATCH"}


RPC_WRITES = re.compile(r"/(Create|Delete|Start|Finish|Modify|Clear|Stop|Update|Run|Squash|Drop|Add|Compose|Set)\w*$")
READS_BY_POST = re.compile(r"/auth/login|selfsubject|/signals/|tokenreviews")
BACKGROUND = re.compile(
    r"/auth/login|/leases/?|selfsubject|^/(apis?|version|healthz|readyz|openapi)/?$|^/apis/[^/]+(/[^/]+)?/?$|^/api/v1/?$"
    r"|^/api/v1/master$|^/info$|^/users/me|/api/v1/me$|^/api/v1/namespaces/?$|customresourcedefinitions"
)
NUMBERS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "{uuid}"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "{hex}"),
    (re.compile(r"(?<=[/.-])\d+(?=/|$|\.)"), "{n}"),
)


class Gate:
    """Where every proxy asks what to do with a call."""

    def __init__(self) -> None:
        """Nothing goes wrong until a plan is set."""
        self.plan: Callable[[Call], Fault | None] = lambda _: None
        self.answered: Callable[[Call, str], None] = lambda _call, _answer: None
        """Told of every call that was passed on, with its status."""
        self.kill: Callable[[], None] = lambda: None
        """Ends the operator as kill -9 does and returns when it is dead."""
        self.is_operator: Callable[[int], bool] = lambda _port: True
        """Says whether the client at a port of loopback is the operator."""
        self.names: dict[str, str] = {}
        """What is replaced by what in paths and details, so that runs can be compared."""
        self.subjects: set[str] = set()
        """Names of the resources under test: a call that has one in it is about that resource."""
        self.life = 0
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self.cuts: set[Callable[[], None]] = set()
        """Ends an open watch, one each."""
        self.down: dict[str, float] = {}
        """Doors nobody answers at, each until a moment of the monotonic clock."""
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)

    def arrive(
        self, door: str, method: str, path: str, detail: str = "", life: int | None = None
    ) -> tuple[Call, Fault]:
        """Count a call of the operator and say what goes wrong at it; kind '' means nothing."""
        with self._lock:
            now = self.life if life is None else life
            call = Call(
                next(self._numbers), now, door, method, self._template(path), self._template(detail), path, time.time()
            )
            self.calls.append(call)
            if now != self.life:  # a dead operator's last words: passed on, as a network would
                return call, Fault("")
            fault = self.plan(call) or Fault("")
            if fault.kind == KILL_BEFORE:
                self.die()
            if fault.kind == CUT_WATCH:
                self.cut()
            return call, fault

    def reply(self, call: Call, fault: Fault, status: str) -> None:
        """The other side has answered; the operator has not heard of it yet."""
        with self._lock:
            if fault.kind == KILL_AFTER and call.life == self.life:
                self.die()
            self.answered(call, status)

    def die(self) -> None:
        """Kill the operator; what it has still on the line belongs to a life that is over."""
        with self._lock:
            self.kill()
            self.life += 1

    def cut(self) -> None:
        """End every open watch."""
        while self.cuts:
            self.cuts.pop()()

    def partition(self, door: str, seconds: float) -> None:
        """Let nobody answer at a door for so long."""
        self.down[door] = time.monotonic() + seconds
        if door == "api":
            self.cut()

    def is_down(self, door: str) -> bool:
        """Nobody answers there now."""
        return time.monotonic() < self.down.get(door, 0.0)

    def _template(self, text: str) -> str:
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        for pattern, stands_for in NUMBERS:
            text = pattern.sub(stands_for, text)
        return text


@dataclass(slots=True)
class Tally:
    """How often each signature was passed on: what an undisturbed run is made of."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Count one."""
        self.counts[call.signature] = self.counts.get(call.signature, 0) + 1
