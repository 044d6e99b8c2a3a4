"""`cdl audit`: take the ledger out to a file, and check that nobody changed it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl.api.canonical import canonical
from cdl.reconcile.chain import Fault, Row, follow

from .context import settings_of
from .ledger import entries, moment, opened
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.ports.ledger import Ledger

FORMAT = "cdl.dev/ledger/v1"
PART = ".part"
BATCH = 200


@click.group("audit", help="Take the history out to a file, and check that nobody changed it.")
def command() -> None:
    """Hold the verbs."""


@command.command("export", help="Write the history as JSON lines: a header, then each row with its hash.")
@click.option("--since", metavar="TIME", help="Only what happened since then, as in 2026-01-31 or 24h.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file.")
def export(since: str | None, output: Path) -> None:
    """Write the file; the chain is checked on the way, and a broken one is written nevertheless."""
    with one_sentence():
        ledger = opened()
        fault, first = ledger.fault(), moment(since)
        rows = [*ledger.rows()]
    chosen = _since(rows, first.timestamp() if first else None)
    head = {"format": FORMAT, "rows": len(chosen), "head": rows[-1].hash if rows else "", "fault": _told(fault)}
    part = output.with_name(output.name + PART)
    try:
        part.write_bytes(b"".join(_line(one) for one in (head, *map(_plain, chosen))))
        part.rename(output)
    except OSError as error:
        message = f"--output: {output} cannot be written: {error}"
        raise Refusal(message) from error
    click.echo(f"wrote {len(chosen)} rows to {output}")
    _refuse(fault)


@command.command("verify", help="Check the chain of the database, or of an exported FILE and that the database has it.")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--offline", is_flag=True, help="Check the FILE alone.")
def verify(file: Path | None, *, offline: bool) -> None:
    """Name the first row that was changed, removed or put in."""
    if file is None:
        with one_sentence():
            ledger = opened()
            _refuse(ledger.fault())
            last = _last(ledger.rows())
        click.echo(f"{last.number} rows, unbroken, the last is {last.hash}" if last else "nothing was written down yet")
        return
    rows = _read(file)
    _refuse(follow(rows))
    if not offline:
        with one_sentence():
            _same(rows, opened())
    click.echo(f"{file}: {len(rows)} rows, unbroken" + ("" if offline else ", and the database has them all"))


@command.command("import", help="Write an exported FILE into an empty ledger, which then is the same to the last hash.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Put back what was exported; what is there already has to be how the file begins."""
    rows = _read(file)
    _refuse(follow(rows))
    if rows and rows[0].number != 1:
        message = f"{file}: begins with row {rows[0].number}; only a whole export can be put back"
        raise Refusal(message)
    with one_sentence(), closing(opened()) as ledger:
        there = [*ledger.rows()]
        if [row.hash for row in there] != [row.hash for row in rows[: len(there)]]:
            message = f"{file}: the ledger has {len(there)} rows that are not how it begins; nothing was written"
            raise Refusal(message)
        for place in range(len(there), len(rows), BATCH):
            ledger.append(tuple(entries(rows[place : place + BATCH])))
        _same(rows, ledger)
    click.echo(
        f"{len(rows) - len(there)} of {len(rows)} rows were written; the last is {rows[-1].hash if rows else '-'}"
    )


@command.command("prepare", help="Make the tables, as CDL_DATABASE_OWNER, for the role of CDL_DATABASE to add to.")
def prepare() -> None:
    """Bring the tables up to date."""
    from cdl.stores.postgres import prepare as apply

    settings = settings_of()
    for name, value in (("CDL_DATABASE", settings.database), ("CDL_DATABASE_OWNER", settings.database_owner)):
        if not value:
            message = f"{name}: found nothing, expected an address as in postgresql://role@host/cdl"
            raise Refusal(message)
    with one_sentence():
        done = apply(settings.database_owner, settings.database)
    click.echo(f"applied {', '.join(done)}" if done else "the tables are up to date")


def _since(rows: list[Row], first: float | None) -> list[Row]:
    """Leave out the rows before the first that happened since then: what follows it stays, so that the chain does."""
    if first is None:
        return rows
    place = next((n for n, entry in enumerate(entries(rows)) if entry.at.timestamp() >= first), len(rows))
    return rows[place:]


def _plain(row: Row) -> dict[str, object]:
    return {"number": row.number, "previous": row.previous, "hash": row.hash, "entry": json.loads(row.entry)}


def _line(value: object) -> bytes:
    return canonical(value) + b"\n"


def _told(fault: Fault | None) -> str:
    return str(fault) if fault else ""


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        message = f"the ledger is broken at {fault}"
        raise Refusal(message)


def _last(rows: Iterator[Row]) -> Row | None:
    last = None
    for row in rows:
        last = row
    return last


def _read(file: Path) -> list[Row]:
    """Read an exported file.

    Raises:
        Refusal: it is none.
    """
    try:
        header, *lines = file.read_text(encoding="utf-8").splitlines()
        if json.loads(header)["format"] != FORMAT:
            raise ValueError(header)
        plain = [json.loads(line) for line in lines]
        rows = [
            Row(int(p["number"]), canonical(p["entry"]).decode(), str(p["previous"]), str(p["hash"])) for p in plain
        ]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{file}: found no export of a ledger; `cdl audit export -o {file.name}` writes one"
        raise Refusal(message) from error
    if len(rows) != int(json.loads(header)["rows"]):
        message = f"{file}: found {len(rows)} rows, its header speaks of {json.loads(header)['rows']}"
        raise Refusal(message)
    return rows


def _same(rows: list[Row], ledger: Ledger) -> None:
    """Compare what was exported with what is there now.

    Raises:
        Refusal: a row was changed or removed since.
    """
    now = {row.number: row.hash for row in ledger.rows()}
    for row in rows:
        if now.get(row.number) != row.hash:
            what = "is missing" if row.number not in now else "was changed"
            message = f"row {row.number} {what} in the database since it was exported"
            raise Refusal(message)
