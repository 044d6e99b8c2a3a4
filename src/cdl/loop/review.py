"""What an Experiment with `policy: MergeRequest` looks at beyond its own namespace: the forge, and others' Releases."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.meta import APPLIED_BY_ANNOTATION, PROJECT_ANNOTATION, REVISION_ANNOTATION
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, Voided
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected
from cdl.ports.forge import LEVELS
from cdl.reconcile import experiment as pure
from cdl.reconcile.experiment import withdraw
from cdl.reconcile.release import counting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cdl.api.v1alpha1 import Experiment
    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.ports.forge import Approval, Forge, MergeRequest
    from cdl.ports.resources import ResourceStore

    from .controller import Engines
    from .forges import Forges

COMMIT = re.compile(r"[0-9a-f]{40}")
COMMITS = 8
"""Commits of other Releases whose merge request is asked for in one look: the newest ones."""
UNCONFIGURED = "no forge is configured: CDL_FORGE, CDL_FORGE_TOKEN and CDL_FORGE_PROJECTS of the operator name it"
UNASKED = "the forge is not asked beforehand"


def with_others(engines: Engines, resource: Experiment, seen: pure.Seen) -> pure.Seen:
    """Look at what else the decision depends on, as far as it does."""
    data = pure.wants_adoptable(resource, seen)
    if data is not None:
        seen = replace(seen, adoptable=_adoptable(engines, resource, data, seen.at))
    release = withdraw.asks(resource, seen)
    if release is not None:
        seen = replace(seen, review=_review(engines, resource, release))
    return seen


# --- what may be adopted ----------------------------------------------------------------------------------------------


def _adoptable(engines: Engines, resource: Experiment, data: Dataset, at: datetime) -> tuple[pure.AdoptableSeen, ...]:
    """Give the Releases that were made from exactly this and are what they were."""
    wanted = pure.wish(resource, data.version)
    found = [
        release
        for release in everywhere(engines.resources, resource)
        if pure.wish_behind(release.spec.members) == wanted and _is_whole(engines, release, at)
    ]
    shown = _shown(engines.forge, resource, found) if len({_substance(r) for r in found}) > 1 else frozenset()
    return tuple(
        pure.AdoptableSeen(
            release.metadata.namespace,
            release.metadata.name,
            release.spec.digest,
            release.spec.members,
            release.metadata.creation_timestamp,
            shown=release.metadata.revision in shown,
        )
        for release in found
    )


def everywhere(store: ResourceStore, resource: Experiment) -> tuple[Release, ...]:
    """Give every Release of the model that we may see."""
    try:
        found = store.list(Release)
    except NotPermitted:
        found = store.list(Release, resource.metadata.namespace)
    return tuple(r for r in found if r.spec.model == resource.spec.model.name and not r.metadata.deleting)


def _is_whole(engines: Engines, release: Release, at: datetime) -> bool:
    """Tell whether a Release is what it was and nobody called it unfit; its data may be gone, its model may not."""
    stands = counting(release, at)
    if stands.state is ApprovalState.REJECTED or stands.voided is Voided.CHANGED:
        return False
    return engines.training.checkpoint(_uuid(release)) is not None


def _uuid(release: Release) -> str:
    kept = release.spec.members.get("checkpoint")
    return str(kept.get("uuid")) if isinstance(kept, dict) else ""


def _substance(release: Release) -> str:
    return pure.substance(release.spec.members)


def _shown(forges: Forges, resource: Experiment, found: Iterable[Release]) -> frozenset[str]:
    """Give the commits of these Releases that came with the merge request of the resource's own; as far as is known."""
    reached = _reach(forges, resource)
    if isinstance(reached, str):
        return frozenset()
    try:
        request = reached.merge_request_of(resource.metadata.revision)
        return frozenset() if request is None else _commits_of(reached, resource, request, found)
    except (Conflict, Rejected):  # it answered, only not with a merge request
        return frozenset()


# --- what the forge says ----------------------------------------------------------------------------------------------


