"""What follows when refs move: merge requests grow or are merged, and hooks are told.

Truth is where git says refs are; the store remembers what was told of. Whoever looks again - after a push, after a
call that moved something, after a start - tells the difference, so that a server that died in between loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.embedded.forge import events, reviews
from cdl.embedded.forge.accounts import User
from cdl.embedded.forge.git import ZERO, GitError, Repository
from cdl.embedded.forge.store import Tree, now

if TYPE_CHECKING:
    from cdl.embedded.forge.forge import Forge

HOOKS_LIMIT = 3
"""A push of more branches than this, or more tags, is told to nobody, as in GitLab."""


def settle(forge: Forge, project: Tree, user: User | None = None) -> None:
    """Tell what has moved since the last time."""
    with forge.store.transaction():
        repository = forge.repository(project)
        told = forge.store.refs(project["id"])
        there = repository.refs("refs/heads") | repository.refs("refs/tags")
        moved = {
            name: (told.get(name, ""), there.get(name, ""))
            for name in sorted({*told, *there})
            if told.get(name) != there.get(name)
        }
        who = user or forge.user(forge.store.pusher(project["id"]) or project["creator_id"])
        for name, (_, new) in moved.items():
            forge.store.told(project["id"], name, new)
        for flag, event, below in (
            ("push_events", "Push Hook", "refs/heads/"),
            ("tag_push_events", "Tag Push Hook", "refs/tags/"),
        ):
            mine = {name: shas for name, shas in moved.items() if name.startswith(below)}
            for name, shas in mine.items() if len(mine) <= HOOKS_LIMIT else ():
                body = events.push(forge, project, who, name, shas)
                forge.outbox.tell(project["id"], flag, event, body)
        _follow(forge, project, repository, {name for name in moved if name.startswith("refs/heads/")}, who)
        forge.store.end_push(project["id"])


def _follow(forge: Forge, project: Tree, repository: Repository, moved: set[str], user: User) -> None:
    """Bring the open merge requests of branches that moved up to date."""
    for review in forge.store.all("merge_request", project["id"]) if moved else ():
        if review["state"] != "opened":
            continue
        target = repository.resolve(f"refs/heads/{review['target_branch']}")
        if f"refs/heads/{review['source_branch']}" in moved:
            _grow(forge, repository, review, target, user)
        if (
            f"refs/heads/{review['target_branch']}" in moved
            and target
            and review["sha"] != review["base_sha"]
            and repository.leads_to(review["sha"], target)
        ):
            merged(forge, review, user, target)


def _grow(forge: Forge, repository: Repository, review: Tree, target: str, user: User) -> None:
    """Take in what was pushed to the source branch; a branch that is gone leaves its merge request as it was."""
    head = repository.resolve(f"refs/heads/{review['source_branch']}")
    if not head or head == review["sha"]:
        return
    oldrev, review["sha"] = review["sha"], head
    point_at(repository, review, target)
    review["updated_at"] = now()
    forge.store.put("merge_request", review)
    reviews.add_version(forge, review)
    count = repository.count(head, stop=oldrev)
    said = f"added {count} commit{'s' * (count != 1)}" if repository.leads_to(oldrev, head) else "force pushed"
    reviews.add_note(forge, review, user, said, system=True)
    project = forge.store.get("project", review["project_id"]) or {}
    if project.get("reset_approvals_on_push"):
        for approval in reviews.approvals(forge, review):
            forge.store.remove("approval", approval["id"])
    tell(forge, review, user, "update", oldrev=oldrev)


def point_at(repository: Repository, review: Tree, target: str) -> None:
    """Work out what a merge request is compared with, and keep its commits from being swept away."""
    review["base_sha"] = repository.base(target, review["sha"]) if target else review.get("base_sha", "")
    review["start_sha"] = target or review.get("start_sha", "")
    repository.run("update-ref", f"refs/merge-requests/{review['iid']}/head", review["sha"])


def merged(forge: Forge, review: Tree, user: User, commit: str, squash: str = "") -> None:
    """Say that a merge request is merged."""
    review |= {"state": "merged", "merged_by": user.id, "merged_at": now(), "updated_at": now()}
    review |= {"merge_commit_sha": commit if commit != review["sha"] else None, "squash_commit_sha": squash or None}
    forge.store.put("merge_request", review)
    reviews.add_note(forge, review, user, "merged", system=True)
    tell(forge, review, user, "merge")


def tell(forge: Forge, review: Tree, user: User, action: str, changes: Tree | None = None, oldrev: str = "") -> None:
    """Tell hooks what happened to a merge request."""
    body = events.merge_request(forge, review, user, action, changes, oldrev)
    forge.outbox.tell(review["project_id"], "merge_requests_events", "Merge Request Hook", body)


def move(forge: Forge, project: Tree, ref: str, moved: tuple[str, str], user: User) -> bool:
    """Point a ref from old to new on somebody's behalf and tell of it; False: somebody was faster."""
    old, new = moved
    try:
        forge.repository(project).move(ref, new or ZERO, old or ZERO)
    except GitError:
        return False
    settle(forge, project, user)
    return True
