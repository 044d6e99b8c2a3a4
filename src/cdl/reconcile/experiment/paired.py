"""Two evaluations of the same items, item by item: by how much is one model better, and between which values?

A share of right answers is judged by McNemar's exact test. Precision, F1 and macro figures are no shares: their
difference is judged by a jackknife over the items, which needs no chance, so the same answers are judged the same way.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.reconcile.pairs import LEVEL, Z, correctness, mcnemar, of_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import JsonValue

    Cells = Counter[tuple[str, str, str]]
    """What an item is, what it is taken for here, and there."""

CLOSE = 1e-6
FIGURES = ("precision", "recall", "f1")
SHARES = ("accuracy", "weighted_recall")
"""Names of the share of right answers."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What a comparison found; `why` tells why there is none."""

    mine: float = 0.0
    theirs: float = 0.0
    low: float = 0.0
    high: float = 0.0
    items: int = 0
    p: float | None = None
    """Of McNemar's test, where that was it."""
    why: str = ""

    @property
    def difference(self) -> float:
        """By how much the figure is greater here."""
        return self.mine - self.theirs

    @property
    def worse(self) -> bool:
        """It is less than there, by more than chance."""
        return self.difference < 0 and (self.high < 0 if self.p is None else self.p < LEVEL)


@dataclass(frozen=True, slots=True)
class Part:
    """Which figure of which items."""

    metric: str
    of_class: str = ""
    group: str = ""
    """As `name=value`."""


def paired(part: Part, mine: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]) -> Paired:
    """Compare a figure of two reports on the same items."""
    whole = not part.of_class and not part.group and part.metric in SHARES
    here, there = _answers(mine), _answers(theirs)
    if here is None or there is None:
        return (
            _by_right(mine, theirs)
            if whole
            else Paired(why=f"{_lacks(here=here is None)} say what each item was taken for")
        )
    if [label for label, _ in here] != [label for label, _ in there]:
        return Paired(why="the two evaluations do not tell of the same items in the same order")
    places = _places(part.group, mine, len(here))
    if isinstance(places, str):
        return Paired(why=places)
    rows = [(here[at][0], here[at][1], there[at][1]) for at in places]
    if part.of_class and not any(label == part.of_class for label, _, _ in rows):
        return Paired(why=f"no item is of class {part.of_class}")
    if part.of_class and part.metric == "recall":
        rows = [row for row in rows if row[0] == part.of_class]
    if whole or (not part.of_class and part.metric in SHARES) or (part.of_class and part.metric == "recall"):
        return _shares([a == label for label, a, _ in rows], [b == label for label, _, b in rows])
    figure = _figure(part)
    if figure is None:
        return Paired(why=f"there is no paired test of {part.metric}: give min or max instead")
    return _jackknife(Counter(rows), figure)


def adds_up(value: float, found: Paired) -> bool:
    """Tell whether the answers are those that the reported figure is of."""
    return math.isclose(value, found.mine, abs_tol=CLOSE)


def _by_right(mine: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]) -> Paired:
    a, b = correctness(mine), correctness(theirs)
    if a is None or b is None:
        return Paired(why=f"{_lacks(here=a is None)} say of each item whether it was answered rightly")
    if len(a) != len(b):
        return Paired(why=f"it tells of {len(a)} items, that of production of {len(b)}")
    return _shares(a, b)


def _lacks(*, here: bool) -> str:
    return "this evaluation does not" if here else "the evaluation of production does not"


def _shares(a: Sequence[bool], b: Sequence[bool]) -> Paired:
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    n = len(a)
    low, high = of_pairs(only_b, only_a, n)  # of what is here minus what is there
    return Paired(sum(a) / n, sum(b) / n, low, high, n, mcnemar(only_a, only_b))


def _answers(report: Mapping[str, JsonValue]) -> list[tuple[str, str]] | None:
    """Read what each item is and what it was taken for, by the names of classes; two models may number them apart."""
    found, classes = report.get("answers"), report.get("classes")
    if not isinstance(found, dict) or not isinstance(classes, list):
        return None
    labels, taken = found.get("labels"), found.get("predicted")
    if not isinstance(labels, list) or not isinstance(taken, list) or len(labels) != len(taken) or not labels:
        return None
    names = [str(name) for name in classes]
    if not all(isinstance(at, int | float) and 0 <= at < len(names) for at in (*labels, *taken)):
        return None
    return [(names[_whole(x)], names[_whole(y)]) for x, y in zip(labels, taken, strict=True)]


def _whole(at: JsonValue) -> int:
    return int(at) if isinstance(at, int | float) else 0


def _places(group: str, report: Mapping[str, JsonValue], items: int) -> Sequence[int] | str:
    """Give where the items of a group are; a sentence where nobody says."""
    if not group:
        return range(items)
    name, _, value = group.partition("=")
    groups = report.get("groups")
    values = groups.get(name) if isinstance(groups, dict) else None
    if not isinstance(values, list) or len(values) != items:
        return f"the evaluation does not say which items are {group}"
    return [at for at, one in enumerate(values) if str(one) == value] or f"no item is {group}"


def _figure(part: Part) -> Callable[[Cells, int], float] | None:
    """Give how a figure is counted of cells; the place says whose answers."""
    if part.of_class:
        if part.metric not in FIGURES:
            return None
        return lambda cells, place: _of_class(_counts(cells, place), part.of_class, part.metric)
    how, _, name = part.metric.partition("_")
    if how not in {"macro", "weighted"} or name not in FIGURES:
        return None

    def mean(cells: Cells, place: int) -> float:
        counts = _counts(cells, place)
        weights = {label: float(row[0]) if how == "weighted" else 1.0 for label, row in counts.items() if row[0]}
        return sum(_of_class(counts, label, name) * w for label, w in weights.items()) / sum(weights.values())

    return mean


def _counts(cells: Cells, place: int) -> dict[str, tuple[int, int, int]]:
    """Count of each class its items, what was taken for it, and both."""
    items: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    both: Counter[str] = Counter()
    for cell, count in cells.items():
        label, said = cell[0], cell[place]
        items[label] += count
        taken[said] += count
        both[label] += count if label == said else 0
    return {name: (items[name], taken[name], both[name]) for name in {*items, *taken}}


def _of_class(counts: Mapping[str, tuple[int, int, int]], name: str, metric: str) -> float:
    items, taken, both = counts.get(name, (0, 0, 0))
    whole = {"precision": taken, "recall": items, "f1": (items + taken) / 2}[metric]
    return both / whole if whole else 0.0


def _jackknife(cells: Cells, figure: Callable[[Cells, int], float]) -> Paired:
    """Leave out each item in turn: how far the difference moves says how sure it is."""
    n, mine, theirs = cells.total(), figure(cells, 1), figure(cells, 2)
    if n < 2:
        return Paired(mine, theirs, -1.0, 1.0, n)
    without = []
    for cell, count in cells.items():
        rest = cells - Counter([cell])
        without.append((figure(rest, 1) - figure(rest, 2), count))
    middle = sum(value * count for value, count in without) / n
    spread = Z * math.sqrt((n - 1) / n * sum(count * (value - middle) ** 2 for value, count in without))
    return Paired(mine, theirs, mine - theirs - spread, mine - theirs + spread, n)
