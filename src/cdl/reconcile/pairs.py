"""Two models' answers to the same items: is one right more often than chance alone would have it?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

LEVEL = 0.05
"""Below this a difference counts as more than chance."""
Z = 1.959963984540054
"""How many standard deviations to either side hold 95 % of a normal distribution."""
DIGITS = 6

Interval = tuple[float, float]


def mcnemar(only_a: int, only_b: int) -> float:
    """Give the exact two-sided probability that examples on which two models differ fall so unevenly."""
    total, fewer = only_a + only_b, min(only_a, only_b)
    term = whole = 1
    for k in range(fewer):
        term = term * (total - k) // (k + 1)
        whole += term
    return min(1.0, 2 * whole / (1 << total)) if total else 1.0


def of_pairs(only_a: int, only_b: int, examples: int) -> Interval:
    """Give it for B's share minus A's of the same examples: Wald's, adjusted as Bonett and Price (2012) do."""
    n = examples + 2
    a, b = (only_a + 1) / n, (only_b + 1) / n
    spread = Z * math.sqrt(max(a + b - (b - a) ** 2, 0) / n)
    return bounded(b - a - spread, b - a + spread)


def correctness(report: Mapping[str, JsonValue]) -> tuple[bool, ...] | None:
    """Read which examples were answered rightly: `correct`, a list of truth values or a text of 1 and 0."""
    found = report.get("correct")
    if isinstance(found, str) and found and set(found) <= {"0", "1"}:
        return tuple(c == "1" for c in found)
    if isinstance(found, list) and found and all(v in (0, 1) and isinstance(v, int) for v in found):
        return tuple(bool(v) for v in found)
    return None


def bounded(low: float, high: float) -> Interval:
    """Keep an interval of differences of shares within what they can be."""
    return round(max(-1.0, low), DIGITS), round(min(1.0, high), DIGITS)
