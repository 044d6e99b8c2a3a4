"""`cdl stop`: end every process that `cdl run` started."""

from __future__ import annotations

import click

from .context import settings_of
from .platform import take_down


@click.command("stop", help="End every process that `cdl run` started; nothing stored is lost.")
def command() -> None:
    """Stop the platform."""
    ended = take_down(settings_of())
    click.echo(f"stopped {', '.join(ended)}" if ended else "nothing was running")
