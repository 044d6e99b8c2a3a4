"""Repositories, commits and people, as GitLab's API writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdl.embedded.forge.accounts import OWNER, User
from cdl.embedded.forge.git import LARGE, ZERO, Change, Commit, Repository
from cdl.embedded.forge.store import Tree

if TYPE_CHECKING:
    from cdl.embedded.forge.forge import Forge

LEVELS = {"private": 0, "internal": 10, "public": 20}
NAMES = {0: "No one", 30: "Developers + Maintainers", 40: "Maintainers", 60: "Administrators"}


def person(forge: Forge, user: User) -> Tree:
    """Write somebody as others see them."""
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{forge.url}/{user.username}",
    }


def myself(forge: Forge, user: User) -> Tree:
    """Write the caller."""
    shown = {"email": user.email, "commit_email": user.email, "public_email": "", "is_admin": user.admin, "bot": False}
    return person(forge, user) | shown


def web_url(forge: Forge, found: Tree) -> str:
    """Give the address of a project's page."""
    return f"{forge.url}/{found['path_with_namespace']}"


def project(forge: Forge, found: Tree, access: int = 0) -> Tree:
    """Write a project."""
    where, path = web_url(forge, found), found["path_with_namespace"]
    namespace = path.rpartition("/")[0]
    kept = {key: value for key, value in found.items() if key != "ci_variables"}
    return kept | {
        "name_with_namespace": path.replace("/", " / "),
        "web_url": where,
        "http_url_to_repo": f"{where}.git",
        "ssh_url_to_repo": f"git@{forge.url.partition('://')[2]}:{path}.git",
        "readme_url": f"{where}/-/blob/{found['default_branch']}/README.md",
        "avatar_url": None,
        "archived": False,
        "empty_repo": not forge.repository(found).refs(),
        "namespace": {
            "id": found["creator_id"],
            "name": namespace,
            "path": namespace,
            "kind": "group",
            "full_path": namespace,
            "parent_id": None,
            "avatar_url": None,
            "web_url": f"{forge.url}/{namespace}",
        },
        "permissions": {"project_access": {"access_level": access, "notification_level": 3}, "group_access": None},
        "_links": {"self": f"{forge.url}/api/v4/projects/{found['id']}"},
    }


def commit(forge: Forge, found: Tree, seen: Commit) -> Tree:
    """Write a commit in a list."""
    return {
        "id": seen.sha,
        "short_id": seen.sha[:8],
        "created_at": seen.committer[2],
        "parent_ids": list(seen.parents),
        "title": seen.title,
        "message": seen.message,
        "author_name": seen.author[0],
        "author_email": seen.author[1],
        "authored_date": seen.author[2],
        "committer_name": seen.committer[0],
        "committer_email": seen.committer[1],
        "committed_date": seen.committer[2],
        "trailers": {},
        "extended_trailers": {},
        "web_url": f"{web_url(forge, found)}/-/commit/{seen.sha}",
    }


def commit_in_full(forge: Forge, found: Tree, repository: Repository, seen: Commit) -> Tree:
    """Write one commit with what its statuses say."""
    changes = repository.diff(seen.parents[0] if seen.parents else "", seen.sha)
    lines = [line for change in changes for line in change.text.splitlines()]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    pipelines = forge.store.all("pipeline", found["id"], seen.sha)
    last = pipeline(forge, found, pipelines[-1]) if pipelines else None
    return commit(forge, found, seen) | {
        "stats": {"additions": added, "deletions": removed, "total": added + removed},
        "status": last["status"] if last else None,
        "project_id": found["id"],
        "last_pipeline": last,
    }


def diff(change: Change) -> Tree:
    """Write what happened to a file."""
    large = len(change.text) > LARGE
    return {
        "diff": "" if large else change.text,
        "collapsed": large,
        "too_large": large,
        "new_path": change.new_path,
        "old_path": change.old_path,
        "a_mode": change.old_mode.zfill(6),
        "b_mode": change.new_mode.zfill(6),
        "new_file": change.status == "A",
        "renamed_file": change.status == "R",
        "deleted_file": change.status == "D",
        "generated_file": False,
    }


def protection(found: Tree) -> Tree:
    """Write a protected branch."""

    def levels(which: str) -> list[Tree]:
        level = found[which]
        return [{"id": found["id"], "access_level": level, "access_level_description": NAMES.get(level, "")}]

    return {
        "id": found["id"],
        "name": found["name"],
        "push_access_levels": levels("push_access_level"),
        "merge_access_levels": levels("merge_access_level"),
        "unprotect_access_levels": [],
        "allow_force_push": found["allow_force_push"],
        "code_owner_approval_required": False,
        "inherited": False,
    }


def pipeline(forge: Forge, found: Tree, seen: Tree) -> Tree:
    """Write a pipeline in a list."""
    shown = ("id", "iid", "project_id", "sha", "ref", "status", "source", "created_at", "updated_at")
    return {key: seen[key] for key in shown} | {
        "name": None,
        "web_url": f"{web_url(forge, found)}/-/pipelines/{seen['id']}",
    }


def pipeline_in_full(forge: Forge, found: Tree, seen: Tree) -> Tree:
    """Write one pipeline."""
    finished = seen["updated_at"] if seen["status"] in {"success", "failed", "canceled", "skipped"} else None
    return pipeline(forge, found, seen) | {
        "before_sha": seen.get("before_sha") or ZERO,
        "tag": False,
        "yaml_errors": None,
        "user": person(forge, forge.user(seen["user_id"])),
        "started_at": seen["created_at"],
        "finished_at": finished,
        "committed_at": None,
        "duration": None,
        "queued_duration": None,
        "coverage": None,
        "detailed_status": {"text": seen["status"], "label": seen["status"], "group": seen["status"]},
    }


def status(forge: Forge, seen: Tree) -> Tree:
    """Write a commit status."""
    shown = ("id", "sha", "ref", "status", "name", "target_url", "description", "created_at", "started_at")
    rest = ("finished_at", "allow_failure", "coverage", "pipeline_id")
    return {key: seen[key] for key in (*shown, *rest)} | {"author": person(forge, forge.user(seen["user_id"]))}


def member(forge: Forge, user: User, level: int) -> Tree:
    """Write somebody's place in a project."""
    return person(forge, user) | {"access_level": min(level, OWNER), "expires_at": None, "membership_state": "active"}


def note(forge: Forge, seen: Tree) -> Tree:
    """Write a note."""
    shown: dict[str, Any] = {
        key: seen[key]
        for key in ("id", "type", "body", "created_at", "updated_at", "system", "noteable_id", "noteable_type")
    }
    shown |= {key: seen[key] for key in ("noteable_iid", "project_id", "resolvable")}
    shown |= {
        "author": person(forge, forge.user(seen["author_id"])),
        "attachment": None,
        "confidential": False,
        "internal": False,
        "imported": False,
        "imported_from": "none",
        "commands_changes": {},
    }
    if seen["resolvable"]:
        by = seen.get("resolved_by")
        shown |= {
            "resolved": seen["resolved"],
            "resolved_by": person(forge, forge.user(by)) if by else None,
            "resolved_at": seen.get("resolved_at"),
        }
    return shown
