"""The figures for people: on the terminal, and as docs/reference/scale.md."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .course import Figures
    from .measure import Burst

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "scale.md"
RATIO, CALLS, MIB, MINUTES, IDLE_SHARE, POISON_RATIO = 2.0, 2.2, 200.0, 4.0, 0.01, 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A figure beside its target."""

    what: str
    found: str
    target: str
    met: bool


def lines(figures: Figures) -> tuple[Line, ...]:
    """Compare what was promised with what was found."""
    bursts, idle, restart = figures.bursts, figures.idle, figures.restart
    ratio = statistics.median(ratios(figures))
    slowest = max(burst.seconds for burst in bursts)
    calls = max(burst.calls_per_object for burst in bursts)
    highest = max(burst.memory for burst in bursts)
    written = sum(idle.writes.values())
    again = sum(restart.writes.values())
    alone, beside = figures.poisoned["none"], [b for sort, b in figures.poisoned.items() if sort != "none"]
    worst = max(burst.p95 for burst in beside) / alone.p95
    count = figures.plan.objects
    return (
        Line(f"{count} created to all Ready, times the floor", f"{ratio:.2f}", f"<= {RATIO:g}", ratio <= RATIO),
        Line(f"{count} created to all Ready", f"{slowest:.1f} s", f"<= {MINUTES:g} min", slowest <= 60 * MINUTES),
        Line("API calls per object", f"{calls:.2f}", f"<= {CALLS:g}", calls <= CALLS),
        Line("operator's memory at its highest", f"{highest:.0f} MiB", f"<= {MIB:g} MiB", highest <= MIB),
        Line("operator's processor share, idle", f"{idle.cpu:.2%}", f"<= {IDLE_SHARE:.0%}", idle.cpu <= IDLE_SHARE),
        Line(f"writes in {idle.seconds:.0f} s idle, the Lease apart", str(written), "0", written == 0),
        Line("resources that changed meanwhile", str(idle.changed), "0", idle.changed == 0),
        Line("writes after a kill -9", str(again), "0", again == 0),
        Line("resources that changed by it", str(restart.changed), "0", restart.changed == 0),
        Line("p95 beside a poisoned one, times alone", f"{worst:.2f}", f"<= {POISON_RATIO:g}", worst <= POISON_RATIO),
    )


def ratios(figures: Figures) -> list[float]:
    """How many times its floor each round's burst took."""
    return [burst.seconds / floor.seconds for floor, burst in zip(figures.floors, figures.bursts, strict=True)]


def text(figures: Figures) -> str:
    """Write everything as Markdown tables, which can be read on a terminal too."""
    return "\n".join(_page(figures)) + "\n"


def write(figures: Figures) -> None:
    """Put the figures below the words of the page."""
    words = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(f"{words}{MARK}\n\n{text(figures)}")


MARK = "<!-- What follows is written by `python -m benchmarks.operator_scale --write`. -->"


def _page(figures: Figures) -> Iterator[str]:
    plan = figures.plan
    yield f"Measured on {figures.day} on {figures.machine}; etcd without fsync."
    yield ""
    yield "## Promised and found"
    yield ""
    told = [(line.what, line.found, line.target, "yes" if line.met else "**no**") for line in lines(figures)]
    yield from _table(("what", "found", "target", "met"), told)
    yield ""
    yield f"## {plan.objects} DataPipelines, in turns with the floor"
    yield ""
    rows = []
    for number, (floor, burst) in enumerate(zip(figures.floors, figures.bursts, strict=True), 1):
        ratio = burst.seconds / floor.seconds
        rows.append((str(number), f"{floor.seconds:.1f}", f"{burst.seconds:.1f}", f"{ratio:.2f}", *_costs(burst)))
    yield from _table(("round", "floor s", "all Ready s", "ratio", *COSTS), rows)
    yield ""
    yield "## Other bursts"
    yield ""
    guarded, mixed = figures.guarded_floor, figures.mixed_floor
    kinds = (
        ("with webhooks, like above", f"{guarded.seconds:.1f} (guarded)", None),
        ("without webhooks: each finalizer is a PATCH of the operator", "", figures.unguarded),
        ("that fetch their sources, and say so twice", "", figures.collected),
        ("three kinds, each waiting for the one before", f"{mixed.seconds:.1f}", figures.mixed),
    )
    empty = ("",) * (len(COSTS) + 1)
    yield from _table(
        ("burst", "objects", "floor s", "all Ready s", *COSTS),
        [
            (name, str(b.objects if b else guarded.objects), floor, *((f"{b.seconds:.1f}", *_costs(b)) if b else empty))
            for name, floor, b in kinds
        ],
    )
    yield ""
    yield from _calls(figures)
    yield from _rest(figures)


COSTS = (
    "calls per object",
    "of these events",
    "median s",
    "p95 s",
    "operator CPU s",
    "admission CPU s",
    "API server CPU s",
    "operator MiB",
    "descriptors",
    "load",
)


def _costs(burst: Burst) -> tuple[str, ...]:
    cpu = burst.cpu
    return (
        f"{burst.calls_per_object:.2f}",
        f"{burst.events_per_object:.2f}",
        f"{burst.median:.2f}",
        f"{burst.p95:.2f}",
        f"{cpu['operator']:.1f}",
        f"{cpu.get('admission', 0.0):.1f}",
        f"{cpu['kube-apiserver']:.1f}",
        f"{burst.memory:.0f}",
        str(burst.files),
        f"{burst.load:.1f}",
    )


def _calls(figures: Figures) -> Iterator[str]:
    yield "## Which calls"
    yield ""
    named = {
        "DataPipelines": figures.bursts[-1],
        "without webhooks": figures.unguarded,
        "fetching": figures.collected,
        "three kinds": figures.mixed,
    }
    verbs = sorted({call for burst in named.values() for call in burst.calls})
    rows = [(f"`{call}`", *(str(burst.calls.get(call, 0)) for burst in named.values())) for call in verbs]
    yield from _table(("call", *named), rows)
    yield ""


def _rest(figures: Figures) -> Iterator[str]:
    idle, restart = figures.idle, figures.restart
    yield f"## {idle.objects} Ready resources"
    yield ""
    others = ", ".join(f"{name} {share:.2%}" for name, share in idle.cpu_others.items())
    quiet = ("nobody does anything", f"{idle.seconds:.0f}", f"{idle.cpu:.2%} ({others})", _list(idle.reads))
    killed = ("kill -9 until all is quiet", f"{restart.seconds:.1f}", f"{restart.cpu:.1f} s", _list(restart.lists))
    both = [
        (*quiet, _list(idle.writes), str(idle.leases), f"{idle.memory:.0f}", f"{idle.load:.1f}"),
        (*killed, _list(restart.writes), "", f"{restart.memory:.0f}", f"{restart.load:.1f}"),
    ]
    head = ("", "seconds", "operator CPU", "reads", "writes", "Lease", "operator MiB", "load")
    yield from _table(head, both)
    yield ""
    yield f"All were deleted after {figures.clear:.1f} s."
    yield ""
    yield f"## {figures.plan.others} resources beside a poisoned one"
    yield ""
    rows = [
        (sort, f"{b.seconds:.1f}", f"{b.median:.2f}", f"{b.p95:.2f}", f"{b.load:.1f}")
        for sort, b in figures.poisoned.items()
    ]
    yield from _table(("the one", "all Ready s", "median s", "p95 s", "load"), rows)


def _list(calls: dict[str, int]) -> str:
    return ", ".join(f"{n} {call}" for call, n in calls.items()) or "0"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
