"""`cdl rollback`: go back to every member of an earlier Release."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import yaml

from cdl import compose
from cdl.api.conditions import ConditionType
from cdl.api.meta import APPLIED_BY_ANNOTATION
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.modeldeployment import VersionPolicy
from cdl.reconcile.rollback import NoWayBackError, changes, let_latest, target

from .context import settings_of
from .predict import known
from .refusal import Refusal, one_sentence
from .report import WIDTH
from .screen import table

if TYPE_CHECKING:
    from cdl.compose import Shelf

POLL_SECONDS = 0.05
MOST = 6
"""Values of one member that are shown."""
REASON_ANNOTATION = "cdl.dev/rollback-reason"
"""Why somebody went back, beside the version it was about."""


@click.command(
    "rollback", help="Serve an earlier approved Release again: by default the one before, with all its members."
)
@click.argument("name")
@click.option("--to", "version", type=click.IntRange(min=1), metavar="N", help="Version of the model to go back to.")
@click.option("--latest", is_flag=True, help="End a rollback: follow the latest approval again.")
@click.option("--reason", default="", help="Why; kept with the ModelDeployment.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--timeout", default=60, show_default=True, help="Seconds to wait until it answers.")
def command(name: str, version: int | None, latest: bool, reason: str, namespace: str, timeout: int) -> None:  # noqa: FBT001 - click's flags
    """Go back."""
    if latest and version is not None:
        message = "--latest and --to exclude each other"
        raise Refusal(message)
    begun = time.monotonic()
    with one_sentence():
        settings = settings_of()
        store = compose.store(settings)
        deployment = known(store, name, namespace)
        releases = store.list(Release, namespace)
        before = next((r for r in releases if r.metadata.name == deployment.status.release), None)
        try:
            if latest:
                let_latest(deployment)
            wanted = None if latest else target(deployment, releases, version, datetime.now(UTC))
        except NoWayBackError as error:
            raise Refusal(str(error)) from error
        part = _part(wanted, reason, "" if settings.kubeconfig else settings.user)
        store.change(deployment.key, part)
        now = _served(store, deployment, timeout)
        after = wanted or store.get(Release, namespace, now.status.release)
    click.echo(f"{now.status.release} answers at {now.status.url} after {time.monotonic() - begun:.1f} s")
    if after is not None:
        _differences(before, after)
    if wanted is not None:
        _advice(deployment, before, wanted)


def _part(wanted: Release | None, reason: str, user: str) -> dict[str, object]:
    """What changes of the ModelDeployment; a cluster knows by itself who we are."""
    pinned = wanted is not None
    notes: dict[str, object] = {
        REASON_ANNOTATION: f"{wanted.metadata.name}: {reason}" if wanted is not None and reason else None
    }
    if user:
        notes[APPLIED_BY_ANNOTATION] = user
    policy = VersionPolicy.PINNED if pinned else VersionPolicy.LATEST_APPROVED
    model = {"policy": policy.value, "version": wanted.spec.version if wanted is not None else None}
    return {"metadata": {"annotations": notes}, "spec": {"model": model}}


def _served(store: Shelf, deployment: ModelDeployment, timeout: int) -> ModelDeployment:
    """Wait until the new wish is true.

    Raises:
        Refusal: it will not be, or not in time; what was served before goes on answering.
    """
    key, deadline = deployment.key, time.monotonic() + timeout
    while True:
        now = store.get(ModelDeployment, key.namespace, key.name)
        if now is None:
            message = f"{key}: deleted meanwhile"
            raise Refusal(message)
        if now.status.observed_generation == now.metadata.generation:
            ready, trouble = now.status.condition(ConditionType.READY), now.status.condition(ConditionType.STALLED)
            if ready is not None and ready.status == "True":
                return now
            if trouble is not None and trouble.status == "True":
                message = f"{key}: {trouble.message}; {now.status.release or 'nothing'} goes on answering"
                raise Refusal(message)
        if time.monotonic() > deadline:
            late = f"asked for, but not served after {timeout} s"
            message = f"{key}: {late}; it will be once the platform runs (`cdl describe` says why)"
            raise Refusal(message)
        time.sleep(POLL_SECONDS)


def _differences(before: Release | None, after: Release) -> None:
    """Show what is another now; of a member with many values the first few."""
    found = changes(before, after)
    rows: list[tuple[str, str, str]] = []
    for member, group in itertools.groupby(found, lambda change: change.place.partition(".")[0]):
        values = list(group)
        rows += [(c.place, _short(c.before), _short(c.after)) for c in values[:MOST]]
        if len(values) > MOST:
            rows.append((f"{member}: {len(values) - MOST} more", "", ""))
    old = before.metadata.name if before is not None else "before"
    table("", ("MEMBER", old.upper(), after.metadata.name.upper()), rows)
    if not found:
        click.echo("no member differs")


def _short(value: object) -> str:
    return "-" if value in {None, ""} else str(value)[:WIDTH]


def _advice(deployment: ModelDeployment, before: Release | None, wanted: Release) -> None:
    """Say how to make it last: git is what the next apply goes by."""
    model = {"name": wanted.spec.model, "policy": VersionPolicy.PINNED.value, "version": wanted.spec.version}
    lines = yaml.safe_dump({"spec": {"model": model}}, sort_keys=False, default_flow_style=None).rstrip()
    click.echo("\nThis lasts until the project is applied again. To make it last, put this into git:")
    click.echo("".join(f"    {line}\n" for line in lines.splitlines()), nl=False)
    git = before.spec.members.get("git") if before is not None else None
    commit = str(git.get("commit") or "") if isinstance(git, dict) else ""
    revert = f"git revert {commit.removesuffix('-dirty')}" if commit else "git revert of the commit that led here"
    click.echo(f"or take the change back, for data and training too: {revert}")
    click.echo(f"and `cdl rollback {deployment.metadata.name} --latest` follows the latest approval again")
