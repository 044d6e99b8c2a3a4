"""`cdl apply`: show what a project's resources will run, ask, and write them."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cdl import compose
from cdl.api.meta import REQUESTED_AT_ANNOTATION, REVISION_ANNOTATION
from cdl.stores.artifacts import DirectoryArtifacts

from . import forecast, project
from .context import settings_of
from .plan import planned
from .refusal import Refusal, one_sentence

COMMIT = re.compile(r"[0-9a-f]{7,64}(-dirty)?")


@click.command(
    "apply",
    help="Show what the resources in FOLDER will run, ask, and write them; a running platform acts on them at once.",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask: for programs, as CI is one.")
@click.option("--revision", metavar="SHA", help="The git commit the resources are of; else git is asked.")
@click.option(
    "--look", is_flag=True, help="Ask for a look at each as well: sources are fetched again, as for retraining."
)
def command(folder: Path, yes: bool, revision: str | None, look: bool) -> None:  # noqa: FBT001 - click's flags
    """Apply a project."""
    settings = settings_of()
    if revision is not None and not COMMIT.fullmatch(revision):
        message = f"--revision: found {revision!r}, allowed: a git commit, 7 to 64 hexadecimal digits"
        raise Refusal(message)
    if not yes and not sys.stdin.isatty():
        raise Refusal("apply asks before it writes, and there is no terminal to ask at: --yes answers beforehand")
    with one_sentence():
        documents = project.read(folder)
        store = compose.store(settings)
        plan = planned(settings, store, documents)
        forecast.text(plan)
        if not yes:
            click.confirm("Apply this?", abort=True)
        artifacts = DirectoryArtifacts(settings.home.resolve() / "artifacts")
        for document in documents:
            outcome, resource = store.apply(_of_revision(project.packed(document, artifacts), revision))
            if look:
                store.annotate(resource.key, REQUESTED_AT_ANNOTATION, datetime.now(UTC).isoformat())
            click.echo(f"{resource.key} {outcome}")


def _of_revision(plain: dict[str, Any], revision: str | None) -> dict[str, Any]:
    if revision is None:
        return plain
    metadata = dict(plain["metadata"])
    annotations = {**(metadata.get("annotations") or {}), REVISION_ANNOTATION: revision}
    return {**plain, "metadata": {**metadata, "annotations": annotations}}
