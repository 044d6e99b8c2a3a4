"""`cdl data`: the versions of datasets, their files, what differs between two, and a way out for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl.api.v1alpha1.datapipeline import Side
from cdl.cli.get import age
from cdl.cli.refusal import one_sentence
from cdl.cli.screen import table
from cdl.reconcile.release.files import data_files

from .asking import SHOWN, asked, short, spoken, where
from .labels import command as labels
from .writing import form_of, write

if TYPE_CHECKING:
    from cdl.reconcile.release.files import DataDiff
    from cdl.reconcile.versions import DatasetVersion

    from .asking import Asked

LISTED = 20
"""Files that a screen shows of a side; JSON has all."""

NAMESPACE = click.option("-n", "--namespace", default="default", show_default=True)
OUTPUT = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group("data", help="Show the versions of datasets, compare two, and write one out.")
def command() -> None:
    """Hold the verbs."""


command.add_command(labels)


@command.command("list", help="List the versions that are known, of one dataset or of all, the newest first.")
@click.argument("name", required=False)
@NAMESPACE
@OUTPUT
def listed(name: str | None, namespace: str, output: str) -> None:
    """List versions; no engine is asked."""
    with one_sentence():
        known = asked(namespace, engine=False)
        if name:
            known.meant(name)
    versions = [v for v in known.versions if not name or v.pipeline == name.partition("@")[0]]
    if output == "json":
        click.echo(json.dumps([_plain(v) for v in versions], indent=2))
    elif versions:
        table("", ("DATASET", "VERSION", "NOW", "AGE", "LABELS", "TRAIN", "TEST", "RELEASES"), map(_row, versions))
    else:
        click.echo("no dataset version is known; `cdl run FOLDER` makes one")


@command.command(
    "show", help="Show one version, NAME or NAME@VERSION: where it lies, who pins it, every file's digest."
)
@click.argument("name")
@NAMESPACE
@OUTPUT
def show(name: str, namespace: str, output: str) -> None:
    """Show a version with its files."""
    with one_sentence():
        known = asked(namespace, engine=True)
        version = known.meant(name)
        files = {side: known.files(version, side) for side in Side}
    if output == "json":
        told = {side.value: dict(sorted(found.items())) for side, found in files.items()}
        click.echo(json.dumps(_plain(version) | {"files": told}, indent=2))
        return
    table("", ("", spoken(version)), _facts(version))
    for side, found in files.items():
        click.echo(f"\n{side}: {len(found)} files in {where(version, side).repo}@{where(version, side).commit}")
        table("", ("FILE", "DIGEST"), ((p, short(d)) for p, d in sorted(found.items())[:LISTED]))
        _and_more(len(found))


@command.command(
    "diff",
    help="Show what differs between two versions of data: A as NAME@VERSION, B as NAME@VERSION or as VERSION alone.",
)
@click.argument("a")
@click.argument("b")
@NAMESPACE
@OUTPUT
def diff(a: str, b: str, namespace: str, output: str) -> None:
    """Compare two versions, file by file."""
    with one_sentence():
        known = asked(namespace, engine=True)
        old, new = known.meant(a), _second(known, a, b)
        sides = [_compared(known, side, old, new) for side in Side]
    if output == "json":
        told = [side.model_dump(mode="json", by_alias=True, exclude={"unread"}) for side in sides]
        click.echo(json.dumps({"a": _plain(old), "b": _plain(new), "sides": told}, indent=2))
        return
    click.echo(f"{spoken(old)} -> {spoken(new)}" + (": the same version" if old.version == new.version else ""))
    for part in ("labels", "transform"):
        if getattr(old, part) != getattr(new, part):
            click.echo(f"{part}: {short(getattr(old, part)) or '-'} -> {short(getattr(new, part)) or '-'}")
    for side in sides:
        _show_side(side)


@command.command(
    "export",
    help="Write one version, NAME or NAME@VERSION, to TARGET: a new folder, a file that ends in .tar, or an index of "
    "its files that ends in .jsonl or .parquet. Beside the files stands dataset.json, which says what they are.",
)
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path))
@NAMESPACE
def export(name: str, target: Path, namespace: str) -> None:
    """Write a version out, whole or not at all."""
    with one_sentence():
        form = form_of(target)
        known = asked(namespace, engine=True)
        version = known.meant(name)
        count = write(known, version, target, form)
    click.echo(f"wrote {count} files of {spoken(version)} to {target}")


def _second(known: Asked, a: str, b: str) -> DatasetVersion:
    """Read B: a version of A's dataset, unless it names its own or is the name of a dataset."""
    named = "@" in b or any(v.pipeline == b for v in known.versions)
    return known.meant(b if named else f"{a.partition('@')[0]}@{b}")


def _compared(known: Asked, side: Side, old: DatasetVersion, new: DatasetVersion) -> DataDiff:
    commits = (where(old, side).commit, where(new, side).commit)
    before, after = known.files(old, side), known.files(new, side)
    return data_files(side, commits, before, after, listed=len(before) + len(after))


def _show_side(side: DataDiff) -> None:
    counts = {
        "added": side.added,
        "removed": side.removed,
        "changed": side.changed,
        "under another label": side.relabelled,
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    click.echo(f"\n{side.side}: {told or 'the same files'}")
    for line in side.first[:LISTED]:
        click.echo(f"  {line}")
    _and_more(len(side.first))


def _and_more(count: int) -> None:
    if count > LISTED:
        click.echo(f"and {count - LISTED} more: `-o json` has all")


def _row(version: DatasetVersion) -> tuple[object, ...]:
    return (
        version.pipeline,
        short(version.version),
        "yes" if version.current else "",
        age(version.at.isoformat()) if version.at else "-",
        version.rows,
        version.train.commit[:SHOWN] if version.train else "-",
        version.test.commit[:SHOWN] if version.test else "-",
        ", ".join(version.releases) or "-",
    )


def _facts(version: DatasetVersion) -> list[tuple[str, object]]:
    return [
        ("version", version.version),
        ("made", version.at),
        ("revision", version.revision or "-"),
        ("labels", f"{version.rows} in {short(version.labels)}" if version.labels else "-"),
        ("transform", version.transform or "-"),
        ("releases", ", ".join(version.releases) or "none pins it"),
        ("experiments", ", ".join(version.experiments) or "none works with it"),
    ]


def _plain(version: DatasetVersion) -> dict[str, object]:
    plain: dict[str, object] = version.model_dump(mode="json", by_alias=True)
    return plain
