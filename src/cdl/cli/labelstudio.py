"""`cdl labelstudio`: Label Studio on this machine, where people say what an item is."""

from __future__ import annotations

import click

from .context import settings_of
from .forge import bring_up_all
from .platform import OPERATOR, bring_up_label_studio, running
from .platform import labelstudio as label_studio_of


@click.group("labelstudio", help="Have people label items in Label Studio on this machine.")
def command() -> None:
    """Hold the verbs."""


@command.command("up", help="Start Label Studio, installing it the first time; `cdl stop` ends it, nothing is lost.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port; without: one that is free.")
def up(port: int | None) -> None:
    """Start it; an operator that runs is told where it is."""
    settings = settings_of()
    address = bring_up_label_studio(settings, _say, port)
    if OPERATOR in running(settings):
        bring_up_all(settings)
    click.echo(label_studio_of.invitation(settings, address))


@command.command("password", help="Print the password of Label Studio's first user.")
def password() -> None:
    """Print what was made up for the first start."""
    click.echo(label_studio_of.login(settings_of()).password)


@command.command("token", help="Print the token that programs show Label Studio.")
def token() -> None:
    """Print the token."""
    click.echo(label_studio_of.login(settings_of()).token)


def _say(line: str) -> None:
    click.echo(line, err=True)
