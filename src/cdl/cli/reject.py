"""`cdl reject`: reject a Release."""

from __future__ import annotations

import click

from cdl.api.v1alpha1.release import ApprovalState

from . import deciding


@click.command("reject", help="Reject the Release called NAME; what serves it stops.")
@deciding.options
def command(name: str, reason: str, namespace: str, yes: bool) -> None:  # noqa: FBT001 - click's flags
    """Reject."""
    deciding.decide(name, namespace, reason, ApprovalState.REJECTED, asks=not yes)
