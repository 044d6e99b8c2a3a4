"""How a person decides about a Release, for `cdl approve` and `cdl reject` alike: look, note, and see it taken over."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cdl import compose
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.loop.release import Releases
from cdl.reconcile.release import (
    APPROVAL_ROLE,
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
    author,
    authors,
    metrics,
    production,
    sentence,
)

from .context import settings_of
from .meant import release_named, release_names
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdl.api.v1alpha1.release import Production
    from cdl.compose import Shelf
    from cdl.settings import Settings

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.2
TURNS = 5
"""How often we take the note over ourselves on a laptop; an operator that runs does it too."""


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what both verbs understand."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyway."),
        click.option("-n", "--namespace", default="default", show_default=True),
        click.option("--reason", required=True, help="Why; kept with the decision."),
        click.argument("name"),
    ):
        command = option(command)
    return command


def decide(name: str, namespace: str, reason: str, state: ApprovalState, *, asks: bool) -> None:
    """Show what is decided about, ask, and record the decision about the Release as it is now.

    Raises:
        Refusal: there is no such Release, no reason, or who decides may not.
    """
    if not reason.strip():
        message = "--reason: found nothing, expected why; it is kept with the decision"
        raise Refusal(message)
    with one_sentence():
        settings = settings_of()
        store = compose.store(settings)
        release = _known(store, name, namespace)
        if settings.kubeconfig is None and state is ApprovalState.APPROVED:
            _nobodys_own(release, settings.user)
        _show(store, release)
        if asks and sys.stdin.isatty():
            verb = "Approve" if state is ApprovalState.APPROVED else "Reject"
            click.confirm(f"{verb} {name}?", abort=True)
        _note(store, release, _notes(release, state, reason), settings)
        _taken_over(settings, store, release, state, reason)
    click.echo(f"release {name} {state.value.lower()} at {release.spec.digest}")


def compared(release: str, figures: Mapping[str, float], beside: tuple[Production, ...]) -> None:
    """Print figures, and those of what answers beside them."""
    columns = ["METRIC", release, *(word for p in beside for word in (p.release, "DIFFERENCE"))]
    rows = (
        (metric, value, *(cell for p in beside for cell in (p.metrics.get(metric), _signed(p.differences.get(metric)))))
        for metric, value in figures.items()
    )
    served = "; ".join(f"{p.release} answers for {', '.join(p.deployments)}" for p in beside)
    click.echo(served or "nothing else answers for this model")
    table("", columns, rows)


def _signed(difference: float | None) -> str | None:
    return None if difference is None else f"{difference:+.4g}"


def _known(store: Shelf, name: str, namespace: str) -> Release:
    """Find the Release that is named; who decides names no deployment, for tomorrow that may serve another."""
    found = release_named(store, name, namespace)
    release = store.get(Release, namespace, found) if found is not None else None
    if release is None:
        known = ", ".join(release_names(store, namespace)) or "none"
        message = f"release {name}: not found in namespace {namespace}, there are: {known}"
        raise Refusal(message)
    return release


def _nobodys_own(release: Release, user: str) -> None:
    """Refuse an author; a cluster does so by itself, and knows better who we are."""
    if author(release, user):
        who, role = ", ".join(authors(release)), release.metadata.annotations.get(APPROVAL_ROLE, "validator")
        message = (
            f"release {release.metadata.name}: {user} is an author of it, so another {role} must approve it: anybody"
            f" but {who} (CDL_USER says who you are on this machine)"
        )
        raise Refusal(message)


def _show(store: Shelf, release: Release) -> None:
    namespace, name = release.metadata.namespace, release.metadata.name
    wrote = ", ".join(authors(release)) or "nobody that is known"
    click.echo(f"{name}: {sentence(release, release.status.approval)}; written by {wrote}")
    releases = store.list(Release, namespace)
    compared(name, metrics(release), production(release, store.list(ModelDeployment, namespace), releases))


def _notes(release: Release, state: ApprovalState, reason: str) -> dict[str, str | None]:
    wanted, other = (APPROVED_DIGEST, REJECTED_DIGEST)
    if state is ApprovalState.REJECTED:
        wanted, other = other, wanted
    return {wanted: release.spec.digest, other: None, DECISION_REASON: reason}


def _note(store: Shelf, release: Release, notes: dict[str, str | None], settings: Settings) -> None:
    """Leave the decision on the Release. A cluster signs it; a laptop believes who we say we are."""
    if settings.kubeconfig is None:
        notes |= {DECIDED_BY: settings.user, DECIDED_AT: datetime.now(UTC).isoformat()}
    elif all(release.metadata.annotations.get(k) == v for k, v in notes.items()):
        # the same words again are no news to an API server, so they would get no new date
        _annotate(store, release, dict.fromkeys(notes))
    _annotate(store, release, notes)


def _annotate(store: Shelf, release: Release, notes: Mapping[str, str | None]) -> None:
    part: dict[str, Any] = {"metadata": {"annotations": dict(notes)}}
    store.change(release.key, part)


def _taken_over(settings: Settings, store: Shelf, release: Release, state: ApprovalState, reason: str) -> None:
    """Wait until the platform says it; on a laptop we are the platform.

    Raises:
        Refusal: it says something else, or nothing in time.
    """
    place, before = (release.metadata.namespace, release.metadata.name), release.status.approval
    if settings.kubeconfig is None:
        hand = Releases(compose.engines(settings, store, ()), lambda: datetime.now(UTC))
        for _ in range(TURNS):
            hand.turn(*place)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        now = store.get(Release, *place)
        said = now.status.approval if now is not None else before
        if said.state is state and said.reason == reason:
            return
        if now is not None and said.state is ApprovalState.VOID and said != before:
            message = f"release {release.metadata.name}: {sentence(now, said)}"
            raise Refusal(message)
        time.sleep(POLL_SECONDS)
    message = (
        f"release {release.metadata.name}: the decision is noted; no operator took it over within {PATIENCE_SECONDS} s"
    )
    raise Refusal(message)
