"""Merge requests: how they stand, and how the API and a webhook write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.embedded.forge import protections, views
from cdl.embedded.forge.accounts import DEVELOPER, User
from cdl.embedded.forge.errors import missing
from cdl.embedded.forge.store import Tree, now

if TYPE_CHECKING:
    from cdl.embedded.forge.forge import Forge

HIDDEN = {"author_id", "base_sha", "start_sha", "remove_source_branch"}
DRAFTS = ("draft:", "[draft]", "(draft)")


def is_draft(title: str) -> bool:
    """Say whether a title marks what is not to be merged yet."""
    return title.lower().startswith(DRAFTS)


def find(forge: Forge, project: Tree, iid: int) -> Tree:
    """Give a merge request by its number in the project.

    Raises:
        ApiError: there is none.
    """
    found = forge.store.by("merge_request", project["id"], iid)
    if found is None:
        raise missing()
    return found


def notes(forge: Forge, review: Tree) -> list[Tree]:
    """Give the notes of a merge request, oldest first."""
    return forge.store.all("note", review["project_id"], review["iid"])


def approvals(forge: Forge, review: Tree) -> list[Tree]:
    """Give who approved."""
    return forge.store.all("approval", review["project_id"], review["id"])


def required(forge: Forge, review: Tree) -> int:
    """Say how many must approve."""
    project = forge.store.get("project", review["project_id"]) or {}
    return int(project.get("approvals_before_merge") or 0)


def standing(forge: Forge, review: Tree) -> str:
    """Say in GitLab's words what keeps a merge request from being merged."""
    project = forge.store.get("project", review["project_id"]) or {}
    repository = forge.repository(project)
    if review["state"] != "opened":
        return "not_open"
    if is_draft(review["title"]):
        return "draft_status"
    target = repository.resolve(f"refs/heads/{review['target_branch']}")
    if not target or not repository.resolve(f"refs/heads/{review['source_branch']}"):
        return "broken_status"
    if repository.leads_to(review["sha"], target):
        return "commits_status"
    if not repository.merged_tree(target, review["sha"]):
        return "conflict"
    open_threads = any(note["resolvable"] and not note["resolved"] for note in notes(forge, review))
    if project.get("only_allow_merge_if_all_discussions_are_resolved") and open_threads:
        return "discussions_not_resolved"
    if len(approvals(forge, review)) < required(forge, review):
        return "not_approved"
    pipelines = forge.store.all("pipeline", project["id"], review["sha"])
    if project.get("only_allow_merge_if_pipeline_succeeds") and (
        not pipelines or pipelines[-1]["status"] not in {"success", "skipped"}
    ):
        return "ci_must_pass"
    return "mergeable"


def may_merge(forge: Forge, review: Tree, user: User) -> bool:
    """Say whether somebody may merge into the target."""
    project = forge.store.get("project", review["project_id"]) or {}
    level = forge.accounts.access(user, project)
    rule = protections.rule(forge.store, project, review["target_branch"])
    return protections.allows(level, rule["merge_access_level"] if rule else DEVELOPER)


def written(forge: Forge, review: Tree, user: User | None = None, *, full: bool = False) -> Tree:
    """Write a merge request as the API does."""
    project = forge.store.get("project", review["project_id"]) or {}
    found = standing(forge, review)
    people = {"author": review["author_id"], "merged_by": review["merged_by"], "closed_by": review["closed_by"]}
    shown = {key: value for key, value in review.items() if key not in HIDDEN}
    shown |= {key: views.person(forge, forge.user(number)) if number else None for key, number in people.items()}
    shown |= {
        key: [views.person(forge, forge.user(number)) for number in shown.pop(f"{key[:-1]}_ids")]
        for key in ("assignees", "reviewers")
    }
    shown |= {
        "merge_user": shown["merged_by"],
        "assignee": (shown["assignees"] or [None])[0],
        "draft": is_draft(review["title"]),
        "work_in_progress": is_draft(review["title"]),
        "source_project_id": project["id"],
        "target_project_id": project["id"],
        "merge_status": "can_be_merged" if found != "conflict" else "cannot_be_merged",
        "detailed_merge_status": found,
        "has_conflicts": found == "conflict",
        "blocking_discussions_resolved": found != "discussions_not_resolved",
        "user_notes_count": sum(not note["system"] for note in notes(forge, review)),
        "upvotes": 0,
        "downvotes": 0,
        "milestone": None,
        "merge_when_pipeline_succeeds": False,
        "discussion_locked": None,
        "should_remove_source_branch": None,
        "force_remove_source_branch": review["remove_source_branch"],
        "prepared_at": review["created_at"],
        "reference": f"!{review['iid']}",
        "references": {
            "short": f"!{review['iid']}",
            "relative": f"!{review['iid']}",
            "full": f"{project['path_with_namespace']}!{review['iid']}",
        },
        "web_url": address(forge, project, review),
        "time_stats": {"time_estimate": 0, "total_time_spent": 0},
        "task_completion_status": {"count": 0, "completed_count": 0},
    }
    return shown | _more(forge, project, review, user) if full else shown


def _more(forge: Forge, project: Tree, review: Tree, user: User | None) -> Tree:
    repository = forge.repository(project)
    last = forge.store.all("pipeline", project["id"], review["sha"])
    pipeline = views.pipeline_in_full(forge, project, last[-1]) if last else None
    changes = repository.diff(review["base_sha"], review["sha"]) if review["base_sha"] else []
    target = repository.resolve(f"refs/heads/{review['target_branch']}")
    return {
        "diff_refs": {"base_sha": review["base_sha"], "head_sha": review["sha"], "start_sha": review["start_sha"]},
        "changes_count": str(len(changes)),
        "pipeline": last and views.pipeline(forge, project, last[-1]),
        "head_pipeline": pipeline,
        "diverged_commits_count": repository.count(target, stop=review["sha"]) if target else 0,
        "merge_error": None,
        "first_contribution": False,
        "subscribed": False,
        "user": {"can_merge": user is not None and may_merge(forge, review, user)},
    }


def address(forge: Forge, project: Tree, review: Tree) -> str:
    """Give the address of a merge request's page."""
    return f"{views.web_url(forge, project)}/-/merge_requests/{review['iid']}"


def add_note(forge: Forge, review: Tree, user: User, body: str, *, system: bool = False, thread: str = "") -> Tree:
    """Keep a note; one that opens or joins a thread names it."""
    note = {
        "type": "DiscussionNote" if thread else None,
        "body": body,
        "author_id": user.id,
        "created_at": now(),
        "updated_at": now(),
        "system": system,
        "noteable_id": review["id"],
        "noteable_iid": review["iid"],
        "noteable_type": "MergeRequest",
        "project_id": review["project_id"],
        "resolvable": bool(thread),
        "resolved": False,
        "discussion_id": thread,
    }
    return forge.store.add("note", note)


def add_version(forge: Forge, review: Tree) -> Tree:
    """Keep which commits a merge request holds now."""
    return forge.store.add(
        "version",
        {
            "project_id": review["project_id"],
            "merge_request_id": review["id"],
            "head_commit_sha": review["sha"],
            "base_commit_sha": review["base_sha"],
            "start_commit_sha": review["start_sha"],
            "created_at": now(),
            "state": "collected",
            "real_size": "0",
            "patch_id_sha": None,
        },
    )
