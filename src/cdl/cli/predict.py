"""`cdl predict`: ask a served model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.v1alpha1 import ModelDeployment

from .asking import ask
from .context import settings_of
from .refusal import Refusal, one_sentence
from .screen import table
from .synthetic import announce

if TYPE_CHECKING:
    from cdl.compose import Shelf


def known(store: Shelf, name: str, namespace: str) -> ModelDeployment:
    """Find a ModelDeployment.

    Raises:
        Refusal: there is none of that name.
    """
    deployment = store.get(ModelDeployment, namespace, name)
    if deployment is None:
        names = ", ".join(d.metadata.name for d in store.list(ModelDeployment, namespace)) or "none"
        message = f"ModelDeployment {name}: not found in namespace {namespace}, there are: {names}"
        raise Refusal(message)
    return deployment


def served(store: Shelf, name: str, namespace: str) -> ModelDeployment:
    """Find a ModelDeployment that answers.

    Raises:
        Refusal: there is none of that name, or it serves nothing yet.
    """
    deployment = known(store, name, namespace)
    if not deployment.status.url:
        message = f"ModelDeployment {name} serves nothing yet; `cdl describe modeldeployment {name}` says why"
        raise Refusal(message)
    return deployment


@click.command("predict", help="Ask the ModelDeployment NAME about each FILE (.txt or .json).")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-n", "--namespace", default="default", show_default=True)
def command(name: str, files: tuple[Path, ...], namespace: str) -> None:
    """Predict."""
    with one_sentence():
        store = compose.store(settings_of())
        deployment = served(store, name, namespace)
    answers = [(file, ask(deployment, file)) for file in files]
    rows = ((f, a.label, a.probability, f"{a.milliseconds:.1f} ms", a.release, a.prediction) for f, a in answers)
    table("", ("FILE", "ANSWER", "PROBABILITY", "TOOK", "RELEASE", "ID"), rows)
    announce(store)
