"""The graph as an SVG picture: one file, no fonts or scripts from elsewhere, readable in light and in dark."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from .layout import WIDTH, Point, layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import Graph, Node
    from .layout import Box

HEAD, LINE, FOOT = 44, 16, 10
FACTS = 5
"""Lines of a box; everything else is in its tooltip, and in the table of the page."""
LETTERS, TITLE_LETTERS = 24, 19
"""What fits into a box in the widest of the usual fonts."""
DIGEST_LETTERS = 12
SIDE = {
    "prediction": "serve",
    "deployment": "serve",
    "release": "set",
    "approval": "decide",
    "provenance": "decide",
    "evaluation": "train",
    "checkpoint": "train",
    "trial": "train",
    "weights": "train",
    "experiment": "train",
    "environment": "code",
    "code": "code",
    "serving code": "code",
    "git": "code",
}
"""Whose business a node is; everything else is data."""
STYLE = """
.lineage{--ink:#1c2733;--dim:#5b6b7a;--paper:#ffffff;--box:#ffffff;--rim:#cdd6df;--line:#8a99a8;
--serve:#1b6ec2;--set:#6a3fb5;--decide:#1d7f4e;--train:#b35a00;--code:#566273;--data:#00737f}
@media (prefers-color-scheme:dark){.lineage{--ink:#e6edf3;--dim:#9fb0c0;--paper:#10161d;--box:#18212b;--rim:#33414f;
--line:#6b7c8d;--serve:#5aa9f5;--set:#b393f0;--decide:#55c58c;--train:#f0a04b;--code:#a9b7c6;--data:#4cc3cf}}
.lineage .paper{fill:var(--paper)}
.lineage text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.lineage .kind{font-size:10px;letter-spacing:.06em;text-transform:uppercase}
.lineage .title{font-size:12.5px;font-weight:600}
.lineage .name{fill:var(--dim)}
.lineage .box{fill:var(--box);stroke:var(--rim)}
.lineage .edge{fill:none;stroke:var(--line);stroke-width:1.3}
.lineage .tip{fill:var(--line)}
.lineage .relation{font-size:10px;fill:var(--dim);text-anchor:middle;paint-order:stroke;stroke:var(--paper);
stroke-width:4px;stroke-linejoin:round}
""" + "".join(
    f".lineage .{side} .kind{{fill:var(--{side})}}.lineage .{side} .edging{{fill:var(--{side})}}"
    for side in ("serve", "set", "decide", "train", "code", "data")
)


def svg(graph: Graph, title: str) -> str:
    """Draw the graph."""
    placed = layout(graph, {node.id: _height(node) for node in graph.nodes})
    lines = [path for edge, points in placed.routes for path in _edge(edge.relation, points)]
    boxes = [line for node in graph.nodes for line in _node(node, placed.boxes[node.id])]
    width, height = round(placed.width), round(placed.height)
    size = f'width="{width}" height="{height}"'
    tip = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"'
    head = f'<svg class="lineage" xmlns="http://www.w3.org/2000/svg" role="img" {size} viewBox="0 0 {width} {height}">'
    return "\n".join(
        (
            head,
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<defs><marker id="tip" {tip}><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<rect class="paper" {size}/>',
            *lines,
            *boxes,
            "</svg>\n",
        )
    )


def shortened(text: str, most: int) -> str:
    """Cut the middle out of a text that is too long: names tell by their beginning, digests and paths by their end."""
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def side_of(node: Node) -> str:
    """Whose business a node is."""
    return SIDE.get(node.kind, "data")


def _height(node: Node) -> float:
    return HEAD + min(len(node.facts), FACTS) * LINE + (FOOT if node.facts else 4)


def _node(node: Node, box: Box) -> list[str]:
    tip = "\n".join((f"{node.kind} {node.title}", *(f"{name}: {value}" for name, value in node.facts)))
    x, y = round(box.x, 1), round(box.y, 1)
    drawn = [
        f'<g class="{side_of(node)}" transform="translate({x} {y})"><title>{escape(tip)}</title>',
        f'<rect class="box" width="{WIDTH}" height="{box.height:.1f}" rx="6"/>',
        f'<rect class="edging" width="4" height="{box.height:.1f}" rx="2"/>',
        f'<text class="kind" x="14" y="17">{escape(node.kind)}</text>',
        f'<text class="title" x="14" y="34">{escape(shortened(node.title, TITLE_LETTERS))}</text>',
    ]
    shown = node.facts if len(node.facts) <= FACTS else node.facts[: FACTS - 1]
    for number, (name, value) in enumerate(shown):
        words = f'<tspan class="name">{escape(shortened(name, 14))}</tspan> '
        rest = escape(shortened(_brief(value), LETTERS - min(len(name), 14) - 1))
        drawn.append(f'<text x="14" y="{HEAD + 8 + number * LINE}">{words}{rest}</text>')
    if len(node.facts) > FACTS:
        more = f"and {len(node.facts) - len(shown)} more"
        drawn.append(f'<text class="name" x="14" y="{HEAD + 8 + len(shown) * LINE}">{more}</text>')
    return [*drawn, "</g>"]


def _brief(value: str) -> str:
    """People tell digests by their first digits."""
    return value.removeprefix("sha256:")[:DIGEST_LETTERS] if value.startswith("sha256:") else value


def _edge(relation: str, points: Sequence[Point]) -> list[str]:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for number, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        if number % 2:  # across a column
            path += f"L{bx:.1f} {by:.1f}"
        else:
            bend = (bx - ax) / 2
            path += f"C{ax + bend:.1f} {ay:.1f} {bx - bend:.1f} {by:.1f} {bx:.1f} {by:.1f}"
    (ax, ay), (bx, by) = points[-2], points[-1]
    where = f'x="{(ax + bx) / 2:.1f}" y="{(ay + by) / 2 - 4:.1f}"'
    return [
        f'<path class="edge" d="{path}" marker-end="url(#tip)"/>',
        f'<text class="relation" {where}>{escape(relation)}</text>',
    ]
