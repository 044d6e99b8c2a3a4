"""`cdl verify`: is every member of a Release still there, and still what it was?"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from cdl import compose
from cdl.api.v1alpha1 import Release
from cdl.loop.verify import verify
from cdl.ports.errors import Unavailable, Unreadable
from cdl.reconcile.release import DIRTY, RELEASE, Finding, Silence, State, overall
from cdl.stores.git import GitHistory

from .context import settings_of
from .meant import release_meant, release_names
from .platform import answering
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cdl.compose import Shelf
    from cdl.loop.verify import Witnesses
    from cdl.ports.git import CommitHistory

BROKEN, UNREACHABLE = 1, 3
OFFLINE = "--offline was given"
Judged = tuple[str, tuple[Finding, ...]]


@click.command(
    "verify",
    help="Read every member of the Release NAME again, or of what the ModelDeployment NAME serves, and name what is "
    "missing or has changed. Ends with 0 when all is intact, 1 when something is missing or has changed, 3 when "
    "somebody who had to be asked did not answer.",
)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every Release of the namespace.")
@click.option("--offline", is_flag=True, help="Read stored files alone; ask no engine.")
@click.option("--git", "place", metavar="FOLDER|URL", help="The repository it came from; default: the one we are in.")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(name: str | None, every: bool, offline: bool, place: str | None, namespace: str, output: str) -> None:  # noqa: FBT001 - click's flags
    """Verify Releases."""
    if (name is None) is not every:
        message = "verify: found " + ("a NAME and --all" if every else "no NAME") + ", allowed: a NAME, or --all"
        raise Refusal(message)
    settings = settings_of()
    at, silent = (settings, OFFLINE) if offline else answering(settings)
    with one_sentence(), _progress() as told:
        store = compose.store(settings)
        witnesses = compose.witnesses(at, store, silent, offline=offline)
        names = release_names(store, namespace) if every else (release_meant(store, str(name), namespace),)
        history = GitHistory(place if place is not None else str(Path.cwd()))
        asked = _Asked(store, witnesses, history, named=place is not None, told=told)
        judged = [(one, _judged(asked, namespace, one)) for one in names]
    if output == "json":
        click.echo(json.dumps([_plain(one, findings) for one, findings in judged], indent=2))
    else:
        _show(judged)
    sys.exit(_status([finding for _, findings in judged for finding in findings]))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whom to ask, and who hears what is being read."""

    store: Shelf
    witnesses: Witnesses
    history: GitHistory
    named: bool
    told: Callable[[str], None]


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Say what is being read: in one line on a terminal, else in a line each."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        yield lambda doing: click.echo(doing, err=True)
        return
    with terminal.status("") as line:
        yield lambda doing: line.update(escape(doing))


def _judged(asked: _Asked, namespace: str, name: str) -> tuple[Finding, ...]:
    """Judge one Release; one whose own text was changed cannot even be read."""
    try:
        release = asked.store.get(Release, namespace, name)
    except Unreadable as error:
        return (Finding(RELEASE, "digest", State.CHANGED, "members that have the digest", str(error)),)
    if release is None:
        message = f"release {name}: is gone meanwhile"
        raise Refusal(message)
    witnesses = replace(asked.witnesses, git=_repository(release, asked.history, asked.named))
    return verify(witnesses, release, lambda doing: asked.told(f"{name}: {doing}"))


def _repository(release: Release, history: GitHistory, named: bool) -> CommitHistory | Silence:  # noqa: FBT001 - where it is from
    """Choose the repository that is named, else the one around us if it ever heard of the commit."""
    if named:
        return history
    member = release.spec.members.get("git")
    commit = str(member.get("commit") or "").removesuffix(DIRTY) if isinstance(member, dict) else ""
    try:
        known = history.knows(commit)
    except Unavailable:
        return Silence("no git repository is at hand; --git names the one it came from", asked=False)
    unknown = Silence("the repository around us never heard of it; --git names the one it came from", asked=False)
    return history if known else unknown


def _show(judged: Sequence[Judged]) -> None:
    for name, findings in judged:
        rows = ((f.member, f.path, f.state.value, f.expected) for f in findings)
        table(name, ("MEMBER", "PART", "STATE", "EXPECTED"), rows)
        told = [f.sentence for f in findings if f.state not in {State.INTACT, State.UNASKED}]
        for sentence in told or [f"every member of {name} that was asked for is intact"]:
            click.echo(sentence)
        for finding in findings:
            if finding.state is State.UNASKED:
                click.echo(finding.sentence)
        click.echo()


def _plain(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    told = [
        {
            "member": f.member,
            "path": f.path,
            "state": f.state.value,
            "expected": f.expected,
            "found": f.found,
            "sentence": f.sentence,
        }
        for f in findings
    ]
    return {"release": name, "state": overall(findings).value, "findings": told}


def _status(findings: Sequence[Finding]) -> int:
    state = overall(findings)
    return BROKEN if state.broken else UNREACHABLE if state is State.UNREACHABLE else 0
