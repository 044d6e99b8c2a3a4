"""What every verb of `cdl pachctl` shares: which pachd is asked, and how answers are printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cdl.cli.context import settings_of
from cdl.cli.platform import reached
from cdl.cli.screen import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cdl.engines.pachyderm.habits import Answer, Habits

RAW = click.option("--raw", is_flag=True, help="Print JSON, one document an answer.")


def habits() -> Habits:
    """Find the pachd that the settings name, or the one on this machine.

    Raises:
        Refusal: none runs.
    """
    from cdl.engines.pachyderm.habits import Habits

    settings = settings_of()
    if not settings.pachd:
        settings = reached(settings)
    project = str(click.get_current_context().obj or "default")
    return Habits(settings.pachd, settings.pachd_token or None, project)


def tell(
    answers: Iterable[Answer], head: tuple[str, ...], row: Callable[[Answer], tuple[str, ...]], *, raw: bool
) -> None:
    """Print answers: JSON as it is, or a table."""
    if raw:
        for answer in answers:
            click.echo(json.dumps(answer, indent=2))
        return
    rows = [row(answer) for answer in answers]
    if rows:
        table("", head, rows)


def tell_one(answer: Answer) -> None:
    """Print one answer."""
    click.echo(json.dumps(answer, indent=2))


def at(answer: Answer, *path: str) -> str:
    """Read a value by its path; a dash when it is not there."""
    found: Any = answer
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return "-" if found in (None, "") else str(found)


def moment(answer: Answer, name: str) -> str:
    """Read a time to the second; a dash for one that has not come."""
    found = at(answer, name)
    return "-" if found.startswith("1970") else found.partition(".")[0].removesuffix("Z").replace("T", " ")
