"""The graph as one HTML page: the picture, and below it a table with everything in full."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .svg import side_of, svg

if TYPE_CHECKING:
    from .graph import Graph, Node

STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--dim:#5b6b7a;--paper:#ffffff;--rim:#cdd6df;
--serve:#1b6ec2;--set:#6a3fb5;--decide:#1d7f4e;--train:#b35a00;--code:#566273;--data:#00737f}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9fb0c0;--paper:#10161d;--rim:#33414f;
--serve:#5aa9f5;--set:#b393f0;--decide:#55c58c;--train:#f0a04b;--code:#a9b7c6;--data:#4cc3cf}}
body{margin:0;padding:1.5rem;background:var(--paper);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.3rem;margin:0 0 .2rem}p{margin:0 0 1rem;color:var(--dim)}
.picture{overflow-x:auto;border:1px solid var(--rim);border-radius:8px;margin-bottom:1.5rem}
.picture svg{display:block}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-top:1px solid var(--rim)}
tr.first>*{border-top:2px solid var(--rim)}tr.more>*{border-top:0;padding-top:0}
th{font-weight:600;white-space:nowrap}
td.value{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12px;overflow-wrap:anywhere}
td.name{color:var(--dim);white-space:nowrap}
""" + "".join(f"th.{side}{{color:var(--{side})}}" for side in ("serve", "set", "decide", "train", "code", "data"))


def page(graph: Graph, title: str, note: str = "") -> str:
    """Write the page; it asks nothing of any server."""
    rows = "\n".join(row for node in graph.nodes for row in _rows(node))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(note)}</p>\n"
        f'<div class="picture">\n{svg(graph, title)}</div>\n'
        f"<table>\n{rows}\n</table>\n</body>\n</html>\n"
    )


def _rows(node: Node) -> list[str]:
    """A node and what is known of it, a line a fact."""
    facts = node.facts or (("", ""),)
    rows = []
    for number, (name, value) in enumerate(facts):
        first = number == 0
        kind = f'<th class="{side_of(node)}">{escape(node.kind)}</th>' if first else "<th></th>"
        called = escape(node.title) if first else ""
        rows.append(
            f'<tr class="{"first" if first else "more"}">{kind}<td>{called}</td>'
            f'<td class="name">{escape(name)}</td><td class="value">{escape(value)}</td></tr>'
        )
    return rows
