"""`cdl lineage`: walk from an answer, or from what serves it, to everything behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.text import Text
from rich.tree import Tree

from cdl import compose
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.loop.experiment import EXPERIMENT_LABEL
from cdl.reconcile.lineage import Behind, graph, page, release_named_by, svg

from .context import settings_of
from .refusal import Refusal, one_sentence
from .screen import console
from .synthetic import MARK, announce

if TYPE_CHECKING:
    from cdl.compose import Shelf
    from cdl.reconcile.lineage import Edge, Graph, Node

LONGEST_LINE = 400
"""A digest or an address is never cut: people copy it."""


@click.command("lineage", help="Walk from NAME, a ModelDeployment, a Release or the id of an answer, to its sources.")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json", "svg", "html"]), default="text", show_default=True)
def command(name: str, namespace: str, output: str) -> None:
    """Show the walk."""
    with one_sentence():
        store = compose.store(settings_of())
        behind = _behind(store, name, namespace)
    walk, title = graph(behind), f"Lineage of {name}"
    match output:
        case "json":
            click.echo(json.dumps(walk.plain(), indent=2))
        case "svg":
            click.echo(svg(walk, title), nl=False)
        case "html":
            digest = behind.release.spec.digest
            note = f"Release {behind.release.metadata.name}, {digest}"
            click.echo(page(walk, title, f"{note}; SYNTHETIC look-alikes" if behind.synthetic else note), nl=False)
        case _:
            console().print(drawn(walk), width=LONGEST_LINE, soft_wrap=True)
            announce(store)


def drawn(walk: Graph) -> Tree:
    """The graph as a tree: what is reached twice is told once, and named where it is reached again."""
    nodes = {node.id: node for node in walk.nodes}
    told: set[str] = set()

    def below(tree: Tree, node: Node) -> None:
        told.add(node.id)
        for name, value in node.facts:
            tree.add(Text.assemble((f"{name} ", "dim"), value))
        for edge in (e for e in walk.edges if e.source == node.id):
            _branch(tree, edge)

    def _branch(tree: Tree, edge: Edge) -> None:
        node = nodes[edge.target]
        label = Text.assemble((f"{edge.relation} ", "dim"), (f"{node.kind} {node.title}", "bold"))
        if node.id in told:
            tree.add(label.append(" (above)", "dim"))
        else:
            below(tree.add(label), node)

    first = walk.nodes[0]
    tree = Tree(Text(f"{first.kind} {first.title}", "bold"))
    below(tree, first)
    return tree


def _behind(store: Shelf, name: str, namespace: str) -> Behind:
    """Find what the name stands for.

    Raises:
        Refusal: nothing of that name serves, is a Release or made an answer.
    """
    deployment = store.get(ModelDeployment, namespace, name)
    wanted = deployment.status.release if deployment is not None else name
    release = store.get(Release, namespace, wanted) if wanted else None
    if release is not None:
        return _all(store, release, (deployment,) if deployment is not None else None)
    releases = store.list(Release, namespace)
    made = release_named_by(name, releases)
    if made is None:
        known = ", ".join(r.metadata.name for r in releases) or "none"
        message = f"{name}: found no ModelDeployment that serves and no Release of that name; releases: {known}"
        raise Refusal(message)
    if len(made) != 1:
        names = " and ".join(r.metadata.name for r in made)
        found = f"{names} may have made this answer: their digests begin alike" if made else "no Release here made it"
        message = f"{name}: {found} (namespace {namespace})"
        raise Refusal(message)
    return _all(store, made[0], None, name)


def _all(store: Shelf, release: Release, asked: tuple[ModelDeployment, ...] | None, prediction: str = "") -> Behind:
    namespace = release.metadata.namespace
    serving = (store.get(ModelDeployment, namespace, name) for name in release.status.served_by)
    deployments = asked if asked is not None else tuple(d for d in serving if d is not None)
    data = release.spec.members.get("data")
    pipeline = store.get(DataPipeline, namespace, str(data.get("pipeline"))) if isinstance(data, dict) else None
    made_by = release.metadata.labels.get(EXPERIMENT_LABEL, "")
    experiment = store.get(Experiment, namespace, made_by) if made_by else None
    synthetic = pipeline is not None and MARK in pipeline.metadata.annotations
    return Behind(release, deployments, experiment, pipeline, prediction, synthetic)
