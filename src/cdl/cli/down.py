"""`cdl down`: end every process that `cdl up` started."""

from __future__ import annotations

import click

from .context import settings_of
from .platform import take_down


@click.command("down", help="End every process that `cdl up` started; nothing stored is lost.")
def command() -> None:
    """Take the cluster down."""
    ended = take_down(settings_of())
    click.echo(f"stopped {', '.join(ended)}" if ended else "nothing was running")
