"""Is a difference of two figures more than chance? Exact where examples can be paired, else by their number."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from cdl.api.meta import Frozen
from cdl.reconcile.pairs import LEVEL, correctness, mcnemar, of_pairs

from .interval import Interval, of_shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

SHARES = ("accuracy", "error")
"""Words in the names of metrics that are shares of the test examples."""
DIGITS = 6


class Judge(StrEnum):
    """How a difference was judged."""

    PAIRED = "McNemar, exact"
    """Both evaluations say of each example whether it was answered rightly."""
    PROPORTIONS = "two proportions"
    """Shares of so many examples each; that they are the same ones is not used, so small differences may be missed."""
    NONE = "none"
    """There is none for such a figure, or the two cannot be compared."""


class MetricDiff(Frozen):
    """One metric of two evaluations."""

    metric: str = Field(description="Its name.")
    a: float | None = Field(None, description="In A; absent: not reported.")
    b: float | None = Field(None, description="In B; absent: not reported.")
    difference: float | None = Field(None, description="B minus A.")
    test: Judge = Field(Judge.NONE, description="How the difference was judged.")
    examples: int | None = Field(None, description="Test examples that the judgement stands on.")
    p: float | None = Field(None, description="Probability of so large a difference by chance alone.")
    significant: bool | None = Field(None, description="p is below 0.05; absent: not judged.")
    interval: Interval | None = Field(
        None, description="Between these the true difference lies in 95 of 100 cases; absent: not judged."
    )
    words: str = Field("", description="The same in one sentence.")


def metrics_diff(a: Mapping[str, JsonValue], b: Mapping[str, JsonValue], *, same_test: bool) -> tuple[MetricDiff, ...]:
    """Compare the metrics of two kept evaluation reports, judged on the same test commit or not."""
    mine, theirs = _figures(a), _figures(b)
    return tuple(_metric(name, a, b, same_test=same_test) for name in sorted({*mine, *theirs}))


def two_proportions(a: float, b: float, examples_a: int, examples_b: int) -> float:
    """Give the two-sided probability of so large a difference of two shares, by the pooled normal approximation."""
    pooled = (a * examples_a + b * examples_b) / (examples_a + examples_b)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / examples_a + 1 / examples_b))
    if spread == 0:
        return 1.0 if a == b else 0.0
    return math.erfc(abs(a - b) / spread / math.sqrt(2))


def _metric(name: str, a: Mapping[str, JsonValue], b: Mapping[str, JsonValue], *, same_test: bool) -> MetricDiff:
    x, y = _figures(a).get(name), _figures(b).get(name)
    if x is None or y is None:
        return MetricDiff(metric=name, a=x, b=y, words=f"only {'B' if x is None else 'A'} reports it")
    known = MetricDiff(metric=name, a=x, b=y, difference=round(y - x, 12))
    if not same_test:
        return known.model_copy(update={"words": "different test commits: not comparable"})
    if not _is_share(name, x, y):
        return known.model_copy(update={"words": "the same test commit; there is no test for such a figure"})
    right_a, right_b = correctness(a), correctness(b)
    if right_a and right_b and len(right_a) == len(right_b) and _is_about(right_a, x) and _is_about(right_b, y):
        return _paired(known, right_a, right_b)
    n, m = _examples(a), _examples(b)
    if not n or not m:
        said = "the same test commit; the reports do not say how many examples it has"
        return known.model_copy(update={"words": said})
    p = two_proportions(x, y, n, m)
    judged = _judged(known, Judge.PROPORTIONS, min(n, m), p, f"{min(n, m)} test examples")
    return judged.model_copy(update={"interval": of_shares(x, y, n, m)})


def _is_about(right: Sequence[bool], figure: float) -> bool:
    """The figure is the share of these answers, or of the wrong ones."""
    share = sum(right) / len(right)
    return min(abs(share - figure), abs(1 - share - figure)) < 1 / (2 * len(right))


def _paired(known: MetricDiff, a: Sequence[bool], b: Sequence[bool]) -> MetricDiff:
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    told = f"of {len(a)} test examples {only_a} only A, {only_b} only B answers rightly"
    judged = _judged(known, Judge.PAIRED, len(a), mcnemar(only_a, only_b), told)
    low, high = of_pairs(only_a, only_b, len(a))
    right = known.a is None or abs(sum(a) / len(a) - known.a) < 1 / (2 * len(a))  # else it is the share of wrong ones
    return judged.model_copy(update={"interval": (low, high) if right else (-high, -low)})


def _judged(known: MetricDiff, test: Judge, examples: int, p: float, told: str) -> MetricDiff:
    more = p < LEVEL
    said = "more than chance" if more else "may be chance" if known.difference else "no difference"
    words = f"{said} (p = {p:.3g}, {test}: {told})"
    judged = {"test": test, "examples": examples, "p": round(p, DIGITS), "significant": more, "words": words}
    return known.model_copy(update=judged)


def _is_share(name: str, *values: float) -> bool:
    return any(word in name.lower() for word in SHARES) and all(0 <= v <= 1 for v in values)


def _examples(report: Mapping[str, JsonValue]) -> int:
    found = report.get("n")
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def _figures(report: Mapping[str, JsonValue]) -> dict[str, float]:
    found = report.get("metrics")
    if not isinstance(found, dict):
        return {}
    return {n: float(v) for n, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}
