"""Look at what a commit led to, as a value that can be told: resources, Releases beside production's, the plan."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from cdl.api.meta import MANAGED_BY_LABEL
from cdl.api.v1alpha1 import KINDS, Experiment, ModelDeployment, Release, parse
from cdl.ports.errors import PortError, Unreadable
from cdl.reconcile.gitops import ORDER, State
from cdl.reconcile.release.diff import ReleaseFacts
from cdl.reconcile.review import Candidate, Part, View, is_released, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cdl.api.v1alpha1 import Resource
    from cdl.reconcile.plan import Plan

    from .scene import Target

R = TypeVar("R", bound="Resource")
AGAIN = 30.0
"""Seconds until a plan that failed is asked for again."""
SHORTEST = 6
"""Characters of a secret; what is shorter is in half of all words."""
CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"\\]+@")
HIDDEN = "[hidden]"
STALE = frozenset(State) - {State.APPLIED, State.REFUSED}
"""States after which what was applied before still holds."""


class Shelf(Protocol):
    """What is asked of a store of resources."""

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give the resource; None when there is none."""

    def list(self, kind: type[R], namespace: str | None = None) -> tuple[R, ...]:
        """Give every resource of a kind."""

    def documents(self, kind: str | None = None, namespace: str | None = None) -> tuple[dict[str, Any], ...]:
        """Give resources as plain documents."""


