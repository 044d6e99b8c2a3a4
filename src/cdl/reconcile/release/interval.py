"""Between which values the true difference of two shares lies, in 95 of 100 cases."""

from __future__ import annotations

import math

from cdl.reconcile.pairs import Interval, Z, bounded, of_pairs

__all__ = ["Interval", "of_pairs", "of_shares", "wilson"]


def of_shares(a: float, b: float, examples_a: int, examples_b: int) -> Interval:
    """Give it for B's share minus A's of other examples: Newcombe's (1998), of two intervals of Wilson's."""
    low_a, high_a = wilson(a, examples_a)
    low_b, high_b = wilson(b, examples_b)
    low = b - a - math.sqrt((b - low_b) ** 2 + (high_a - a) ** 2)
    high = b - a + math.sqrt((high_b - b) ** 2 + (a - low_a) ** 2)
    return bounded(low, high)


def wilson(share: float, examples: int) -> Interval:
    """Give it for one share."""
    middle = (share + Z**2 / (2 * examples)) / (1 + Z**2 / examples)
    reach = Z / (1 + Z**2 / examples)
    reach *= math.sqrt(share * (1 - share) / examples + Z**2 / (4 * examples**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
