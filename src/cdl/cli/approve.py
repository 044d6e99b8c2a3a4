"""`cdl approve`: approve a Release."""

from __future__ import annotations

import click

from cdl.api.v1alpha1.release import ApprovalState

from . import deciding


@click.command("approve", help="Approve the Release called NAME, exactly as its digest stands now.")
@deciding.options
def command(name: str, reason: str, namespace: str, yes: bool) -> None:  # noqa: FBT001 - click's flags
    """Approve."""
    deciding.decide(name, namespace, reason, ApprovalState.APPROVED, asks=not yes)
