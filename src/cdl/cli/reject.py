"""`cdl reject`: reject a Release."""

from __future__ import annotations

import click

from cdl.api.v1alpha1.release import ApprovalState

from .approve import decided


@click.command("reject", help="Reject the Release called NAME; it will not be served.")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept with the decision.")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(name: str, reason: str, namespace: str) -> None:
    """Reject."""
    digest = decided(name, namespace, reason, ApprovalState.REJECTED)
    click.echo(f"release {name} rejected at {digest}")
