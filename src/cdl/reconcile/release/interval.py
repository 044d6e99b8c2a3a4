"""Between which values the true difference of two shares lies, in 95 of 100 cases."""

from __future__ import annotations

import math

Z = 1.959963984540054
"""How many standard deviations to either side hold 95 % of a normal distribution."""
DIGITS = 6

Interval = tuple[float, float]


def of_pairs(only_a: int, only_b: int, examples: int) -> Interval:
    """Give it for B's share minus A's of the same examples: Wald's, adjusted as Bonett and Price (2012) do."""
    n = examples + 2
    a, b = (only_a + 1) / n, (only_b + 1) / n
    spread = Z * math.sqrt(max(a + b - (b - a) ** 2, 0) / n)
    return _bounded(b - a - spread, b - a + spread)


def of_shares(a: float, b: float, examples_a: int, examples_b: int) -> Interval:
    """Give it for B's share minus A's of other examples: Newcombe's (1998), of two intervals of Wilson's."""
    low_a, high_a = wilson(a, examples_a)
    low_b, high_b = wilson(b, examples_b)
    low = b - a - math.sqrt((b - low_b) ** 2 + (high_a - a) ** 2)
    high = b - a + math.sqrt((high_b - b) ** 2 + (a - low_a) ** 2)
    return _bounded(low, high)


def wilson(share: float, examples: int) -> Interval:
    """Give it for one share."""
    middle = (share + Z**2 / (2 * examples)) / (1 + Z**2 / examples)
    reach = Z / (1 + Z**2 / examples)
    reach *= math.sqrt(share * (1 - share) / examples + Z**2 / (4 * examples**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _bounded(low: float, high: float) -> Interval:
    return round(max(-1.0, low), DIGITS), round(min(1.0, high), DIGITS)
