"""Draw curves over epochs as SVG, with nothing but Python."""

import html
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 460, 320, 58, 40, 16, 44
COLOURS = ("#1b6ec2", "#b35a00", "#1d7f4e", "#6a3fb5")
Curves = Mapping[str, Sequence[tuple[float, float]]]


def pair(title: str, left: tuple[str, Curves], right: tuple[str, Curves]) -> str:
    """Draw two charts side by side under one title, as the paper does."""
    body = "".join(
        f'<g transform="translate({number * WIDTH},24)">{_chart(name, curves)}</g>'
        for number, (name, curves) in enumerate((left, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT + 24}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{WIDTH}" y="18" text-anchor="middle" font-size="13">{html.escape(title)}</text>{body}</svg>\n'
    )


def _chart(name: str, curves: Curves) -> str:
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points]
    low, high = min(ys), max(ys)
    pad = (high - low) * 0.05 or 0.05
    across, up = (min(xs), max(xs)), (low - pad, high + pad)

    def place(x: float, y: float) -> tuple[float, float]:
        wide = (x - across[0]) / ((across[1] - across[0]) or 1)
        return (
            LEFT + wide * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - up[0]) / (up[1] - up[0]) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [f'<text x="{WIDTH / 2}" y="16" text-anchor="middle">{html.escape(name)}</text>']
    for step in range(5):
        y, x = up[0] + (up[1] - up[0]) * step / 4, across[0] + (across[1] - across[0]) * step / 4
        at, along = place(across[0], y)[1], place(x, up[0])[0]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#dde3e9"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y:.2f}</text>')
        parts.append(f'<text x="{along:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.0f}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">epoch</text>')
    for number, (label, points) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(f'<circle cx="{LEFT + 8}" cy="{TOP - 10 + 13 * number}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 16}" y="{TOP - 6 + 13 * number}">{html.escape(label)}</text>')
    return "".join(parts)
