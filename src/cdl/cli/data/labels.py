"""`cdl data labels`: what the items of a version are labelled, who said so, and what they were labelled before."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.canonical import digest
from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Labels, Side
from cdl.cli.context import settings_of
from cdl.cli.platform import history as database
from cdl.cli.refusal import Refusal, one_sentence
from cdl.cli.screen import table

from .asking import asked, short, spoken, where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdl.ports.labels import LabelStore, Spell
    from cdl.reconcile.datapipeline import LabelRow
    from cdl.reconcile.versions import DatasetVersion

    from .asking import Asked

LISTED = 20
"""Labels that a screen shows; JSON has all."""
NO_STORE = "no database keeps labels here: CDL_DATABASE names none, and no `cdl run` or `cdl up` has made one in {home}"


@click.command(
    "labels",
    help="Show the labels of one version, NAME or NAME@VERSION: how many of each class, which item has which, who said "
    "so and when. With --history, how one item was labelled from version to version.",
)
@click.argument("name")
@click.option("--history", "item", metavar="ITEM", help="A path as in /sport/1.txt, or the id a table gives.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(name: str, item: str | None, namespace: str, output: str) -> None:
    """Ask the label store, and for labels it does not have, the data engine."""
    with one_sentence():
        if item is not None:
            _show_history(_spells(name, item, namespace), item, output)
            return
        known = asked(namespace, engine=False)
        version = known.meant(name)
        kept, why_not = _store()
        found = kept.stored(Key("DataPipeline", namespace, version.pipeline), version.version) if kept else None
        read = found.rows if found is not None else _read(asked(namespace, engine=True), version)
        why_not = why_not or ("" if found is not None else "the database does not have this version")
    _show(version, read, why_not, output)


def _store() -> tuple[LabelStore | None, str]:
    """Open the label store, or say why there is none."""
    settings = settings_of()
    try:
        address = database(settings)
    except Refusal as refusal:
        return None, refusal.message
    if not address:
        return None, NO_STORE.format(home=settings.home)
    return compose.labels(settings.model_copy(update={"database": address})), ""


def _spells(name: str, item: str, namespace: str) -> tuple[Spell, ...]:
    """Ask for the history of an item.

    Raises:
        Refusal: there is no label store, or it knows nothing of the item.
    """
    kept, why_not = _store()
    if kept is None:
        raise Refusal(why_not)
    pipeline = name.partition("@")[0]
    found = kept.history(Key("DataPipeline", namespace, pipeline), item)
    if not found:
        message = f"--history: found {item!r}, of which no stored version of {pipeline} has a label; `cdl data labels "
        raise Refusal(f"{message}{pipeline} -o json` names every item")
    return found


def _read(known: Asked, version: DatasetVersion) -> Mapping[Side, Sequence[LabelRow]]:
    """Read the labels where the data is, as its DataPipeline says today.

    Raises:
        Refusal: the commits are gone, or today other labels are meant than the version has.
    """
    found = compose.store(settings_of()).get(DataPipeline, known.namespace, version.pipeline)
    labels = found.spec.labels if found is not None else Labels()
    rows = {}
    for side in Side:
        place = where(version, side)
        given = known.history().labels(place.repo, place.commit, labels, known.namespace)
        if given is None:
            message = f"{spoken(version)}: commit {place.commit} of {place.repo} is not there any more"
            raise Refusal(message)
        rows[side] = given
    if labels.source == "file":
        message = f"{spoken(version)}: its labels lie in files that only training reads: {labels.path}"
        raise Refusal(message)
    snapshot = digest([digest([[row.item, row.label] for row in rows[side]]) for side in (Side.TRAIN, Side.TEST)])
    if version.labels and snapshot != version.labels:
        message = f"{spoken(version)}: spec.labels of {version.pipeline} means other labels by now, and no database has"
        raise Refusal(f"{message} those of this version")
    return rows


def _show(version: DatasetVersion, rows: Mapping[Side, Sequence[LabelRow]], why_not: str, output: str) -> None:
    flat = [(side, row) for side in Side for row in rows[side]]
    counts = {side: Counter(row.label for row in rows[side]) for side in Side}
    if output == "json":
        told = [
            {
                "side": s,
                "item": r.item,
                "label": r.label,
                "annotator": r.annotator,
                "at": r.at.isoformat() if r.at else "",
            }
            for s, r in flat
        ]
        document = {
            "pipeline": version.pipeline,
            "version": version.version,
            "snapshot": version.labels,
            "stored": not why_not,
            "classes": {side.value: dict(sorted(counted.items())) for side, counted in counts.items()},
            "labels": told,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"{spoken(version)}: {len(flat)} labels, snapshot {short(version.labels) or '-'}")
    if why_not:
        click.echo(f"read from the data itself: {why_not}", err=True)
    names = sorted(counts[Side.TRAIN] | counts[Side.TEST])
    table("", ("CLASS", "TRAIN", "TEST"), ((n, *(counts[s][n] for s in (Side.TRAIN, Side.TEST))) for n in names))
    click.echo("")
    shown = ((side.value, row.item, row.label, row.annotator or "-", row.at) for side, row in flat[:LISTED])
    table("", ("SIDE", "ITEM", "LABEL", "WHO", "WHEN"), shown)
    if len(flat) > LISTED:
        click.echo(f"and {len(flat) - LISTED} more: `-o json` has all")


def _show_history(spells: Sequence[Spell], item: str, output: str) -> None:
    if output == "json":
        told = [
            {
                "side": s.side.value,
                "label": s.label,
                "annotator": s.annotator,
                "at": s.at.isoformat(),
                "commit": s.commit,
                "version": s.version,
                "until": s.until,
                "labelId": s.label_id,
            }
            for s in spells
        ]
        click.echo(json.dumps({"item": item, "history": told}, indent=2))
        return
    rows = (
        (s.side.value, s.label, s.annotator or "-", s.at, short(s.version), short(s.until) or "now", s.commit[:12])
        for s in spells
    )
    table(item, ("SIDE", "LABEL", "WHO", "WHEN", "FROM VERSION", "UNTIL", "COMMIT"), rows)
