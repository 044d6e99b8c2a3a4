"""`cdl apply`: show what a project's resources will run, ask, and write them."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdl import compose
from cdl.api.meta import PROJECT_ANNOTATION, REQUESTED_AT_ANNOTATION, REVISION_ANNOTATION
from cdl.stores.artifacts import DirectoryArtifacts

from . import forecast, project
from .context import settings_of
from .plan import planned
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = re.compile(r"[\w.-]+(/[\w.-]+)+")
COMMIT = re.compile(r"[0-9a-f]{7,64}(-dirty)?")


@click.command(
    "apply",
    help="Show what the resources in FOLDER will run, ask, and write them; a running platform acts on them at once.",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask: for programs, as CI is one.")
@click.option("--revision", metavar="SHA", help="The git commit the resources are of; else git is asked.")
@click.option(
    "--forge-project",
    envvar=["CDL_FORGE_PROJECT", "CI_PROJECT_PATH"],
    metavar="GROUP/NAME",
    help="The project of the forge in which the commit is reviewed; in GitLab's CI it is known.",
)
@click.option(
    "--look", is_flag=True, help="Ask for a look at each as well: sources are fetched again, as for retraining."
)
def command(folder: Path, yes: bool, revision: str | None, forge_project: str | None, look: bool) -> None:  # noqa: FBT001 - click's flags
    """Apply a project."""
    settings = settings_of()
    if revision is not None and not COMMIT.fullmatch(revision):
        message = f"--revision: found {revision!r}, allowed: a git commit, 7 to 64 hexadecimal digits"
        raise Refusal(message)
    if forge_project is not None and not PROJECT.fullmatch(forge_project):
        message = f"--forge-project: found {forge_project!r}, allowed: a project's path, as in team/news"
        raise Refusal(message)
    notes = {REVISION_ANNOTATION: revision, PROJECT_ANNOTATION: forge_project}
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
            outcome, resource = store.apply(_noted(project.packed(document, artifacts), notes))
            if look:
                store.annotate(resource.key, REQUESTED_AT_ANNOTATION, datetime.now(UTC).isoformat())
            click.echo(f"{resource.key} {outcome}")


def _noted(plain: dict[str, Any], notes: Mapping[str, str | None]) -> dict[str, Any]:
    """Say on a resource where it comes from, as far as somebody has said it."""
    said = {name: note for name, note in notes.items() if note is not None}
    metadata = dict(plain["metadata"])
    annotations = {**(metadata.get("annotations") or {}), **said}
    return {**plain, "metadata": {**metadata, "annotations": annotations}} if said else plain
