"""`cdl history`: who did what, when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdl.api.conditions import ConditionType
from cdl.api.meta import Key
from cdl.reconcile.history import stood
from cdl.reconcile.record import Entry, Verb

from .get import kind_named
from .ledger import entries, moment, opened, statuses, waiting
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import JsonValue

IN_BETWEEN = ConditionType.RECONCILING.value
"""Says the same as Ready, for programs."""


@click.command("history", help="Show who did what, when and why: to everything, or to the KIND called NAME.")
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--since", metavar="TIME", help="Only what happened since then, as in 2026-01-31 or 24h.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N entries.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    kind: str | None, name: str | None, namespace: str, since: str | None, last: int | None, output: str
) -> None:
    """Show the history."""
    about = _about(kind, name, namespace)
    with one_sentence():
        found = tuple(entries(opened().rows(about, moment(since))))
    if output == "json":
        for entry in found[-last:] if last else found:
            click.echo(entry.text())
        return
    told = [entry for entry in stood(found, statuses()) if entry.details.get("condition") != IN_BETWEEN]
    _show(told[-last:] if last else told, alone=about is not None)
    left = waiting()
    if left:
        click.echo(f"{left} more wait in the outbox: the database could not be told yet", err=True)


def _about(kind: str | None, name: str | None, namespace: str) -> Key | None:
    if kind is None:
        return None
    if name is None:
        message = f"NAME: found nothing, expected the name of a {kind_named(kind)}; without KIND all of it is shown"
        raise Refusal(message)
    return Key(kind_named(kind), namespace, name)


def _show(told: Sequence[Entry], *, alone: bool) -> None:
    if not told:
        click.echo("nothing happened that the ledger knows of")
        return
    columns = ("AT", "WHO", *(() if alone else ("RESOURCE",)), "WHAT", "WHY")
    table("", columns, _rows(told, alone=alone))


def _rows(told: Sequence[Entry], *, alone: bool) -> Iterator[tuple[object, ...]]:
    for entry in told:
        where = () if alone else (f"{entry.kind} {entry.name}",)
        yield entry.at, entry.who, *where, sentence(entry), entry.why


def sentence(entry: Entry) -> str:
    """Say what happened in a few words."""
    match entry.verb:
        case Verb.APPLIED:
            of = f" of {entry.revision[:12]}" if entry.revision else ""
            return f"applied {entry.what}{of}"
        case Verb.ASKED:
            return f"asked: {entry.what} {_named(entry.details)}".rstrip()
        case Verb.RELEASED | Verb.DELETED:
            return f"{entry.verb.value}: {entry.what}"
        case Verb.DECIDED:
            return f"{entry.what.lower()} {entry.digest[:19]}"
        case Verb.BECAME:
            return entry.what


def _named(details: dict[str, JsonValue]) -> str:
    """Find the name of what an action is about, and on which side."""
    for value in (details, *(part for part in details.values() if isinstance(part, dict))):
        for inner in (value, *(part for part in value.values() if isinstance(part, dict))):
            name = inner.get("name") or inner.get("release") or inner.get("model")
            if isinstance(name, str):
                return " ".join(str(word) for word in (name, details.get("side")) if word)
    return " ".join(str(word) for word in (details.get("key"), details.get("side")) if word)
