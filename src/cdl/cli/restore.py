"""`cdl restore`: a home folder as it was when a backup was taken."""

from __future__ import annotations

from pathlib import Path

import click

from .backup import Progress
from .context import settings_of
from .refusal import Refusal, one_sentence


@click.command("restore", help="Put back what `cdl backup` wrote to FILE; the home folder must be empty.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def command(file: Path) -> None:
    """Restore."""
    from cdl.stores.backup import restore

    settings = settings_of()
    if not file.is_file():
        message = f"{file}: no such file"
        raise Refusal(message)
    with one_sentence():
        try:
            contents = restore(file, settings.home.resolve(), Progress())
        except OSError as error:
            message = f"{settings.home}: cannot be restored: {error}"
            raise Refusal(message) from error
    click.echo(f"{len(contents['files'])} files of {contents['at']} are back in {settings.home}")
    click.echo("`cdl run FOLDER` brings the platform up again; `cdl verify` re-reads every member of a Release")
