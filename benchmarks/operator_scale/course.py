"""In which order what is measured: floor and burst in turns, because other work on the machine comes and goes."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .documents import chain, collected, pushed
from .measure import Bench, Burst, Floor, Idle, Restart
from .place import place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .measure import Make
    from .place import Place

POISONS = ("none", "hangs", "fails", "restless")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    objects: int
    rounds: int
    idle: float
    others: int
    """How many stand beside a poisoned one, and in bursts of less interest."""
    quiet: float = 3.0
    """For how many seconds nothing must have been written after a burst."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was measured."""

    plan: Plan
    day: str
    machine: str
    floors: list[Floor]
    """One a round, nobody else on the API server and no webhooks."""
    guarded_floor: Floor
    """The same with the admission server asked about each create."""
    bursts: list[Burst]
    """One a round, each after the floor of the same number."""
    unguarded: Burst
    """Without webhooks: the operator adds each finalizer itself."""
    collected: Burst
    """DataPipelines that fetch their sources, and say so."""
    mixed_floor: Floor
    mixed: Burst
    idle: Idle
    restart: Restart
    clear: float
    poisoned: dict[str, Burst]


async def run(plan: Plan, folder: Path, say: Callable[[str], None], *, fetch: bool = True) -> Figures:
    """Measure everything in turn, on a fresh API server below a folder."""
    with place(folder, fetch=fetch, say=say) as here:
        bench = Bench(here, plan.quiet)
        say("warming up")
        here.admission(on=True)
        here.operate()
        await bench.learn(lambda namespace: chain(namespace, "some-1"))
        here.rest()
        here.admission(on=False)
        await bench.floor(_several(pushed, min(plan.objects, 50)))
        found = await _rounds(plan, here, bench, say)
        found |= await _one_by_one(plan, here, bench, say)
        here.rest()
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return Figures(plan=plan, day=datetime.now(UTC).strftime("%Y-%m-%d"), machine=machine, **found)


async def _rounds(plan: Plan, here: Place, bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """Take floors and bursts in turns; the operator stays for what comes next, with the last burst's resources."""
    some = _several(pushed, plan.objects)
    floors, bursts = [], []
    for number in range(1, plan.rounds + 1):
        here.admission(on=False)
        floors.append(await bench.floor(some))
        say(f"round {number}: floor {floors[-1].seconds:.1f} s, load {floors[-1].load:.1f}")
        here.admission(on=True)
        here.operate()
        last = number == plan.rounds
        bursts.append(await bench.burst(some, keep=last))
        say(f"round {number}: all Ready after {bursts[-1].seconds:.1f} s, load {bursts[-1].load:.1f}")
        if not last:
            here.rest()
    return {"floors": floors, "bursts": bursts}


async def _one_by_one(plan: Plan, here: Place, bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    some = _several(pushed, plan.objects)
    say(f"idle for {plan.idle:.0f} s")
    found["idle"] = await bench.idle(plan.idle)
    say("kill -9 of the operator")
    found["restart"] = await bench.restart()
    say("deleting everything")
    found["clear"] = await bench.clear()
    found["poisoned"] = {}
    for sort in POISONS:
        say(f"{plan.others} resources beside one that {sort}")
        found["poisoned"][sort] = await bench.poisoned(sort, _several(pushed, plan.others))
    say("DataPipelines that fetch their sources")
    found["collected"] = await bench.burst(_several(collected, plan.others))
    say("three kinds")
    found["mixed"] = await bench.burst(_chains(plan.objects))
    await bench.clear()  # the Releases
    here.admission(on=False)
    say("without webhooks")
    found["unguarded"] = await bench.burst(_several(pushed, plan.others))
    here.rest()
    found["mixed_floor"] = await bench.floor(_chains(plan.objects))
    here.admission(on=True)
    found["guarded_floor"] = await bench.floor(some)
    here.operate()
    return found


def _several(make: Any, count: int) -> Make:  # noqa: ANN401 - any function of `documents`
    return lambda namespace: [make(namespace, f"some-{number}") for number in range(count)]


def _chains(count: int) -> Make:
    def make(namespace: str) -> list[dict[str, Any]]:
        return [one for number in range(count // 3) for one in chain(namespace, f"some-{number}")]

    return make
