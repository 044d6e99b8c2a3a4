"""A difference of two figures is judged by the strongest test that the reports allow, and says which."""

from __future__ import annotations

from fractions import Fraction
from math import comb, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.reconcile.release.significance import Judge, correctness, mcnemar, metrics_diff, two_proportions


def report(accuracy, n=None, correct=None, **metrics):
    told = {"metrics": {"accuracy": accuracy, **metrics}}
    return told | ({"n": n} if n else {}) | ({"correct": correct} if correct else {})


def judged(a, b, *, same_test=True):
    (found,) = metrics_diff(a, b, same_test=same_test)
    return found


@given(only_a=st.integers(0, 120), only_b=st.integers(0, 120))
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    total = only_a + only_b
    as_uneven = [k for k in range(total + 1) if comb(total, k) <= comb(total, only_a)]
    expected = Fraction(sum(comb(total, k) for k in as_uneven), 2**total)
    assert mcnemar(only_a, only_b) == pytest.approx(float(expected))


def test_mcnemar_of_many_examples_is_exact_too():
    fewer, total = 4_900, 10_000
    expected = 2 * sum(comb(total, k) for k in range(fewer + 1)) / 2**total
    assert mcnemar(fewer, total - fewer) == pytest.approx(expected)


@given(right_a=st.integers(0, 445), right_b=st.integers(0, 445))
def test_two_proportions_is_the_chi_square_test_without_correction(right_a, right_b):
    if right_a + right_b in {0, 890}:
        assert two_proportions(right_a / 445, right_b / 445, 445, 445) == 1.0
        return
    a, b, c, d = right_a, 445 - right_a, right_b, 445 - right_b
    chi_square = 890 * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    expected = 2 * NormalDist().cdf(-sqrt(chi_square))
    assert two_proportions(right_a / 445, right_b / 445, 445, 445) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_examples_are_paired_where_both_reports_name_them():
    found = judged(report(0.8, correct="1111111100"), report(1.0, correct="1111111111"))
    assert (found.test, found.examples, found.p, found.significant) == (Judge.PAIRED, 10, 0.5, False)
    assert found.words == (
        "may be chance (p = 0.5, McNemar, exact: of 10 test examples 0 only A, 2 only B answers rightly)"
    )


def test_a_paired_difference_is_seen_that_numbers_alone_do_not_show():
    a, b = "1" * 420 + "0" * 25, "1" * 431 + "0" * 14
    paired = judged(report(420 / 445, n=445, correct=a), report(431 / 445, n=445, correct=b))
    alone = judged(report(420 / 445, n=445), report(431 / 445, n=445))
    assert (paired.test, paired.significant) == (Judge.PAIRED, True)
    assert (alone.test, alone.significant) == (Judge.PROPORTIONS, False)


def test_answers_that_are_not_about_the_figure_are_not_used():
    found = judged(report(0.5, n=4, correct="1111"), report(0.5, n=4, correct="1111"))
    assert found.test is Judge.PROPORTIONS


@pytest.mark.parametrize(
    ("a", "b", "same_test", "words"),
    [
        (report(0.9, n=10), report(0.8, n=10), False, "different test commits: not comparable"),
        (report(0.9), report(0.8), True, "the same test commit; the reports do not say how many examples it has"),
        (report(1.5, n=10), report(0.8, n=10), True, "the same test commit; there is no test for such a figure"),
    ],
)
def test_what_cannot_be_judged_says_why(a, b, same_test, words):
    found = judged(a, b, same_test=same_test)
    assert (found.words, found.significant, found.p) == (words, None, None)
    assert found.difference == pytest.approx(b["metrics"]["accuracy"] - a["metrics"]["accuracy"])


def test_a_figure_without_a_test_is_compared_all_the_same():
    loss = metrics_diff(report(0.9, 10, loss=0.3), report(0.9, 10, loss=0.2), same_test=True)[1]
    assert (loss.metric, loss.difference, loss.test) == ("loss", -0.1, Judge.NONE)


def test_a_metric_of_one_alone_is_named():
    found = metrics_diff(report(0.9, 10, f1=0.5), report(0.9, 10), same_test=True)[1]
    assert (found.metric, found.a, found.b, found.words) == ("f1", 0.5, None, "only A reports it")


@pytest.mark.parametrize(
    ("found", "read"),
    [
        ("101", (True, False, True)),
        ([1, 0], (True, False)),
        ([True, False], (True, False)),
        ("", None),
        ("12", None),
        ([], None),
        ([0.5], None),
        ([1.0], None),
        (None, None),
    ],
)
def test_answers_are_read_as_a_text_or_a_list(found, read):
    assert correctness({"correct": found}) == read
