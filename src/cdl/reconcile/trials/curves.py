"""How trials learned: the searcher's metric over time, and how far each of them came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pencil import WIDTH, Scale, brief, key, line, picture, rule, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdl.reconcile.experiment import TrialFound

    from .facts import Searcher, SearchFacts

DRAWN = 60
"""Trials of a picture: the best ones, for more are a knot."""
POINTS = 240
"""Points of a line: as many as there is room for."""
LEFT, RIGHT, TOP, HIGH, FOOT = 60.0, 16.0, 30.0, 280.0, 44.0
ROW = 20.0


def learning(facts: SearchFacts) -> str:
    """Draw the metric of every trial over time; empty: none has said anything."""
    searcher = facts.searcher
    known = [(t, points) for t in facts.ranked()[:DRAWN] if (points := points_of(t, searcher))]
    if not known:
        return ""
    times = [x for _, points in known for x, _ in points]
    values = [y for _, points in known for _, y in points]
    across = Scale(min(times), max(times), LEFT, WIDTH - RIGHT)
    up = Scale(*room(min(values), max(values)), TOP + HIGH, TOP)
    return picture(TOP + HIGH + FOOT, f"{searcher.metric} over {searcher.unit}", _learning(facts, known, across, up))


def _learning(
    facts: SearchFacts, known: Sequence[tuple[TrialFound, list[tuple[float, float]]]], across: Scale, up: Scale
) -> Iterator[str]:
    searcher = facts.searcher
    yield from key(16)
    for value in up.ticks():
        yield rule(LEFT, up.place(value), WIDTH - RIGHT, up.place(value))
        yield text(LEFT - 8, up.place(value) + 4, brief(value), "end")
    for value in across.ticks():
        yield text(across.place(value), TOP + HIGH + 18, brief(value), "middle")
    yield text(WIDTH - RIGHT, TOP + HIGH + 36, searcher.unit, "end")
    yield text(LEFT, TOP + HIGH + 36, searcher.metric)
    for trial, points in reversed(known):  # the best one lies on top
        places = ((across.place(x), up.place(y)) for x, y in points)
        yield line(places, kind_of(trial, facts), told(trial, searcher))


def reach(facts: SearchFacts) -> str:
    """Draw how far each trial came: what a search saved by stopping early; empty: nobody came anywhere."""
    searcher = facts.searcher
    known = [(t, max(searcher.time(p) for p in t.validations)) for t in facts.ranked()[:DRAWN] if t.validations]
    if not known:
        return ""
    across = Scale(0.0, max(*(end for _, end in known), searcher.end or 0.0, 0.0) or 1.0, 90.0, WIDTH - 70.0)
    height = TOP + ROW * len(known) + FOOT
    return picture(height, f"how far each trial came, in {searcher.unit}", _reach(facts, known, across, height))


def _reach(
    facts: SearchFacts, known: Sequence[tuple[TrialFound, float]], across: Scale, height: float
) -> Iterator[str]:
    yield from key(16)
    for value in across.ticks():
        yield rule(across.place(value), TOP, across.place(value), height - FOOT + 4)
        yield text(across.place(value), height - FOOT + 20, brief(value), "middle")
    yield text(WIDTH - 70, height - 8, facts.searcher.unit, "end")
    for number, (trial, end) in enumerate(known):
        y, kind = TOP + ROW * number + 4, kind_of(trial, facts)
        width = across.place(end) - across.begin
        said = told(trial, facts.searcher)
        yield text(82, y + 10, f"trial {trial.status.id}", "end")
        yield line(((across.begin, y + 6), (across.begin + width, y + 6)), f"{kind} bar", said)
        metric = trial.status.metric
        yield text(across.begin + width + 8, y + 10, "" if metric is None else brief(metric))


def kind_of(trial: TrialFound, facts: SearchFacts) -> str:
    """Which of three a trial is."""
    best = facts.experiment.status.best_trial
    first = facts.ranked()[0].status.id
    if trial.status.id == (best.id if best else first):
        return "won"
    return "fell" if trial.status.stopped_early else "ran"


def told(trial: TrialFound, searcher: Searcher) -> str:
    """Say which trial a line is, for who points at it."""
    hparams = ", ".join(f"{name}={brief(value)}" for name, value in trial.status.hparams.items())
    metric = "" if trial.status.metric is None else f", {searcher.metric} {brief(trial.status.metric)}"
    return f"trial {trial.status.id}{metric}: {hparams}"


def points_of(trial: TrialFound, searcher: Searcher) -> list[tuple[float, float]]:
    """Give time and figure, thinned where there are more than anybody sees; the last one stays."""
    found = [(searcher.time(p), p.metrics[searcher.metric]) for p in trial.validations if searcher.metric in p.metrics]
    step = len(found) // POINTS + 1
    return found[::step] + ([found[-1]] if found and (len(found) - 1) % step else [])


def room(low: float, high: float) -> tuple[float, float]:
    """Leave a little air above and below."""
    air = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    return low - air, high + air
