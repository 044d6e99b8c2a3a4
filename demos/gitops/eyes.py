"""What there is to see while the platform works, a line a change: statuses, the note's headline, resources."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.resource import Status

from .platform import PRODUCTION

if TYPE_CHECKING:
    from cdl.api.conditions import Condition

    from .platform import Platform

KINDS = (DataPipeline, Experiment, ModelDeployment)
WHO = 17
LONGEST = 150
FORGE_SECONDS = 0.5
"""How often the forge is asked; what stands here besides is read from a file."""


class Eyes:
    """Tells a merge request's and its resources' news."""

    def __init__(self, platform: Platform) -> None:
        """Count time from now on."""
        self._platform = platform
        self._begun = time.monotonic()
        self._told: set[tuple[str, ...]] = set()
        self._stood: dict[tuple[str, str, str], str] = {}
        self._asked = 0.0
        self._project = ""
        self._of: tuple[str, int, str] | None = None

    def say(self, who: str, what: str) -> None:
        """Tell a line."""
        line = what if len(what) <= LONGEST else f"{what[: LONGEST - 1]}…"
        click.echo(f"[{time.monotonic() - self._begun:6.1f} s] {who:<{WHO}} {line}")

    def heading(self, text: str) -> None:
        """Begin a part of the story."""
        click.echo(f"\n--- {text} {'-' * max(0, 110 - len(text))}")

    def on_production(self, name: str) -> None:
        """Look at a project's production alone from now on."""
        self._project, self._of = name, None

    def on(self, project: str, name: str, number: int, sha: str) -> None:
        """Look at a merge request, too, from now on."""
        self._project, self._of = name, (project, number, sha)

    def look(self) -> None:
        """Tell what is new."""
        self._resources(PRODUCTION, self._project)
        if self._of is None:
            return
        project, number, sha = self._of
        self._resources(f"{self._project}-mr-{number}", self._project)
        if time.monotonic() - self._asked < FORGE_SECONDS:
            return
        asked = self._platform.people["data-scientist"]
        for status, (state, told) in sorted(asked.statuses(project, sha).items()):
            self._once(f"!{number} status", f"{status}: {state}", told)
        for note in asked.notes(project, number, "platform"):
            self._once(f"!{number} note", headline(note))
        self._asked = time.monotonic()

    def _resources(self, namespace: str, name: str) -> None:
        for kind in KINDS:
            found = self._platform.find(kind, namespace, name)
            status = getattr(found, "status", None)
            ready = status.condition(ConditionType.READY) if isinstance(status, Status) else None
            if ready is not None:
                self._stands(namespace, kind.__name__, name, ready)
        for release in self._platform.all(Release, namespace):
            approval = release.status.approval
            if release.metadata.name.startswith(f"{name}-"):
                by = f" by {approval.by}" if approval.by else ""
                self._once(
                    namespace, f"Release {release.metadata.name}: {approval.state}{by}", release.spec.digest[:19]
                )

    def _stands(self, who: str, kind: str, name: str, ready: Condition) -> None:
        """Tell how a resource stands when that is another reason than before, or another release that answers."""
        now = f"{ready.reason} {ready.message}" if kind == ModelDeployment.__name__ else str(ready.reason)
        if self._stood.get((who, kind, name)) != now:
            self._stood[who, kind, name] = now
            self._once(who, f"{kind}: {ready.reason}", ready.message, again=True)

    def _once(self, who: str, what: str, more: str = "", *, again: bool = False) -> None:
        if again or (who, what) not in self._told:
            self._told.add((who, what))
            self.say(who, f"{what}  {more}".rstrip())


def headline(note: str) -> str:
    """Give the first line of a note that people read."""
    lines = (line.strip("#* ") for line in note.splitlines() if line.strip() and not line.startswith("<!--"))
    return next(lines, "")
