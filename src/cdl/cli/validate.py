"""`cdl validate`: check a project's resources without touching anything."""

from __future__ import annotations

from pathlib import Path

import click

from . import project


@click.command("validate", help="Check the resources of the project in FOLDER; writes nothing, starts nothing.")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Check a project."""
    for document in project.read(folder):
        click.echo(f"{document.path}: {document.resource.key} is valid")
