"""How trials learned, drawn with letters: for a terminal, or a log."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .curves import DRAWN, kind_of, points_of, room
from .pencil import Scale, brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .facts import SearchFacts

WIDE, HIGH = 72, 18
MARGIN = 10
"""Letters of the scale on the left."""
MARKS = {"won": "#", "ran": ".", "fell": "x"}
LEGEND = "# the best   . others   x stopped by the searcher"


def letters(facts: SearchFacts, wide: int = WIDE, high: int = HIGH) -> str:
    """Draw the searcher's metric of every trial over time; empty: none has said anything."""
    searcher = facts.searcher
    known = [(kind_of(t, facts), points) for t in facts.ranked()[:DRAWN] if (points := points_of(t, searcher))]
    if not known:
        return ""
    times = [x for _, points in known for x, _ in points]
    values = [y for _, points in known for _, y in points]
    across = Scale(min(times), max(times), 0.0, wide - 1.0)
    up = Scale(*room(min(values), max(values)), high - 1.0, 0.0)
    field = [[" "] * wide for _ in range(high)]
    for kind, points in reversed(known):  # the best one lies on top
        for x, y in _between([(across.place(x), up.place(y)) for x, y in points]):
            field[y][x] = MARKS[kind]
    named = {round(up.place(value)): brief(value) for value in up.ticks()}
    lines = [f"{named.get(n, ''):>{MARGIN}} |{''.join(row)}".rstrip() for n, row in enumerate(field)]
    first, last = brief(min(times)), brief(max(times))
    return "\n".join(
        (
            f"{searcher.metric} on validation data",
            *lines,
            f"{'':>{MARGIN}} +{'-' * wide}",
            f"{'':>{MARGIN}}  {first}{last:>{max(wide - len(first), 1)}}",
            f"{'':>{MARGIN}}  {searcher.unit:>{wide}}",
            f"{'':>{MARGIN}}  {LEGEND}",
        )
    )


def _between(places: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """Give every letter that a line goes through."""
    found = [(round(x), round(y)) for x, y in places[:1]]
    for (x1, y1), (x2, y2) in pairwise(places):
        steps = max(round(abs(x2 - x1)), round(abs(y2 - y1)), 1)
        found += [(round(x1 + (x2 - x1) * n / steps), round(y1 + (y2 - y1) * n / steps)) for n in range(1, steps + 1)]
    return found
