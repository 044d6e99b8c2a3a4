"""`cdl approve`: approve a Release."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.release import record_approval
from cdl.reconcile.release import APPROVED_DIGEST, DECISION_REASON, REJECTED_DIGEST

from .context import settings_of
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.2


def decided(name: str, namespace: str, reason: str, state: ApprovalState) -> str:
    """Record a decision about the Release as it is now; give its digest.

    Raises:
        Refusal: there is no such Release, or no reason.
    """
    if not reason.strip():
        message = "--reason: found nothing, expected why; it is kept with the decision"
        raise Refusal(message)
    with one_sentence():
        settings = settings_of()
        store = compose.store(settings)
        release = store.get(Release, namespace, name)
        if release is None:
            known = ", ".join(r.metadata.name for r in store.list(Release, namespace)) or "none"
            message = f"release {name}: not found in namespace {namespace}, there are: {known}"
            raise Refusal(message)
        digest = release.spec.digest
        if settings.kubeconfig is not None:
            _note(settings.kubeconfig, release, state, reason)
            return digest
        approval = ApprovalStatus(state=state, by=getpass.getuser(), at=datetime.now(UTC), digest=digest, reason=reason)
        record_approval(compose.engines(settings, store, ()), namespace, name, approval)
        return digest


def _note(kubeconfig: Path, release: Release, state: ApprovalState, reason: str) -> None:
    """Leave the decision as a note, which admission signs with our name and the operator takes over.

    Raises:
        Refusal: nobody took it over in time.
    """
    from cdl.kube.cluster import ClusterStore

    store, (wanted, other) = ClusterStore(kubeconfig), (APPROVED_DIGEST, REJECTED_DIGEST)
    if state is ApprovalState.REJECTED:
        wanted, other = other, wanted
    store.note(release.key, {wanted: release.spec.digest, other: None, DECISION_REASON: reason})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        now = store.get(Release, release.metadata.namespace, release.metadata.name)
        if now is not None and now.status.approval.state is state and now.status.approval.reason == reason:
            return
        time.sleep(POLL_SECONDS)
    message = (
        f"release {release.metadata.name}: the decision is noted; no operator took it over within {PATIENCE_SECONDS} s"
    )
    raise Refusal(message)


@click.command("approve", help="Approve the Release called NAME, exactly as its digest stands now.")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept with the decision.")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(name: str, reason: str, namespace: str) -> None:
    """Approve."""
    digest = decided(name, namespace, reason, ApprovalState.APPROVED)
    click.echo(f"release {name} approved at {digest}")
