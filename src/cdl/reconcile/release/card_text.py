"""A model card as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .card import Commands, Figure, Grid, Mono, Points, Prose, Title, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .card import Block

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
TICKS = re.compile(r"`+")


def markdown(blocks: Iterable[Block]) -> str:
    """Write the card as GitHub-flavoured Markdown; nothing in it is taken for a mark that was not meant as one."""
    return "\n\n".join(_written(block) for block in blocks) + "\n"


def _written(block: Block) -> str:
    match block:
        case Title(text, level):
            return f"{'#' * level} {_cell(text)}"
        case Prose(text) | Figure(_, text):
            return _cell(text)
        case Verdict(text, _):
            return f"> {_cell(text)}"
        case Points(items):
            return "\n".join(f"- {_cell(item)}" for item in items)
        case Commands(lines):
            return "\n".join(("```sh", *lines, "```"))
        case Grid(head, rows):
            columns = max((len(row) for row in rows), default=len(head))
            titles = head or ("",) * columns
            return "\n".join((_row(titles), "|" + "---|" * len(titles), *(_row(row) for row in rows)))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """One line; a text for machines as code, another with every mark defused."""
    line = " ".join(text.split())
    if not isinstance(text, Mono) or not line:
        return SPECIAL.sub(r"\\\1", line)
    longest = max((len(run) for run in TICKS.findall(line)), default=0)
    fence, pad = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{pad}{line.replace('|', chr(92) + '|')}{pad}{fence}"
