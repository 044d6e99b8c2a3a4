"""`cdl diff`: what differs between two Releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.loop.diff import gather
from cdl.reconcile.release.diff import diff

from .context import settings_of
from .meant import meant
from .platform import reached
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cdl.reconcile.release.diff import Changed, ReleaseDiff
    from cdl.reconcile.release.files import CodeDiff, DataDiff
    from cdl.reconcile.release.significance import MetricDiff

SHOWN = 20
"""Rows of a table; JSON has all of them."""
NOTHING = "-"


@click.command(
    "diff",
    help="Show what differs between the Releases A and B: each a Release, model@version, or a ModelDeployment, which "
    "stands for what it serves.",
)
@click.argument("a")
@click.argument("b")
@click.option("--full", is_flag=True, help="Show the lines of code that differ.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(a: str, b: str, full: bool, namespace: str, output: str) -> None:  # noqa: FBT001 - click's flags
    """Compare two Releases."""
    settings = settings_of()
    try:
        at, silent = reached(settings), ""
    except Refusal as refusal:
        at, silent = settings, refusal.message
    with one_sentence():
        store = compose.store(settings)
        pair = [meant(store, name, namespace) for name in (a, b)]
        asked = compose.witnesses(at, store, silent)
        old, new = (gather(asked.artifacts, asked.data, release) for release in pair)
    compared = diff(old, new, full=full)
    if output == "json":
        click.echo(compared.model_dump_json(by_alias=True, exclude_none=True, indent=2))
    else:
        _show(compared)


def _show(told: ReleaseDiff) -> None:
    heads = [(n.name, n.digest[:19], n.revision[:12] or NOTHING) for n in (told.a, told.b)]
    table("", ("RELEASE", "DIGEST", "REVISION"), heads)
    if told.same:
        click.echo("\nthe same content: no member but git differs" if told.members["git"] else "\nthe same release")
        return
    click.echo(f"\ndiffers: {', '.join(name for name, differs in told.members.items() if differs)}\n")
    for one in told.code:
        _show_code(one)
    _show_changed("config", told.config)
    _show_changed("hyperparameters of the best trial", told.hparams)
    for side in told.data:
        _show_data(side)
    _show_changed("labels", told.labels)
    _show_changed("environment", told.environment)
    table("metrics", ("METRIC", "A", "B", "DIFFERENCE", "WHAT THAT MEANS"), map(_metric, told.metrics))
    for note in told.notes:
        click.echo(f"note: {note}")


def _show_code(code: CodeDiff) -> None:
    if code.unread or not code.files:
        click.echo(f"code {code.part}: {code.unread or 'other bytes, the same files'}\n")
        return
    rows = [(f.path, f.change, _signed("+", f.added), _signed("-", f.removed)) for f in code.files]
    _listed(f"code {code.part}", ("FILE", "CHANGE", "LINES +", "LINES -"), rows)
    for file in code.files:
        if file.text:
            click.echo(file.text)


def _signed(sign: str, count: int | None) -> str:
    return "no text" if count is None else f"{sign}{count}"


def _show_changed(title: str, changed: Sequence[Changed]) -> None:
    _listed(title, ("WHAT", "CHANGE"), [tuple(c.words.split(": ", 1)) for c in changed])


def _show_data(data: DataDiff) -> None:
    if data.unread:
        click.echo(f"data {data.side}: {data.a[:12]} -> {data.b[:12]}; {data.unread}\n")
        return
    counts = [
        f"{count} {what}"
        for what, count in (
            ("added", data.added),
            ("removed", data.removed),
            ("changed", data.changed),
            ("under another label", data.relabelled),
        )
        if count
    ]
    told = ", ".join(counts) or "the same files in another commit"
    click.echo(f"data {data.side}: {data.a[:12]} -> {data.b[:12]}: {told}")
    for line in data.first:
        click.echo(f"  {line}")
    classes = sorted({*data.classes_a, *data.classes_b})
    rows = ((c, data.classes_a.get(c, 0), data.classes_b.get(c, 0)) for c in classes)
    table("", ("LABEL", "A", "B"), (row for row in rows if row[1] != row[2]))
    click.echo()


def _metric(metric: MetricDiff) -> tuple[object, ...]:
    difference = f"{metric.difference:+.4g}" if metric.difference is not None else NOTHING
    return metric.metric, metric.a, metric.b, difference, metric.words


def _listed(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the first rows of a table and say how many there are."""
    if not rows:
        return
    table(title, columns, _first(rows))
    if len(rows) > SHOWN:
        click.echo(f"and {len(rows) - SHOWN} more: `-o json` has all")
    click.echo()


def _first(rows: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    return (row for _, row in zip(range(SHOWN), rows, strict=False))
