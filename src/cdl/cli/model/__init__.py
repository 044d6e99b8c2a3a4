"""`cdl model`: the versions of models, what is in one, what differs, and a way to take one elsewhere."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import click

from cdl import compose
from cdl.api.v1alpha1 import Release
from cdl.cli.context import settings_of
from cdl.cli.diff import command as diff
from cdl.cli.get import age
from cdl.cli.meant import meant
from cdl.cli.refusal import Refusal, one_sentence
from cdl.cli.report import identity
from cdl.cli.screen import table
from cdl.local.question import query as queried
from cdl.loop.papers import gathered

from .places import Places, buckets
from .pulling import pull as pulled

NAMESPACE = click.option("-n", "--namespace", default="default", show_default=True)
OUTPUT = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
DIGITS = 19


@click.group("model", help="List models, look at a version, compare two, query all, take one to another machine.")
def command() -> None:
    """Hold the verbs."""


command.add_command(diff, "diff")


@command.command("list", help="List the versions of all models, or of the model NAME, the newest first.")
@click.argument("name", required=False)
@NAMESPACE
@OUTPUT
def listed(name: str | None, namespace: str, output: str) -> None:
    """List versions."""
    with one_sentence():
        every = compose.store(settings_of()).list(Release, namespace)
    known = sorted({release.spec.model for release in every})
    if name is not None and name not in known:
        message = f"model {name}: has no version in namespace {namespace}, there are: {', '.join(known) or 'none'}"
        raise Refusal(message)
    wanted = [release for release in every if name in {None, release.spec.model}]
    found = sorted(wanted, key=lambda release: (release.spec.model, -release.spec.version))
    if output == "json":
        click.echo(json.dumps([release.plain() for release in found], indent=2))
    elif found:
        table("", ("MODEL", "RELEASE", "APPROVAL", "MEASURED", "DATA", "SERVED BY", "AGE"), map(_row, found))
    else:
        click.echo("no model has a version; `cdl run FOLDER` makes one")


@command.command("show", help="Show one version, as in NAME@3: its members, figures, weights and who decided.")
@click.argument("name", metavar="NAME@N")
@NAMESPACE
@OUTPUT
def show(name: str, namespace: str, output: str) -> None:
    """Show a version."""
    with one_sentence():
        release = meant(compose.store(settings_of()), name, namespace)
    if output == "json":
        click.echo(json.dumps(release.plain(), indent=2))
        return
    approval = release.status.approval
    rows: list[tuple[str, object]] = [
        ("digest", release.spec.digest),
        ("made", release.metadata.creation_timestamp),
        ("approval", f"{approval.state.lower()} by {approval.by or 'nobody yet'}"),
        ("served by", ", ".join(release.status.served_by) or "nobody"),
        ("measured", _figures(release) or "-"),
    ]
    table("", ("", f"{release.spec.model}@{release.spec.version}"), rows)
    click.echo()
    table("members", ("MEMBER", "IDENTITY"), ((n, identity(m)) for n, m in release.spec.members.items()))
    click.echo()
    table("weights", ("FILE", "DIGEST"), sorted(_table(release, "checkpoint", "files").items()))


@command.command(
    "pull",
    help="Write one version, as in NAME@3, to the folder DIR: weights, code, documents, requirements and a program "
    "that loads it where no platform runs. DIR is new, empty, or holds that version already.",
)
@click.argument("name", metavar="NAME@N")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@NAMESPACE
def pull(name: str, folder: Path, namespace: str) -> None:
    """Pull a version, whole or not at all."""
    settings = settings_of()
    with one_sentence():
        store, artifacts = compose.store(settings), compose.artifacts(settings)
        papers = gathered(store, artifacts, meant(store, name, namespace))
        told = pulled(Places(artifacts, buckets(settings)), papers, folder)
    click.echo(told)


@command.command(
    "query",
    help="Ask one SELECT of all versions: releases, metrics, hyperparameters, members, files; "
    "SELECT name, sql FROM sqlite_master shows their columns.",
)
@click.argument("question", metavar="SQL")
@click.option("-n", "--namespace", help="Only versions of this one; default: of all.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def query(question: str, namespace: str | None, output: str) -> None:
    """Answer a question; nothing can be changed by it."""
    with one_sentence():
        columns, rows = queried(compose.store(settings_of()).list(Release, namespace), question)
    if output == "json":
        click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    elif output == "csv":
        written = csv.writer(sys.stdout, lineterminator="\n")
        written.writerows((columns, *rows))
    elif rows:
        table("", columns, rows)
    else:
        click.echo("no rows")


def _row(release: Release) -> tuple[object, ...]:
    at = release.metadata.creation_timestamp
    return (
        f"{release.spec.model}@{release.spec.version}",
        release.metadata.name,
        release.status.approval.state.lower(),
        _figures(release) or "-",
        str(_table(release, "data").get("version") or "-")[:DIGITS],
        ", ".join(release.status.served_by) or "-",
        age(at.isoformat()) if at else "-",
    )


def _figures(release: Release) -> str:
    found = _table(release, "evaluation", "metrics").items()
    return ", ".join(f"{n} {v:.4g}" for n, v in sorted(found) if isinstance(v, int | float))


def _table(release: Release, *path: str) -> dict[str, object]:
    found: object = release.spec.members
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return dict(found) if isinstance(found, dict) else {}
