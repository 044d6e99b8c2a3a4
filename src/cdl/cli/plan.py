"""`cdl plan`: what would run, what is reused and why."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.v1alpha1 import parse
from cdl.stores.artifacts import DirectoryArtifacts

from . import forecast, project
from .context import settings_of
from .platform import reached
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.compose import Shelf
    from cdl.reconcile.plan import Plan
    from cdl.settings import Settings

    from .project import Document

SOMETHING_RUNS = 2


@click.command(
    "plan", help="Show what applying FOLDER would run, what it would reuse, and why; writes nothing, starts nothing."
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--detailed-exitcode", is_flag=True, help="End with 2 when something will or may run, with 0 when not.")
@click.option("--strict", is_flag=True, help="End with 1 when an estimate is more than spec.budget allows.")
def command(folder: Path, output: str, detailed_exitcode: bool, strict: bool) -> None:  # noqa: FBT001 - click's flags
    """Plan a project."""
    settings = settings_of()
    with one_sentence():
        plan = planned(settings, compose.store(settings), project.read(folder))
    if output == "text":
        forecast.text(plan)
    else:
        click.echo(forecast.json(plan) if output == "json" else forecast.markdown(plan))
    if strict and plan.over_budget:
        raise Refusal("the estimate is more than spec.budget allows; the warnings above name it")
    if detailed_exitcode and plan.runs:
        sys.exit(SOMETHING_RUNS)


def planned(settings: Settings, store: Shelf, documents: Sequence[Document]) -> Plan:
    """Plan the documents of a project against what is stored, and against the engines while they answer.

    Raises:
        PortError: what is stored cannot be read.
    """
    shelf = _Unkept(settings.home.resolve() / "artifacts")
    wanted = [parse(project.packed(d, shelf), project.WRITTEN_BY_PEOPLE) for d in documents]
    try:
        at, silent = _asked(settings), ""
    except Refusal as refusal:
        at, silent = settings, refusal.message
    return compose.planner(at, store, silent).plan(wanted)


def _asked(settings: Settings) -> Settings:
    """Fill in where the engines of this machine answer; what a cluster serves, its own API server knows.

    Raises:
        Refusal: they do not run.
    """
    at = reached(settings)
    return at if settings.kubeconfig is None else at.model_copy(update={"seldon": settings.seldon})


class _Unkept(DirectoryArtifacts):
    """Says where code would be kept, and keeps nothing."""

    def keep(self, content: bytes, suffix: str) -> str:
        return f"{self.shelf}{hashlib.sha256(content).hexdigest()}{suffix}"
