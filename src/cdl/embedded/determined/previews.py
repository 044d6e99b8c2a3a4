"""How many trials a search trains for how long, if every one of them gets as far as it may."""

from collections.abc import Mapping

from cdl.embedded.determined.fields import Tree, section, text
from cdl.embedded.determined.search.halving import Halving
from cdl.embedded.determined.search.listed import GridSearch, RandomSearch
from cdl.embedded.determined.search.searcher import build
from cdl.embedded.determined.search.tournament import Tournament


def of(config: Mapping[str, object]) -> list[Tree]:
    """Return counts of trials with the length they train for, the shortest first."""
    searcher = section(config, "searcher")
    match build(searcher, section(config, "hyperparameters")):
        case RandomSearch(max_trials=count):
            return [{"count": count, "unit": {"maxLength": True}}]
        case GridSearch(points=points):
            return [{"count": len(points), "unit": {"maxLength": True}}]
        case Halving() as one:
            found = _stops(one)
        case Tournament(methods=methods):
            found = [stop for bracket in methods if isinstance(bracket, Halving) for stop in _stops(bracket)]
        case _:
            found = []
    totals: dict[int, int] = {}
    for units, count in found:
        totals[units] = totals.get(units, 0) + count
    name = text(searcher, "time_metric")
    return [
        {"count": count, "unit": {"maxLength": False, "name": name, "value": units}}
        for units, count in sorted(totals.items())
        if count
    ]


def _stops(bracket: Halving) -> list[tuple[int, int]]:
    """Return for each rung how many trials stop there: the better part goes on, at least one."""
    found, running = [], bracket.max_trials
    for units in bracket.units[:-1]:
        going_on = max(int(running / bracket.ranking.divisor), 1)
        found.append((units, running - going_on))
        running = going_on
    return [*found, (bracket.units[-1], running)]
