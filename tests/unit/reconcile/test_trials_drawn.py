"""Curves in letters: what is drawn where, and nothing that a terminal would trip over."""

from __future__ import annotations

import pytest

from cdl.reconcile.release.card_page import page
from cdl.reconcile.trials.letters import HIGH, MARGIN, WIDE, letters
from cdl.reconcile.trials.page import plots
from tests.unit.reconcile.test_trials_told import facts, trial


def field(drawn):
    """The rows between title and scale."""
    return [line.partition("|")[2].ljust(WIDE) for line in drawn.splitlines()[1 : 1 + HIGH]]


def test_the_best_rises_from_left_to_right_above_what_was_stopped():
    rows = field(letters(facts()))
    best = [(row.index("#"), n) for n, row in enumerate(rows) if "#" in row]
    assert min(best) == (0, max(n for _, n in best))
    assert max(x for x, _ in best) > WIDE * 0.8
    fell = [n for n, row in enumerate(rows) if "x" in row]
    assert min(fell) > min(n for _, n in best)
    assert all(len(row) == WIDE for row in rows)


def test_scales_name_figures_and_times():
    drawn = letters(facts()).splitlines()
    named = [float(line[:MARGIN]) for line in drawn[1:] if line[:MARGIN].strip()]
    assert named == sorted(named, reverse=True)
    assert 0.2 < named[-1] < named[0] < 1
    assert drawn[-3].split() == ["1", "4"]
    assert drawn[-2].split() == ["epochs"]


@pytest.mark.parametrize("figures", [(0.5,), (0.5, 0.5, 0.5), (0.0,), (1e300, -1e300)])
def test_whatever_was_reported_can_be_drawn(figures):
    drawn = letters(facts((trial(3, figures),)))
    assert "#" in drawn
    assert max(map(len, drawn.splitlines())) <= MARGIN + 2 + WIDE


def test_of_nothing_nothing_is_drawn():
    assert letters(facts((trial(1, (), state="Failed"),))) == ""


def test_the_page_of_pictures_has_all_three_of_them():
    shown = page(plots(facts()))
    assert shown.count("<figure>") == 3
    assert "Trials of news" in shown