class Viewer:
    """Looks; what costs much is looked at once."""

    def __init__(
        self,
        shelf: Shelf,
        facts: Callable[[Release], ReleaseFacts],
        plan: Callable[[Sequence[Resource]], Plan],
        secrets: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where resources are, what reads the kept documents of a Release, and what plans."""
        self._shelf = shelf
        self._facts = facts
        self._plan = plan
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= SHORTEST), key=len, reverse=True))
        self._clock = clock
        self._read: dict[str, ReleaseFacts] = {}
        self._planned: dict[str, tuple[tuple[str, ...], Plan | str, float]] = {}
        self._applied: dict[str, tuple[str, str]] = {}

    def hidden(self, text: str) -> str:
        """Give a text without what nobody may read."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return CREDENTIALS.sub(f"{HIDDEN}@", text)

    def view(self, target: Target) -> View:
        """Look at the resources of a target.

        Raises:
            PortError: they cannot be read.
        """
        state, sentence = target.state, target.sentence
        held = self._applied.get(target.project)
        if state is State.APPLIED:
            self._applied[target.project] = target.sha, sentence
        elif held is not None and held[0] == target.sha and state in STALE:
            state, sentence = State.APPLIED, held[1]
        found = self._parts(target) if state is State.APPLIED else ()
        spaces = {part.key.namespace for part in found}
        namespace = target.namespace or (spaces.pop() if len(spaces) == 1 else target.project)
        return View(target.sha, namespace, state, self.hidden(sentence), found)

    def kept(self, namespace: str, sha: str) -> Release | None:
        """Give the approved Release that a commit led to: it stays when everything else of a preview is taken away.

        Raises:
            PortError: they cannot be read.
        """
        found = (r for r in self._shelf.list(Release, namespace) if r.metadata.revision == sha and r.approved)
        return next(found, None)

    def beside(self, view: View, target: Target, main: Target, *, at_hand: bool = False) -> View:
        """Add the Releases that it led to, and what answers for their models in production.

        With `at_hand` nothing is read that takes a while: documents, code and files that nobody has read yet.

        Raises:
            PortError: they cannot be read.
        """
        read = self._at_hand if at_hand else self._known
        experiments = [p for p in view.parts if isinstance(p.resource, Experiment) and p.current]
        if not any(_has_figures(part.resource) for part in experiments):
            return view
        home = _home(target, main)
        releases = self._shelf.list(Release, home)
        deployments = self._shelf.list(ModelDeployment, home)
        production: dict[str, ReleaseFacts] = {}
        candidates: list[Candidate] = []
        for part in experiments:
            model = part.resource.spec.model.name if isinstance(part.resource, Experiment) else ""
            answers = _answers(model, deployments, releases)
            if answers is not None:
                production[model] = read(answers)
            mine = self._released(part)
            if mine is not None:
                candidates.append(Candidate(part.key, read(mine), production.get(model)))
        return replace(view, candidates=tuple(candidates), production=production)

    def waits(self, view: View, target: Target, main: Target) -> bool:
        """Say whether the whole of it takes a while: something is to be read or planned that never was."""
        named = [f for c in view.candidates for f in (c.release, c.production) if f is not None]
        unread = any(_named(f.release) not in self._read for f in (*named, *view.production.values()))
        known = self._planned.get(target.project)
        unplanned = bool(target.merged) and (known is None or known[0] != _planned_for(view, target, main))
        return view.looked and (unread or unplanned)

    def planned(self, view: View, target: Target, main: Target) -> View:
        """Add what merging leads to: asked once for a head, what it led to, and what production follows."""
        if not view.looked or not target.merged:
            return view
        key = _planned_for(view, target, main)
        known = self._planned.get(target.project)
        failed = known is not None and isinstance(known[1], str) and self._clock() >= known[2]
        if known is None or known[0] != key or failed:
            known = self._planned[target.project] = (key, self._asked(target), self._clock() + AGAIN)
        return replace(view, plan=known[1])

    def forget(self, projects: Iterable[str]) -> None:
        """Forget everything but these."""
        kept = set(projects)
        self._planned = {project: found for project, found in self._planned.items() if project in kept}
        self._applied = {project: found for project, found in self._applied.items() if project in kept}

    def _asked(self, target: Target) -> Plan | str:
        try:
            plan = self._plan([parse(document, KINDS) for document in target.merged])
        except (PortError, ValidationError, ValueError) as error:
            return self.hidden(str(error))
        return type(plan).model_validate_json(self.hidden(plan.model_dump_json(by_alias=True)))

    def _parts(self, target: Target) -> tuple[Part, ...]:
        mine: list[Mapping[str, Any]] = []
        for kind in ORDER:
            for document in self._shelf.documents(kind, target.namespace or None):
                labels = document["metadata"].get("labels") or {}
                if labels.get(MANAGED_BY_LABEL) == target.project:
                    mine.append(json.loads(self.hidden(json.dumps(document, default=str))))
        return parts(mine, target.inventory)

    def _released(self, part: Part) -> Release | None:
        experiment = part.resource
        if not isinstance(experiment, Experiment) or not is_released(experiment):
            return None
        try:
            return self._shelf.get(Release, part.key.namespace, experiment.status.release)
        except Unreadable:
            return None

    def _without_secrets(self, facts: ReleaseFacts) -> ReleaseFacts:
        kept = (self.hidden(json.dumps(part)) for part in (facts.config, facts.lock, facts.report))
        config, lock, report = map(json.loads, kept)
        why = {name: self.hidden(words) for name, words in facts.why.items()}
        return replace(facts, config=config, lock=lock, report=report, why=why)

    def _known(self, release: Release) -> ReleaseFacts:
        """Read what a Release names once; what was decided about it is as it is now."""
        digest = _named(release)
        if digest not in self._read:
            if len(self._read) >= 100:  # more than anybody compares at once
                self._read.clear()
            self._read[digest] = self._without_secrets(self._facts(release))
        return self._at_hand(release)

    def _at_hand(self, release: Release) -> ReleaseFacts:
        """Give what was read of a Release; nothing where nobody has."""
        known = self._read.get(_named(release))
        return replace(known, release=release) if known is not None else ReleaseFacts(release)


def _named(release: Release) -> str:
    return f"{release.metadata.namespace}/{release.spec.digest}"


def _planned_for(view: View, target: Target, main: Target) -> tuple[str, ...]:
    digests = (candidate.release.release.spec.digest for candidate in view.candidates)
    return (target.sha, main.sha, *digests)


def _has_figures(resource: Resource | None) -> bool:
    """It was measured, or took over a Release that was."""
    return isinstance(resource, Experiment) and (resource.status.evaluation is not None or is_released(resource))


def _home(target: Target, main: Target) -> str | None:
    """Say where production is; None: all over the place."""
    meta = [document["metadata"] for document in target.merged]
    spaces = {str(m["namespace"]) for m in meta if isinstance(m, dict) and m.get("namespace")}
    return spaces.pop() if len(spaces) == 1 else main.namespace or "default"


def _answers(model: str, deployments: Iterable[ModelDeployment], releases: Sequence[Release]) -> Release | None:
    """Give the Release that answers for a model; where nothing does, the one that was approved last."""
    mine = {r.metadata.name: r for r in releases if r.spec.model == model}
    serving = sorted(
        (d.metadata.name, d.status.release)
        for d in deployments
        if d.spec.model.name == model and d.status.release in mine
    )
    if serving:
        return mine[serving[0][1]]
    approved = [r for r in mine.values() if r.approved]
    return max(approved, key=lambda r: (str(r.status.approval.at or ""), r.spec.version), default=None)
