"""Intervals of a difference: checked against published figures, and against what they promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.reconcile.release.interval import of_pairs, of_shares, wilson
from cdl.reconcile.release.significance import metrics_diff


def test_newcombe_s_own_example():
    """Newcombe (1998), table II, row (a), method 10: 56/70 and 48/80 differ by 0.0524 to 0.3339."""
    low, high = of_shares(48 / 80, 56 / 70, 80, 70)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_wilson_s_interval_of_none_of_ten():
    assert wilson(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))


@given(
    cells=st.tuples(*[st.integers(0, 60)] * 3),
)
def test_the_interval_of_pairs_holds_the_adjusted_difference_and_turns_with_the_sides(cells):
    only_a, only_b, both = cells
    low, high = of_pairs(only_a, only_b, only_a + only_b + both)
    assert -1 <= low <= (only_b - only_a) / (only_a + only_b + both + 2) <= high <= 1
    turned = of_pairs(only_b, only_a, only_a + only_b + both)
    assert turned == pytest.approx((-high, -low))


@given(a=st.integers(0, 50), b=st.integers(0, 80))
def test_the_interval_of_shares_holds_the_difference(a, b):
    low, high = of_shares(a / 50, b / 80, 50, 80)
    assert -1 <= low <= b / 80 - a / 50 + 1e-6
    assert b / 80 - a / 50 - 1e-6 <= high <= 1


def test_an_error_s_interval_is_the_accuracy_s_turned_round():
    a = {"metrics": {"accuracy": 0.8, "error": 0.2}, "correct": "1111111100"}
    b = {"metrics": {"accuracy": 0.9, "error": 0.1}, "correct": "1111111110"}
    accuracy, error = metrics_diff(a, b, same_test=True)
    low, high = accuracy.interval
    assert low < accuracy.difference < high
    assert error.interval == (-high, -low)


def test_where_nothing_is_judged_there_is_no_interval():
    a, b = {"metrics": {"f1": 0.8, "accuracy": 0.9}}, {"metrics": {"f1": 0.9, "accuracy": 0.9}}
    assert [one.interval for one in metrics_diff(a, b, same_test=True)] == [None, None]
