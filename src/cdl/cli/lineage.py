"""`cdl lineage`: walk from a model to everything behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.tree import Tree

from cdl import compose
from cdl.api.v1alpha1 import ModelDeployment, Release

from .context import settings_of
from .refusal import Refusal, one_sentence
from .screen import console
from .synthetic import announce

if TYPE_CHECKING:
    from cdl.compose import Shelf


@click.command("lineage", help="Walk from the ModelDeployment or Release NAME to everything behind it.")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(name: str, namespace: str, output: str) -> None:
    """Show the walk."""
    with one_sentence():
        store = compose.store(settings_of())
        release = _release(store, name, namespace)
    if output == "json":
        click.echo(json.dumps(release.plain(), indent=2))
        return
    approval = release.status.approval
    tree = Tree(f"release {release.metadata.name}  {release.spec.digest}")
    tree.add(f"approval: {approval.state}" + (f" by {approval.by} at {approval.at}" if approval.by else ""))
    for member, value in release.spec.members.items():
        branch(tree, member, value)
    console().print(tree)
    announce(store)


def branch(tree: Tree, name: str, value: object, deepest: int = 2) -> None:
    """Add a member; what has many entries is counted, not listed."""
    if isinstance(value, dict) and deepest and len(value) <= _MANY:
        below = tree.add(name)
        for key, inner in value.items():
            branch(below, str(key), inner, deepest - 1)
    elif isinstance(value, dict):
        tree.add(f"{name}: {len(value)} entries" if len(value) > _MANY else f"{name}: {json.dumps(value)}")
    else:
        tree.add(f"{name}: {value}")


_MANY = 12


def _release(store: Shelf, name: str, namespace: str) -> Release:
    deployment = store.get(ModelDeployment, namespace, name)
    wanted = deployment.status.release if deployment is not None else name
    release = store.get(Release, namespace, wanted) if wanted else None
    if release is None:
        known = ", ".join(r.metadata.name for r in store.list(Release, namespace)) or "none"
        message = f"{name}: found no ModelDeployment that serves and no Release of that name; releases: {known}"
        raise Refusal(message)
    return release
