"""`cdl render`: print a project's resources as an API server takes them."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from cdl.stores.artifacts import DirectoryArtifacts

from . import project
from .context import settings_of
from .refusal import one_sentence


@click.command(
    "render",
    help="Print the resources in FOLDER, the code they name packed by content: `cdl render . | kubectl apply -f -`.",
)
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Render a project."""
    settings = settings_of()
    with one_sentence():
        documents = project.read(folder)
        artifacts = DirectoryArtifacts(settings.home.resolve() / "artifacts")
        ready = [project.packed(document, artifacts) for document in documents]
    click.echo(yaml.safe_dump_all(ready, sort_keys=False, width=120, allow_unicode=True), nl=False)
