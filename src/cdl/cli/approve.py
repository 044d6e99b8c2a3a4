"""`cdl approve`: approve a Release."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

import click

from cdl import compose
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.experiment import record_approval

from .context import settings_of
from .refusal import Refusal, one_sentence


def decided(name: str, namespace: str, reason: str, state: ApprovalState) -> str:
    """Record a decision about the Release as it is now; give its digest.

    Raises:
        Refusal: there is no such Release, or no reason.
    """
    if not reason.strip():
        message = "--reason: found nothing, expected why; it is kept with the decision"
        raise Refusal(message)
    with one_sentence():
        store = compose.store(settings_of())
        release = store.get(Release, namespace, name)
        if release is None:
            known = ", ".join(r.metadata.name for r in store.list(Release, namespace)) or "none"
            message = f"release {name}: not found in namespace {namespace}, there are: {known}"
            raise Refusal(message)
        approval = ApprovalStatus(
            state=state, by=getpass.getuser(), at=datetime.now(UTC), digest=release.spec.digest, reason=reason
        )
        record_approval(store, namespace, name, approval)
        return release.spec.digest


@click.command("approve", help="Approve the Release called NAME, exactly as its digest stands now.")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept with the decision.")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(name: str, reason: str, namespace: str) -> None:
    """Approve."""
    digest = decided(name, namespace, reason, ApprovalState.APPROVED)
    click.echo(f"release {name} approved at {digest}")
