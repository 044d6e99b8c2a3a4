"""Which hyperparameters did well: one axis each, one line a trial, from its values to its figure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .curves import DRAWN, kind_of, told
from .pencil import WIDTH, Scale, brief, key, line, picture, rule, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from cdl.reconcile.experiment import TrialFound

    from .facts import SearchFacts

AXES = 7
"""Hyperparameters that are drawn, beside the figure."""
TOP, HIGH, FOOT = 54.0, 250.0, 16.0
DECADES = 50.0
"""Greatest by least, from which on a scale is logarithmic."""
LABELS = 12
"""Values of words that an axis names."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One hyperparameter, or the figure."""

    name: str
    scale: Scale
    words: tuple[str, ...] = ()
    """Where values are no numbers: what they are, bottom to top."""

    def place(self, value: JsonValue) -> float:
        """Where a value stands."""
        if self.words:
            return self.scale.place(float(self.words.index(_word(value))))
        return self.scale.place(float(value)) if isinstance(value, int | float) else self.scale.begin

    def marks(self) -> Iterator[tuple[float, str]]:
        """Name places of the axis."""
        if self.words:
            named = self.words if len(self.words) <= LABELS else ()
            yield from ((self.scale.place(float(n)), brief(word.strip('"'))) for n, word in enumerate(named))
        else:
            yield from ((self.scale.place(v), brief(v)) for v in self.scale.ticks() or (self.scale.low,))


def parallel(facts: SearchFacts) -> str:
    """Draw it; empty: fewer than two trials have a figure, or none of their hyperparameters differs."""
    known = [t for t in facts.ranked()[:DRAWN] if t.status.metric is not None]
    names = [name for name in varied([t.status.hparams for t in known]) if all(name in t.status.hparams for t in known)]
    if len(known) < 2 or not names:
        return ""
    axes = [_axis(name, [t.status.hparams[name] for t in known]) for name in names[:AXES]]
    axes.append(_axis(facts.searcher.metric, [t.status.metric for t in known]))
    return picture(TOP + HIGH + FOOT, "hyperparameters and what came of them", _drawn(facts, known, axes))


def varied(rows: Sequence[Mapping[str, JsonValue]]) -> tuple[str, ...]:
    """Name the hyperparameters that are not the same everywhere."""
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(name for name in names if len({_word(row.get(name)) for row in rows}) > 1)


def _drawn(facts: SearchFacts, known: Sequence[TrialFound], axes: Sequence[Axis]) -> Iterator[str]:
    step = (WIDTH - 150.0) / (len(axes) - 1)
    across = [70.0 + n * step for n in range(len(axes))]
    yield from key(16)
    for x, axis in zip(across, axes, strict=True):
        yield rule(x, TOP, x, TOP + HIGH)
        yield text(x, TOP - 12, brief(axis.name), "middle")
    for trial in reversed(known):
        values = [trial.status.hparams[axis.name] for axis in axes[:-1]]
        heights = [a.place(v) for a, v in zip(axes, [*values, trial.status.metric], strict=True)]
        yield line(zip(across, heights, strict=True), kind_of(trial, facts), told(trial, facts.searcher))
    for x, axis in zip(across, axes, strict=True):  # on top of the lines, to be read
        yield from (text(x - 6, y + 4, said, "end") for y, said in axis.marks())


def _axis(name: str, values: Sequence[JsonValue]) -> Axis:
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        words = tuple(sorted({_word(v) for v in values}))
        return Axis(name, Scale(0.0, len(words) - 1.0, TOP + HIGH, TOP), words)
    low, high = min(numbers), max(numbers)
    return Axis(name, Scale(low, high, TOP + HIGH, TOP, logarithmic=low > 0 and high / low >= DECADES))


def _word(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
