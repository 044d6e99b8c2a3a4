"""What a webhook's body says, as GitLab writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.embedded.forge import protections, reviews, views
from cdl.embedded.forge.accounts import User
from cdl.embedded.forge.git import ZERO, Commit
from cdl.embedded.forge.store import Tree

if TYPE_CHECKING:
    from cdl.embedded.forge.forge import Forge

SHOWN = 20
"""Commits that a push tells of; the count says how many there were."""


def person(user: User) -> Tree:
    """Write who did it."""
    return {"id": user.id, "name": user.name, "username": user.username, "avatar_url": None, "email": user.email}


def project(forge: Forge, found: Tree) -> Tree:
    """Write where it happened."""
    where = views.web_url(forge, found)
    ssh = f"git@{forge.url.partition('://')[2]}:{found['path_with_namespace']}.git"
    return {
        "id": found["id"],
        "name": found["name"],
        "description": found["description"],
        "web_url": where,
        "avatar_url": None,
        "git_ssh_url": ssh,
        "git_http_url": f"{where}.git",
        "namespace": found["path_with_namespace"].rpartition("/")[0],
        "visibility_level": views.LEVELS[found["visibility"]],
        "path_with_namespace": found["path_with_namespace"],
        "default_branch": found["default_branch"],
        "ci_config_path": None,
        "homepage": where,
        "url": f"{where}.git",
        "ssh_url": ssh,
        "http_url": f"{where}.git",
    }


def repository(forge: Forge, found: Tree) -> Tree:
    """Write the same in short."""
    where = views.web_url(forge, found)
    return {
        "name": found["name"],
        "url": f"{where}.git",
        "description": found["description"],
        "homepage": where,
        "git_http_url": f"{where}.git",
        "git_ssh_url": f"git@{forge.url.partition('://')[2]}:{found['path_with_namespace']}.git",
        "visibility_level": views.LEVELS[found["visibility"]],
    }


def commit(forge: Forge, found: Tree, seen: Commit) -> Tree:
    """Write a commit."""
    return {
        "id": seen.sha,
        "message": seen.message,
        "title": seen.title,
        "timestamp": seen.author[2],
        "url": f"{views.web_url(forge, found)}/-/commit/{seen.sha}",
        "author": {"name": seen.author[0], "email": seen.author[1]},
    }


def push(forge: Forge, found: Tree, user: User, ref: str, moved: tuple[str, str]) -> Tree:
    """Write that a branch or tag moved."""
    old, new = (sha or ZERO for sha in moved)
    git = forge.repository(found)
    is_tag = ref.startswith("refs/tags/")
    commits: list[Commit] = []
    total = 0
    if new != ZERO and not is_tag:
        stop = old if old != ZERO else git.resolve(f"refs/heads/{found['default_branch']}")
        stop = "" if stop == new or not stop else stop
        if old != ZERO or stop:
            commits, total = git.log(new, stop=stop, limit=SHOWN), git.count(new, stop=stop)
        elif ref == f"refs/heads/{found['default_branch']}":
            commits, total = git.log(new, limit=SHOWN), git.count(new)
    branch = ref.removeprefix("refs/heads/")
    kind = "tag_push" if is_tag else "push"
    return {
        "object_kind": kind,
        "event_name": kind,
        "before": old,
        "after": new,
        "ref": ref,
        "ref_protected": not is_tag and protections.rule(forge.store, found, branch) is not None,
        "checkout_sha": None if new == ZERO else new,
        "message": None,
        "user_id": user.id,
        "user_name": user.name,
        "user_username": user.username,
        "user_email": user.email,
        "user_avatar": None,
        "project_id": found["id"],
        "project": project(forge, found),
        "commits": [_with_files(forge, found, seen) for seen in reversed(commits)],
        "total_commits_count": total,
        "push_options": {},
        "repository": repository(forge, found),
    }


def _with_files(forge: Forge, found: Tree, seen: Commit) -> Tree:
    added, modified, removed = forge.repository(found).touched(seen.sha)
    return commit(forge, found, seen) | {"added": added, "modified": modified, "removed": removed}


def _review(forge: Forge, found: Tree, review: Tree) -> Tree:
    shown = reviews.written(forge, review)
    keys = ("id", "iid", "target_branch", "source_branch", "source_project_id", "target_project_id", "title")
    rest = ("created_at", "updated_at", "state", "draft", "work_in_progress", "merge_status", "detailed_merge_status")
    last = forge.repository(found).commit(review["sha"])
    return {key: shown[key] for key in (*keys, *rest, "description", "merge_commit_sha")} | {
        "author_id": review["author_id"],
        "assignee_id": (review["assignee_ids"] or [None])[0],
        "assignee_ids": review["assignee_ids"],
        "reviewer_ids": review["reviewer_ids"],
        "milestone_id": None,
        "state_id": {"opened": 1, "closed": 2, "merged": 3}[review["state"]],
        "blocking_discussions_resolved": shown["blocking_discussions_resolved"],
        "url": shown["web_url"],
        "source": project(forge, found),
        "target": project(forge, found),
        "last_commit": commit(forge, found, last),
        "labels": _labels(review),
    }


def _labels(review: Tree) -> list[Tree]:
    return [{"title": label, "type": "ProjectLabel", "project_id": review["project_id"]} for label in review["labels"]]


def merge_request(
    forge: Forge, review: Tree, user: User, action: str, changes: Tree | None = None, oldrev: str = ""
) -> Tree:
    """Write what happened to a merge request."""
    found = forge.store.get("project", review["project_id"]) or {}
    shown = _review(forge, found, review) | {"action": action} | ({"oldrev": oldrev} if oldrev else {})
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": person(user),
        "project": project(forge, found),
        "repository": repository(forge, found),
        "object_attributes": shown,
        "labels": _labels(review),
        "changes": changes or {},
        "assignees": [person(forge.user(number)) for number in review["assignee_ids"]],
        "reviewers": [person(forge.user(number)) for number in review["reviewer_ids"]],
    }


def note(forge: Forge, review: Tree, seen: Tree, user: User, action: str) -> Tree:
    """Write that somebody said something."""
    found = forge.store.get("project", review["project_id"]) or {}
    keys = ("id", "noteable_type", "author_id", "created_at", "updated_at", "project_id", "noteable_id", "system")
    return {
        "object_kind": "note",
        "event_type": "note",
        "user": person(user),
        "project_id": found["id"],
        "project": project(forge, found),
        "repository": repository(forge, found),
        "object_attributes": {key: seen[key] for key in keys}
        | {
            "note": seen["body"],
            "description": seen["body"],
            "discussion_id": seen["discussion_id"] or f"{seen['id']:040x}",
            "type": seen["type"],
            "attachment": None,
            "line_code": None,
            "commit_id": "",
            "st_diff": None,
            "action": action,
            "url": f"{reviews.address(forge, found, review)}#note_{seen['id']}",
        },
        "merge_request": _review(forge, found, review),
    }


def pipeline(forge: Forge, seen: Tree) -> Tree:
    """Write how a pipeline stands."""
    found = forge.store.get("project", seen["project_id"]) or {}
    jobs = forge.store.all("job", found["id"], seen["id"])
    open_ones = [r for r in forge.store.all("merge_request", found["id"]) if r["sha"] == seen["sha"]]
    shown = views.pipeline_in_full(forge, found, seen)
    keys = ("id", "iid", "name", "ref", "tag", "sha", "before_sha", "source", "status", "created_at", "finished_at")
    review = _review(forge, found, open_ones[-1]) if open_ones else None
    user = forge.user(seen["user_id"])
    return {
        "object_kind": "pipeline",
        "object_attributes": {key: shown[key] for key in keys}
        | {
            "detailed_status": seen["status"],
            "stages": list(dict.fromkeys(job["stage"] for job in jobs)),
            "duration": None,
            "queued_duration": None,
            "variables": seen.get("variables", []),
            "url": shown["web_url"],
        },
        "merge_request": review,
        "user": person(user),
        "project": project(forge, found),
        "commit": commit(forge, found, forge.repository(found).commit(seen["sha"])),
        "builds": [
            {key: job[key] for key in ("id", "stage", "name", "status", "created_at", "started_at", "finished_at")}
            | {"duration": None, "failure_reason": job.get("failure_reason"), "when": "on_success", "manual": False}
            | {"allow_failure": False, "user": person(user), "runner": None, "environment": None}
            for job in jobs
        ],
    }
