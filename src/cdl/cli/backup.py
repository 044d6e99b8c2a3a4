"""`cdl backup`: everything of this home folder in one file."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from . import platform
from .context import settings_of
from .refusal import Refusal, one_sentence

SAY_SECONDS = 2.0


@click.command("backup", help="Write everything of this home folder to FILE (a .tar.gz), while the platform works.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def command(file: Path) -> None:
    """Back up."""
    from cdl.stores.backup import write

    settings = settings_of()
    home = settings.home.resolve()
    if not home.is_dir():
        message = f"{settings.home}: no such folder; there is nothing to back up (CDL_HOME names another one)"
        raise Refusal(message)
    target = file.absolute()
    if target.is_relative_to(home):
        message = f"{file}: lies inside of {settings.home}, which is what is backed up; choose another place"
        raise Refusal(message)
    begun = time.monotonic()
    with one_sentence(), platform.held_for_backup(settings) as more:
        try:
            summary = write(home, target, datetime.now(UTC), more, Progress())
        except OSError as error:
            message = f"{file}: cannot be written: {error}"
            raise Refusal(message) from error
    size = target.stat().st_size
    click.echo(
        f"{len(summary.files)} files, {summary.size / 1e6:.1f} MB, in {file} ({size / 1e6:.1f} MB, "
        f"{time.monotonic() - begun:.1f} s); it holds keys and passwords: keep it as safe as them"
    )
    click.echo(f"on an empty machine: CDL_HOME={home} cdl restore {file}")


class Progress:
    """Says every few seconds how far it is."""

    def __init__(self) -> None:
        """Say nothing yet."""
        self._said = time.monotonic()

    def __call__(self, files: int, size: int) -> None:
        """Take note."""
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            click.echo(f"{files} files, {size / 1e6:.0f} MB", err=True)
