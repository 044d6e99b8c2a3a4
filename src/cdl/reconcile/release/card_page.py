"""A model card as one HTML page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .card import Commands, Figure, Grid, Mono, Points, Prose, Title, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .card import Block

STYLE = """
:root{color-scheme:light dark;--line:#d5d9e0;--soft:#f4f6f9;--text:#1c2430;--quiet:#5b6675;--mark:47,111,187}
@media(prefers-color-scheme:dark){:root{--line:#39424f;--soft:#1d232c;--text:#e4e9f0;--quiet:#9aa6b5}body{background:#14181e}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--text);max-width:60rem;margin:2rem auto;padding:0 1.25rem}
h1{font-size:1.9rem;margin:0 0 .25rem}
h2{font-size:1.25rem;margin:2.25rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
.good,.bad{border-left:4px solid;padding:.4rem .9rem;margin:.5rem 0 1rem;background:var(--soft)}
.good{border-color:#2f8f5b}.bad{border-color:#c2402f}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}
th,td{text-align:left;padding:.3rem .9rem .3rem 0;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{color:var(--quiet);font-weight:600}
tbody th{font-weight:500;color:var(--quiet);white-space:nowrap}
td.long{min-width:15rem}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.shares td{text-align:center;padding:.4rem .7rem;font-variant-numeric:tabular-nums}
.shares thead th{text-align:center;padding-right:.7rem;padding-left:.7rem}
code{font:.85em ui-monospace,monospace;overflow-wrap:break-word}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.75rem 1rem;overflow-x:auto}
figure{margin:.75rem 0 1rem}figcaption{color:var(--quiet);font-size:.85rem}
figure svg{display:block;width:100%;min-width:34rem}
@media(max-width:40rem){tbody th{white-space:normal;max-width:9rem}}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}table{break-inside:avoid}}
"""

LONG = 40
"""Letters of a cell that is a sentence: it is not squeezed into a column of words."""


def page(blocks: Iterable[Block]) -> str:
    """Write the card as a page; whatever stands in a Release is text in it, never a tag."""
    every = tuple(blocks)
    title = next((block.text for block in every if isinstance(block, Title)), "")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(_written(block) for block in every)
        + "\n</body>\n</html>\n"
    )


def _written(block: Block) -> str:
    match block:
        case Title(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Prose(text):
            return f"<p>{escape(text)}</p>"
        case Verdict(text, usable):
            return f'<p class="{"good" if usable else "bad"}">{escape(text)}</p>'
        case Points(items):
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
        case Figure(svg, caption):
            return f'<figure><div class="wide">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'
        case Commands(lines):
            return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"
        case Grid():
            return _table(block)


def _table(grid: Grid) -> str:
    right = _numeric(grid)
    head = "".join(_cell("th", text, number=n in right) for n, text in enumerate(grid.head))
    body = "".join(f"<tr>{_line(row, right, shares=grid.shares)}</tr>" for row in grid.rows)
    kind = ' class="shares"' if grid.shares else ""
    titles = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'<div class="wide"><table{kind}>{titles}<tbody>{body}</tbody></table></div>'


def _numeric(grid: Grid) -> frozenset[int]:
    """Columns with a head that hold nothing but numbers stand to the right."""
    columns = range(1, len(grid.head)) if not grid.shares else ()
    return frozenset(n for n in columns if grid.rows and all(_is_number(row[n]) for row in grid.rows if row[n]))


def _line(row: tuple[str, ...], right: frozenset[int], *, shares: bool) -> str:
    first, *rest = row
    total = sum(int(cell) for cell in rest) if shares else 0
    cells = [_cell("th", first)]
    for number, cell in enumerate(rest, start=1):
        shade = f' style="background:rgba(var(--mark),{int(cell) / total * 0.75:.3f})"' if total else ""
        cells.append(_cell("td", cell, shade, number=number in right))
    return "".join(cells)


def _cell(tag: str, text: str, more: str = "", *, number: bool = False) -> str:
    long = len(text) > LONG and not isinstance(text, Mono)
    kind = ' class="number"' if number else ' class="long"' if long else ""
    inside = f"<code>{escape(text)}</code>" if isinstance(text, Mono) and text else escape(text)
    return f"<{tag}{kind}{more}>{inside}</{tag}>"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
