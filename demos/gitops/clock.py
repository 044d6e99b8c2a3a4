"""How long it took from a push to its end, and whose time that was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdl.cli.timing import together

if TYPE_CHECKING:
    from collections.abc import Sequence

Interval = tuple[float, float]
TARGET, SHARE = 60.0, 10.0
"""Seconds from a push to a served model, and what of them may be the platform's own."""


@dataclass
class Turn:
    """One merge request from its push to its end; moments in Unix time."""

    project: str
    number: int
    title: str
    outcome: str = ""
    pushed: float = 0
    data: float = 0
    """The dataset of the merge request is there: the data engine's programs are the platform's own."""
    told: float = 0
    """The merge request says how the candidate stands."""
    decided: float = 0
    """The validator's word counts: the candidate is approved, or the merge request closed."""
    merged: float = 0
    ended: float = 0
    """The release answers in production; or the merge request is closed."""
    worked: list[Interval] = field(default_factory=list)
    """When a program of the team ran: a trial, the evaluation, a model server that loads."""

    @property
    def wall(self) -> float:
        """Seconds in all."""
        return self.ended - self.pushed

    @property
    def team(self) -> float:
        """Seconds in which a program of the team ran."""
        return together(self.worked, self.pushed, self.ended)

    @property
    def own(self) -> float:
        """Everything else: what the platform, the engines' own work and the forge took."""
        return self.wall - self.team


def table(turns: Sequence[Turn]) -> list[str]:
    """Give the lines of a table, a row a turn."""
    head = (
        "PROJECT",
        "MR",
        "OUTCOME",
        "PUSH-TOLD",
        "APPROVED",
        "MERGE-SERVED",
        "PUSH-END",
        "TRAIN+EVAL+LOAD",
        "PLATFORM",
        "OF IT DATA",
    )
    rows: list[tuple[str, ...]] = [head]
    for turn in turns:
        spans = (_span(turn.pushed, turn.told), _span(turn.told, turn.decided), _span(turn.merged, turn.ended))
        whole = (f"{seconds:.1f} s" if turn.ended else "-" for seconds in (turn.wall, turn.team, turn.own))
        rows.append((turn.project, f"!{turn.number}", turn.outcome, *spans, *whole, _span(turn.pushed, turn.data)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _span(begun: float, ended: float) -> str:
    return f"{ended - begun:.1f} s" if begun and ended else "-"


def verdict(turn: Turn) -> str:
    """Say of a turn whether it took no longer than it should."""
    parts = (("push to served", turn.wall, TARGET), ("the platform's own share", turn.own, SHARE))
    told = (
        f"{what} {took:.1f} s, {'within' if took <= most else 'MORE THAN'} {most:g} s" for what, took, most in parts
    )
    return f"{turn.project} !{turn.number}: {'; '.join(told)}"
