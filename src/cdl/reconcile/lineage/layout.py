"""Where the boxes of a graph stand: in columns, each to the right of everything that leads to it.

Edges that pass a column get a place of their own in it, so that none runs through a box. Within a column, order follows
the neighbours' mean height, a few times in either direction; that is what keeps crossings few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .graph import Edge, Graph

WIDTH, GAP, BETWEEN = 186, 22, 82
PASSING = 12
"""Height of the place where an edge passes a column."""
MARGIN = 24
SWEEPS = 12

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands."""

    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole picture."""

    boxes: Mapping[str, Box]
    routes: tuple[tuple[Edge, tuple[Point, ...]], ...]
    width: float
    height: float


def layout(graph: Graph, heights: Mapping[str, float]) -> Layout:
    """Place every node, whose heights are given, and lead every edge around the others."""
    columns = _columns(graph)
    plan = _Plan(graph, columns, dict(heights))
    plan.order()
    plan.place()
    right = max((b.x for b in plan.boxes.values()), default=0) + WIDTH + MARGIN
    bottom = max((b.y + b.height for b in plan.boxes.values()), default=0) + MARGIN
    boxes = {node.id: plan.boxes[node.id] for node in graph.nodes}
    return Layout(boxes, tuple((edge, plan.route(edge)) for edge in graph.edges), right, bottom)


def _columns(graph: Graph) -> dict[str, int]:
    """The longest way that leads to a node says how far to the right it stands.

    Raises:
        ValueError: something came from itself.
    """
    columns = dict.fromkeys((node.id for node in graph.nodes), 0)
    for _ in graph.nodes:
        before = dict(columns)
        for edge in graph.edges:
            columns[edge.target] = max(columns[edge.target], columns[edge.source] + 1)
        if columns == before:
            return columns
    if not graph.nodes:
        return columns
    raise ValueError("the graph has a circle, so it is no walk")


@dataclass(slots=True)
class _Plan:
    graph: Graph
    columns: dict[str, int]
    heights: dict[str, float]
    rows: list[list[str]] = field(default_factory=list)
    near: dict[str, list[str]] = field(default_factory=dict)
    ways: dict[Edge, list[str]] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = max(self.columns.values(), default=-1) + 1
        self.rows = [[n.id for n in self.graph.nodes if self.columns[n.id] == c] for c in range(count)]
        self.near = {node.id: [] for node in self.graph.nodes}
        for number, edge in enumerate(self.graph.edges):
            first, last = self.columns[edge.source], self.columns[edge.target]
            passing = [f"\0{number}/{column}" for column in range(first + 1, last)]
            for column, name in enumerate(passing, start=first + 1):
                self.rows[column].append(name)
                self.heights[name], self.near[name] = PASSING, []
                self.columns[name] = column
            way = [edge.source, *passing, edge.target]
            self.ways[edge] = way
            for one, other in pairwise(way):
                self.near[one].append(other)
                self.near[other].append(one)

    def order(self) -> None:
        """Sort each column by where its neighbours stand in the column before, then in the one after, and so on."""
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            for row in self.rows if forward else reversed(self.rows):
                places = {name: _mean(self._sides(name, forward=forward)) for name in row}
                row.sort(key=lambda name, at=places, old=tuple(row): (_or(at[name], old.index(name)), old.index(name)))  # type: ignore[misc]  # defaults bind the loop's variables

    def _sides(self, name: str, *, forward: bool) -> Iterable[float]:
        step = -1 if forward else 1
        for other in self.near[name]:
            if self.columns[other] == self.columns[name] + step:
                row = self.rows[self.columns[other]]
                yield row.index(other) / max(1, len(row) - 1) * 100 if len(row) > 1 else 50

    def place(self) -> None:
        """Stack each column, then let every box move to where its neighbours are, as far as those above let it."""
        middles: dict[str, float] = {}
        for row in self.rows:
            y = -sum(self.heights[name] + GAP for name in row) / 2
            for name in row:
                middles[name] = y + self.heights[name] / 2
                y += self.heights[name] + GAP
        for sweep in range(SWEEPS):
            for row in self.rows if sweep % 2 else reversed(self.rows):
                wished = [_or(_mean(middles[other] for other in self.near[name]), middles[name]) for name in row]
                middles.update(zip(row, self._apart(row, wished), strict=True))
        top = min((middles[name] - self.heights[name] / 2 for name in middles), default=0)
        for name, middle in middles.items():
            x = MARGIN + self.columns[name] * (WIDTH + BETWEEN)
            self.boxes[name] = Box(x, middle - self.heights[name] / 2 - top + MARGIN, self.heights[name])

    def _apart(self, row: Sequence[str], wished: Sequence[float]) -> list[float]:
        """Keep the order and the gaps: half of what is missing is given by those above, half by those below."""
        down, up = list(wished), list(wished)
        for i in range(1, len(row)):
            down[i] = max(down[i], down[i - 1] + self._least(row[i - 1], row[i]))
        for i in range(len(row) - 2, -1, -1):
            up[i] = min(up[i], up[i + 1] - self._least(row[i], row[i + 1]))
        return [(a + b) / 2 for a, b in zip(down, up, strict=True)]

    def _least(self, above: str, below: str) -> float:
        return (self.heights[above] + self.heights[below]) / 2 + GAP

    def route(self, edge: Edge) -> tuple[Point, ...]:
        """From the right side of one box to the left side of the other, straight across the columns between."""
        first, *passing, last = (self.boxes[name] for name in self.ways[edge])
        points: list[Point] = [(first.x + WIDTH, first.middle)]
        for box in passing:
            points += [(box.x, box.middle), (box.x + WIDTH, box.middle)]
        return (*points, (last.x, last.middle))


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
