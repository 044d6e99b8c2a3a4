"""`cdl apply`: write a project's resources to the local store."""

from __future__ import annotations

from pathlib import Path

import click

from cdl import compose
from cdl.stores.artifacts import DirectoryArtifacts

from . import project
from .context import settings_of
from .refusal import one_sentence


@click.command("apply", help="Write the resources in FOLDER; a running platform acts on them at once.")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Apply a project."""
    settings = settings_of()
    with one_sentence():
        documents = project.read(folder)
        artifacts = DirectoryArtifacts(settings.home.resolve() / "artifacts")
        store = compose.store(settings)
        for document in documents:
            outcome, resource = store.apply(project.packed(document, artifacts))
            click.echo(f"{resource.key} {outcome}")
