"""`cdl get`: list resources."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import yaml

from cdl import compose
from cdl.api.v1alpha1 import KINDS

from .context import settings_of
from .refusal import Refusal, one_sentence
from .screen import table
from .synthetic import announce

SHORT = {"cdldp": "DataPipeline", "cdlexp": "Experiment", "cdlmd": "ModelDeployment", "cdlrel": "Release"}


def kind_named(word: str) -> str:
    """Find a kind by its name, plural or short name.

    Raises:
        Refusal: there is no such kind.
    """
    known = {name.lower(): name for name in KINDS} | {f"{name.lower()}s": name for name in KINDS} | SHORT
    if word.lower() not in known:
        message = f"kind: found {word!r}, allowed: {', '.join(sorted(KINDS))} or {', '.join(SHORT)}"
        raise Refusal(message)
    return known[word.lower()]


@click.command("get", help="List resources; of one KIND, or one by NAME.")
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table", show_default=True)
@click.option("-n", "--namespace", default=None, help="Only this namespace.")
def command(kind: str | None, name: str | None, output: str, namespace: str | None) -> None:
    """List what there is."""
    wanted = kind_named(kind) if kind else None
    with one_sentence():
        store = compose.store(settings_of())
        documents = [d for d in store.documents(wanted, namespace) if name in {None, _meta(d)["name"]}]
    if name and not documents:
        message = f"{wanted} {name}: not found"
        raise Refusal(message)
    if output == "json":
        click.echo(json.dumps(documents, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)
    elif documents:
        spaces = [str(_meta(d).get("namespace", "default")) for d in documents]
        columns = ("NAMESPACE", "KIND", "NAME", "READY", "STATUS", "PROGRESS", "REVISION", "AGE")
        rows = [(space, *_row(d)) for space, d in zip(spaces, documents, strict=True)]
        several = len({*spaces}) > 1
        table("", columns if several else columns[1:], (row if several else row[1:] for row in rows))
        announce(store)
    else:
        click.echo("no resources; `cdl run FOLDER` makes some")


def _meta(document: dict[str, object]) -> dict[str, object]:
    meta = document["metadata"]
    return meta if isinstance(meta, dict) else {}


def _row(document: dict[str, object]) -> tuple[object, ...]:
    meta = _meta(document)
    status = document.get("status")
    told: dict[str, object] = status if isinstance(status, dict) else {}
    conditions = told.get("conditions")
    listed = conditions if isinstance(conditions, list) else []
    ready: dict[str, object] = next((c for c in listed if c["type"] == "Ready"), {})
    state = (ready.get("status", "Unknown"), ready.get("reason", "-"))
    revision = str(told.get("lastAppliedRevision") or "-")[:12]
    return (
        document["kind"],
        meta["name"],
        *state,
        told.get("progress") or "-",
        revision,
        age(str(meta["creationTimestamp"])),
    )


def age(since: str) -> str:
    """Say how long ago, as kubectl does."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
