"""The figures for people: on the terminal, and as docs/reference/data-speed.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .course import BACK, FIRST, LARGE, LARGE_BACK, MANY, ONE_MORE, SECOND, Figures

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "data-speed.md"
MARK = "<!-- What follows is written by `python -m benchmarks.data --write`. -->"
CP, GIT, DVC, OURS = "cp -r", "git add + commit", "dvc add", "cdl ingest"
UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Line:
    """A figure beside its target."""

    what: str
    found: str
    target: str
    met: bool | None
    """None: not measured."""


def lines(figures: Figures) -> tuple[Line, ...]:
    """Compare what was promised with what was found."""
    plan = figures.plan
    speed = plan.large / statistics.median(figures.seconds[LARGE][OURS])
    copied = figures.ratio(LARGE, OURS, CP)
    highest = figures.memory[f"pachd, {plan.many} files"]
    more = figures.seconds[ONE_MORE][OURS][0]
    return (
        _at_most(f"first commit of {plan.files} files, times cp -r", figures.ratio(FIRST, OURS, CP), 2.0),
        _at_least("dvc add, times our first commit", figures.ratio(FIRST, DVC, OURS), 3.0),
        _at_most("second commit, 1 % changed, times git's", figures.ratio(SECOND, OURS, GIT), 1.0),
        Line(
            f"one file of {plan.large} MiB",
            f"{speed:.0f} MiB/s, {copied:.2f} times cp" if copied else UNKNOWN,
            ">= 477 MiB/s (500 MB/s) or <= 2 times cp",
            (speed >= 477 or copied <= 2) if copied else None,
        ),
        Line(f"server's memory, {plan.many} files in one commit", f"{highest:.0f} MiB", "<= 500 MiB", highest <= 500),
        Line(f"one more file after {plan.many}", f"{more:.2f} s", "<= 2 s", more <= 2),
    )


def text(figures: Figures) -> str:
    """Write everything as Markdown tables, which can be read on a terminal too."""
    return "\n".join(_page(figures)) + "\n"


def write(figures: Figures) -> None:
    """Put the figures below the words of the page."""
    words = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(f"{words}{MARK}\n\n{text(figures)}")


def _at_most(what: str, found: float | None, target: float) -> Line:
    if found is None:
        return Line(what, UNKNOWN, f"<= {target:g}", None)
    return Line(what, f"{found:.2f}", f"<= {target:g}", found <= target)


def _at_least(what: str, found: float | None, target: float) -> Line:
    if found is None:
        return Line(what, UNKNOWN, f">= {target:g}", None)
    return Line(what, f"{found:.2f}", f">= {target:g}", found >= target)


def _page(figures: Figures) -> Iterator[str]:
    plan = figures.plan
    loads = ", ".join(f"{load:.1f}" for load in figures.load)
    yield f"Measured on {figures.day} on {figures.machine}, files on {figures.place}; load before each round: {loads}."
    if figures.dvc:
        yield f"DVC {figures.dvc}."
    yield ""
    yield "## Promised and found"
    yield ""
    yield "| what | found | target | met |"
    yield "|---|---|---|---|"
    for line in lines(figures):
        met = {True: "yes", False: "**no**", None: UNKNOWN}[line.met]
        yield f"| {line.what} | {line.found} | {line.target} | {met} |"
    for title, what in (
        (f"{plan.files} files of {plan.size} B", (FIRST, SECOND, BACK)),
        (f"One file of {plan.large} MiB", (LARGE, LARGE_BACK)),
        (f"{plan.many} files in one commit", (MANY, ONE_MORE)),
    ):
        yield from _table(figures, title, what)
    yield ""
    yield "## The server's memory at its highest"
    yield ""
    yield "| after | MiB |"
    yield "|---|---|"
    for after, mebibytes in figures.memory.items():
        yield f"| {after} | {mebibytes:.0f} |"
    if figures.missing:
        yield ""
        yield "## Not measured"
        yield ""
        for who, why in figures.missing.items():
            yield f"- {who}: {why}"


def _table(figures: Figures, title: str, measured: tuple[str, ...]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield "| what | who | seconds, median (each round) | times cp -r |"
    yield "|---|---|---|---|"
    for what in measured:
        for who, seconds in figures.seconds.get(what, {}).items():
            each = ", ".join(f"{s:.3f}" for s in seconds)
            ratio = figures.ratio(what, who, CP)
            yield (
                f"| {what} | {who} | {statistics.median(seconds):.3f} ({each}) | {ratio:.2f} |"
                if ratio
                else (f"| {what} | {who} | {statistics.median(seconds):.3f} ({each}) | |")
            )
