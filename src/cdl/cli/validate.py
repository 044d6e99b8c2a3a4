"""`cdl validate`: check a project's resources without touching anything."""

from __future__ import annotations

from pathlib import Path

import click

from cdl.api.doubts import doubts
from cdl.api.rules import changed

from . import project
from .refusal import Refusal


@click.command("validate", help="Check the resources of the project in FOLDER; writes nothing, starts nothing.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--replaces",
    type=click.Path(path_type=Path),
    help="The project as it is now: refuse what may never change from one version to the next.",
)
def command(folder: Path, replaces: Path | None) -> None:
    """Check a project."""
    documents = project.read(folder)
    if replaces is not None:
        _refuse_what_may_not_change(documents, project.read(replaces))
    for document in documents:
        for doubt in doubts(document.resource):
            click.echo(f"{document.path}: warning: {doubt}", err=True)
        click.echo(f"{document.path}: {document.resource.key} is valid")


def _refuse_what_may_not_change(new: tuple[project.Document, ...], old: tuple[project.Document, ...]) -> None:
    before = {document.resource.key: document.plain for document in old}
    faults = [
        f"{document.path}: {sentence}"
        for document in new
        if document.resource.key in before
        for sentence in changed(document.resource.kind, document.plain, before[document.resource.key])
    ]
    if faults:
        raise Refusal("\n".join(faults))
