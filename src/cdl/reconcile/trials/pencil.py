"""Marks of a picture: SVG with nothing from elsewhere, every text escaped, readable in light and in dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 720
STYLE = """
.trials{--paper:#fff;--won:#1a5fb4;--fell:#c85000;--ran:#7d8896;--ink:#1c2430;--quiet:#5b6675;--rule:#e3e7ec}
@media(prefers-color-scheme:dark){.trials{--paper:#14181e;--won:#6ea8f7;--fell:#f0954d;--ran:#7f8b99;--ink:#e4e9f0;--quiet:#9aa6b5;
--rule:#2d3540}}
.trials text{font:12px system-ui,sans-serif;fill:var(--quiet);paint-order:stroke;stroke:var(--paper);stroke-width:3px;
stroke-linejoin:round}
.trials .name{fill:var(--ink)}
.trials .rule{stroke:var(--rule);stroke-width:1}
.trials .line{fill:none;stroke-width:1.4;stroke-linejoin:round}
.trials .ran{stroke:var(--ran);fill:var(--ran)}.trials .fell{stroke:var(--fell);fill:var(--fell)}
.trials .won{stroke:var(--won);fill:var(--won)}
.trials .line{fill:none}.trials .line.fell{stroke-dasharray:5 3}.trials .line.won{stroke-width:2.6}
.trials .line.bar{stroke-width:9px;stroke-dasharray:none}
.trials .end,.trials .middle{text-anchor:end}.trials .middle{text-anchor:middle}
"""
TICKS = 5
ROUND = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """From figures to places."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a figure stands; all stand in the middle where there is but one."""
        low, high, here = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> tuple[float, ...]:
        """Round figures between both ends."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return tuple(10.0**power for power in powers)
        if not self.high > self.low:
            return (self.low,)
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next((power * r for r in ROUND if power * r >= rough), power * ROUND[-1])
        first = math.ceil(self.low / step)
        count = math.floor(self.high / step) - first + 1
        return tuple((first + n) * step for n in range(max(count, 0)))


def picture(height: float, title: str, marks: Iterable[str]) -> str:
    """Put marks together to one picture."""
    head = f'<svg class="trials" xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height:g}">'
    return "\n".join((head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *marks, "</svg>"))


def text(x: float, y: float, said: str, kind: str = "") -> str:
    """Write a text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}>{escape(said)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw a line to read by."""
    return f'<path class="rule" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def line(points: Iterable[tuple[float, float]], kind: str, tip: str) -> str:
    """Draw what a trial did; a lonely point is a dot."""
    places = list(points)
    told = f"<title>{escape(tip)}</title>"
    if len(places) == 1:
        return f'<circle class="{kind}" cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3">{told}</circle>'
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path class="line {kind}" d="M{path}">{told}</path>'


def key(y: float) -> Iterator[str]:
    """Explain the three kinds of lines."""
    for place, (kind, said) in enumerate((("won", "the best"), ("ran", "others"), ("fell", "stopped by the searcher"))):
        x = 60 + place * 130
        yield line(((x, y - 4), (x + 26, y - 4)), kind, said)
        yield text(x + 34, y, said)


def brief(value: object) -> str:
    """Write a value of a scale."""
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:.4g}"
    said = str(value)
    return said if len(said) <= LETTERS else f"{said[: LETTERS - 1]}…"


LETTERS = 18
"""What a scale has room for."""
