"""What is measured, in which order: everybody in turns, round by round, so that a busy minute hits all of them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from cdl.api.meta import Key

from .materials import changed, gone, large, small
from .ours import Ingest, Pachd
from .peers import Copy, Dvc, Git, NotMeasuredError, dvc_program, dvc_version, python

Say = Callable[[str], None]
SHARE = 0.01
"""Of the files, changed before the second commit."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    files: int
    size: int
    large: int
    """MiB of the one large file."""
    many: int
    rounds: int
    dvc: Path | None
    """Where DVC's environment is, or is made; None: without it."""


@dataclass(slots=True)
class Figures:
    """Seconds of each round, by measurement and by who; memory by measurement."""

    plan: Plan
    machine: str
    place: str
    day: str
    dvc: str = ""
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    def note(self, what: str, who: str, seconds: float) -> None:
        """Keep one time."""
        self.seconds.setdefault(what, {}).setdefault(who, []).append(seconds)

    def ratios(self, what: str, who: str, floor: str) -> list[float]:
        """How many times what the floor took in the same round; nothing where one of them is missing."""
        times = self.seconds.get(what, {})
        return [a / b for a, b in zip(times.get(who, []), times.get(floor, []), strict=False)]

    def ratio(self, what: str, who: str, floor: str) -> float | None:
        """The median of that."""
        found = self.ratios(what, who, floor)
        return statistics.median(found) if found else None


class Tool(Protocol):
    """Somebody who keeps versions of a folder."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def commit(self, folder: Path) -> float:
        """Keep the folder as it is; seconds."""

    def read_back(self) -> float:
        """Give it back; seconds."""


FIRST, SECOND, BACK, LARGE, LARGE_BACK = "first commit", "second commit", "read back", "large file", "large file back"
MANY, ONE_MORE = "many files", "one more file"


def run(plan: Plan, place: Path, say: Say) -> Figures:
    """Measure everything below a place that is thrown away afterwards."""
    figures = Figures(plan, _machine(), _kind(place), time.strftime("%Y-%m-%d", time.gmtime()))
    program = _dvc(plan, figures, say)
    for number in range(1, plan.rounds + 1):
        figures.load.append(os.getloadavg()[0])
        say(f"round {number} of {plan.rounds}: {plan.files} files of {plan.size} B; load {figures.load[-1]:.1f}")
        _round(figures, place / f"round{number}", program, say)
        say(f"round {number}: one file of {plan.large} MiB")
        _large(figures, place / f"large{number}", program, say)
    say(f"{plan.many} files in one commit")
    _many(figures, place / "many")
    return figures


def _round(figures: Figures, place: Path, program: Path | None, say: Say) -> None:
    plan = figures.plan
    data = small(place / "data", plan.files, plan.size)
    with _Tools(place, program) as tools:
        for tool in tools:
            _measured(figures, FIRST, tool.name, partial(tool.commit, data), say)
        changed(data, SHARE)
        for tool in tools:
            _measured(figures, SECOND, tool.name, partial(tool.commit, data), say)
        for tool in tools:
            _measured(figures, BACK, tool.name, tool.read_back, say)
    gone(place)


def _large(figures: Figures, place: Path, program: Path | None, say: Say) -> None:
    data = large(place / "data", figures.plan.large)
    with _Tools(place, program) as tools:
        for tool in tools:
            _measured(figures, LARGE, tool.name, partial(tool.commit, data), say)
        for tool in tools:
            _measured(figures, LARGE_BACK, tool.name, tool.read_back, say)
    gone(place)


def _many(figures: Figures, place: Path) -> None:
    """One commit of very many files, and one file more; with the server's memory at its highest."""
    plan = figures.plan
    data = small(place / "data", plan.many, plan.size)
    pachd = Pachd(place / "pachd", place)
    try:
        tool = Ingest(pachd, place, by_itself=True, key=Key("DataPipeline", "default", "many"))
        figures.memory["pachd, idle"] = pachd.highest()
        figures.note(MANY, tool.name, tool.commit(data))
        figures.memory[f"pachd, {plan.many} files"] = pachd.highest()
        (data / "label0" / "one-more.txt").write_text("one more")
        figures.note(ONE_MORE, tool.name, tool.commit(data))
        figures.memory["pachd, one more"] = pachd.highest()
    finally:
        pachd.stop()
        gone(place)


class _Tools:
    """Everybody, with a fresh folder each and a fresh pachd, which is stopped at the end."""

    def __init__(self, place: Path, program: Path | None) -> None:
        others = place / "others"
        others.mkdir(parents=True)
        self._pachd = Pachd(place / "pachd", place)
        ours = [
            Ingest(self._pachd, place, by_itself=own, key=Key("DataPipeline", "default", f"bench-{own}".lower()))
            for own in (True, False)
        ]
        dvc = [Dvc(others, program)] if program is not None else []
        self._tools: tuple[Tool, ...] = (Copy(others), *ours, Git(others), *dvc)

    def __enter__(self) -> tuple[Tool, ...]:
        return self._tools

    def __exit__(self, *_: object) -> None:
        self._pachd.stop()


def _measured(figures: Figures, what: str, who: str, act: Callable[[], float], say: Say) -> None:
    try:
        seconds = act()
    except NotMeasuredError as error:
        figures.missing[f"{who}, {what}"] = str(error)
        say(f"  {what}: {who}: {error}")
        return
    figures.note(what, who, seconds)
    say(f"  {what}: {who}: {seconds:.3f} s")


def _dvc(plan: Plan, figures: Figures, say: Say) -> Path | None:
    if plan.dvc is None:
        figures.missing["dvc add"] = "it was left out"
        return None
    try:
        program = dvc_program(plan.dvc, say)
    except NotMeasuredError as error:
        figures.missing["dvc add"] = str(error)
        return None
    figures.dvc = dvc_version(program)
    return program


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {python()}"


def _kind(place: Path) -> str:
    """Say what the folder lies on, as the system's table of mounts has it."""
    best, kind = "", "an unknown file system"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, at, name, *_ = line.split()
        if str(place.resolve()).startswith(at) and len(at) > len(best):
            best, kind = at, name
    return kind
