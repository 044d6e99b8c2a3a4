"""Tables, as every verb prints them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PIPE_WIDTH = 140
"""Columns when the output is no terminal."""


def console() -> Console:
    """Write to standard output as it is now; a pipe gets wide lines and no colours."""
    made = Console(highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(highlight=False, width=PIPE_WIDTH, no_color=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below a title; nothing at all when there are none."""
    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, header_style="dim", overflow="fold")
    count = 0
    for row in rows:
        drawn.add_row(*(shown(cell) for cell in row))
        count += 1
    if count:
        console().print(drawn)


def shown(value: object) -> str:
    """Write a cell: four digits, whole seconds, no None."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