def _review(engines: Engines, resource: Experiment, release: pure.ReleaseSeen) -> pure.ReviewSeen:
    project, revision = resource.metadata.project, resource.metadata.revision
    forge = _reach(engines.forge, resource)
    if isinstance(forge, str):
        return pure.ReviewSeen(why=forge)
    try:
        request = forge.merge_request_of(revision)
        if request is None:
            return pure.ReviewSeen(why=f"no merge request of {project} holds commit {revision[:12]}", lost=True)
        return _asked(engines, resource, release, forge, request)
    except (Conflict, Rejected) as error:  # it answered, and a person may change what it says
        return pure.ReviewSeen(why=str(error))
    except PortError as error:
        if not release.watched:
            raise
        return pure.ReviewSeen(why=str(error))  # what was approved stays so until the forge says otherwise


def _reach(forges: Forges, resource: Experiment) -> Forge | str:
    """Give the forge of the resource's project, or say why there is none to ask."""
    project, revision = resource.metadata.project, resource.metadata.revision
    if not forges.asked:
        return UNASKED
    who = resource.metadata.annotations.get(APPLIED_BY_ANNOTATION, "")
    if forges.appliers and who not in forges.appliers:
        return (
            f"{who or 'somebody unknown'} applied it, and of its commit only {', '.join(forges.appliers)} is believed"
        )
    if not project:
        return f"no annotation {PROJECT_ANNOTATION} says which project it came from: apply it with --forge-project"
    try:
        forge = forges.of(project)
    except Rejected as error:
        return str(error)
    if forge is None:
        return UNCONFIGURED
    if not COMMIT.fullmatch(revision):
        told = f"is {revision!r}" if revision else "is missing"
        return (
            f"the annotation {REVISION_ANNOTATION} {told}, expected a commit of forty digits: apply what is committed"
        )
    return forge


def _asked(
    engines: Engines, resource: Experiment, release: pure.ReleaseSeen, forge: Forge, request: MergeRequest
) -> pure.ReviewSeen:
    """Ask who agreed; who the authors are, only if anybody did, and what was shown, only if that decides."""
    approvals = forge.approvals(request.number)
    review = pure.ReviewSeen(
        project=resource.metadata.project,
        number=request.number,
        url=request.url,
        sha=request.sha,
        open=request.open,
        merged=bool(request.merged_as),
        agreements=tuple(_agreement(approval) for approval in approvals),
        authors=forge.authors(request.number) if approvals else frozenset(),
        stands_for=engines.forge.roles,
    )
    if not pure.needs_shown(resource.spec.approval.role, release, review):
        return review
    wanted = pure.substance(release.members)
    others = [
        other
        for other in everywhere(engines.resources, resource)
        if other.metadata.namespace != resource.metadata.namespace and _substance(other) == wanted
    ]
    return replace(review, shown=bool(_commits_of(forge, resource, request, others)))


def _commits_of(
    forge: Forge, resource: Experiment, request: MergeRequest, releases: Iterable[Release]
) -> frozenset[str]:
    """Give the commits of these Releases that the merge request brings; what merging made is none of them."""
    ours = (r for r in releases if r.metadata.project == resource.metadata.project)
    newest = sorted(ours, key=lambda r: (r.metadata.creation_timestamp is not None, r.metadata.creation_timestamp))
    commits = dict.fromkeys(r.metadata.revision for r in reversed(newest) if COMMIT.fullmatch(r.metadata.revision))
    merge = request.merged_as if request.merged_as != request.sha else ""
    asked = [commit for commit in commits if commit != merge][:COMMITS]
    return frozenset(commit for commit in asked if _number_of(forge, commit, request) == request.number)


def _number_of(forge: Forge, commit: str, request: MergeRequest) -> int:
    if commit == request.sha:
        return request.number
    found = forge.merge_request_of(commit)
    return found.number if found is not None else 0


def _agreement(approval: Approval) -> pure.AgreementSeen:
    return pure.AgreementSeen(
        who=approval.who,
        sha=approval.sha,
        known_as=approval.known_as,
        rules=approval.roles - set(LEVELS),
        levels=tuple(level for level in LEVELS if level in approval.roles),
    )
