"""`cdl describe`: everything about one resource."""

from __future__ import annotations

import click
import yaml

from cdl import compose
from cdl.api.v1alpha1 import KINDS, Release
from cdl.api.v1alpha1.resource import Status

from .context import settings_of
from .deciding import compared
from .get import kind_named
from .refusal import Refusal, one_sentence
from .screen import table
from .synthetic import announce

OWN_TABLE = {"conditions", "history"}


@click.command("describe", help="Show everything about the KIND called NAME.")
@click.argument("kind")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(kind: str, name: str, namespace: str) -> None:
    """Show a resource with its conditions and its history."""
    with one_sentence():
        store = compose.store(settings_of())
        resource = store.get(KINDS[kind_named(kind)], namespace, name)
    if resource is None:
        message = f"{kind_named(kind)} {name}: not found in namespace {namespace}"
        raise Refusal(message)
    plain = resource.plain()
    status = plain.pop("status", {})
    rest = {k: v for k, v in status.items() if k not in OWN_TABLE} if isinstance(status, dict) else {}
    click.echo(yaml.safe_dump({**plain, "status": rest}, sort_keys=False, allow_unicode=True), nl=False)
    told = getattr(resource, "status", None)
    if not isinstance(told, Status):
        return
    click.echo()
    conditions = ((c.type, c.status, c.reason, c.last_transition_time, c.message) for c in told.conditions)
    table("Conditions", ("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"), conditions)
    table(
        "History",
        ("AT", "WHAT", "REVISION", "DIGEST"),
        ((e.at, e.what, e.revision[:12], e.digest[:19]) for e in told.history),
    )
    if isinstance(resource, Release) and resource.status.approval.metrics:
        click.echo()
        compared(name, resource.status.approval.metrics, resource.status.approval.production)
    announce(store)
