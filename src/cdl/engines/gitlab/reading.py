"""What GitLab shows, in our words. Pure: it is given what was read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cdl.ports.forge import LEVELS, Approval, CommitState, CommitStatus, MergeRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

APPROVED = "approved this merge request"
NO_REPLY = re.compile(r"(?:\d+-)?([^@+]+)@users\.noreply\.")
"""The address GitLab gives who hides their own; the user name is in it."""
ACCESS = dict(zip((10, 20, 30, 40, 50), LEVELS, strict=True))
"""GitLab's numbers; those between them, as a planner's, may what the next lower one may."""
UNDECIDED = {"unchecked", "checking", "preparing", "approvals_syncing"}
"""What GitLab says of a merge request that it has not looked at to the end."""
STATES = {
    "created": CommitState.PENDING,
    "waiting_for_resource": CommitState.PENDING,
    "preparing": CommitState.PENDING,
    "manual": CommitState.PENDING,
    "scheduled": CommitState.PENDING,
    "canceling": CommitState.RUNNING,
    "skipped": CommitState.CANCELED,
} | {state.value: state for state in CommitState}


def status(found: Mapping[str, Any]) -> CommitStatus:
    """Read a commit status."""
    state = STATES.get(str(found["status"]), CommitState.PENDING)
    return CommitStatus(found["name"], state, found.get("description") or "", found.get("target_url") or "")


def merge_request(found: Mapping[str, Any]) -> MergeRequest:
    """Read a merge request."""
    merged = found["state"] == "merged"
    # A fast-forward makes no commit of its own: the target got the head, or what was squashed of it.
    commit = found.get("merge_commit_sha") or found.get("squash_commit_sha") or found["sha"]
    return MergeRequest(
        number=int(found["iid"]),
        title=found["title"],
        url=found["web_url"],
        source=found["source_branch"],
        target=found["target_branch"],
        sha=found["sha"] or "",
        open=found["state"] in {"opened", "locked"},
        merged_as=commit if merged else "",
        fork=found.get("source_project_id") is None or found["source_project_id"] != found.get("target_project_id"),
    )


def made(found: Mapping[str, Any], sha: str) -> bool:
    """Say whether a commit is what merging or squashing this made."""
    commits = {found.get("merge_commit_sha"), found.get("squash_commit_sha")}
    return sha in commits or (found["state"] == "merged" and merge_request(found).merged_as == sha)


def levels(access: int) -> frozenset[str]:
    """Name every access level up to a person's own."""
    return frozenset(name for number, name in ACCESS.items() if number <= access)


def rules(state: Mapping[str, Any], user: int) -> frozenset[str]:
    """Name the project's approval rules that count a person's approval.

    Where a merge request has rules of its own, its author may have written them: only those that are still as the
    project has them say anything.
    """
    own = bool(state.get("approval_rules_overwritten"))
    return frozenset(
        rule["name"]
        for rule in state.get("rules") or ()
        if rule.get("rule_type") == "regular"
        and any(person["id"] == user for person in rule.get("approved_by") or ())
        and (not own or (rule.get("source_rule") and not rule.get("overridden")))
    )


def approval(
    entry: Mapping[str, Any],
    person: tuple[frozenset[str], frozenset[str]],
    versions: Iterable[Mapping[str, Any]],
    notes: Iterable[Mapping[str, Any]],
) -> Approval | None:
    """Say to which commit somebody agreed: GitLab keeps when, and since when each version was the head.

    `person` is what they are known as, and their roles.
    What was agreed to in the very moment of a push is taken as agreement to what was there before. None: nothing was.
    """
    user = entry["user"]
    at = entry.get("approved_at") or _told(user["id"], notes)
    before = [version for version in versions if at and _moment(version["created_at"]) < _moment(at)]
    if not before:
        return None
    seen = max(before, key=lambda version: (_moment(version["created_at"]), version["id"]))
    return Approval(user["username"], seen["head_commit_sha"], *person)


def _told(user: int, notes: Iterable[Mapping[str, Any]]) -> str:
    """Give when somebody last agreed, for a GitLab that says it in a note alone; notes come oldest first."""
    said = [n["created_at"] for n in notes if n["system"] and n["author"]["id"] == user and n["body"] == APPROVED]
    return said[-1] if said else ""


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def names(person: Mapping[str, Any]) -> frozenset[str]:
    """Give all that somebody is known as."""
    keys = ("username", "name", "email", "public_email", "commit_email")
    return frozenset(str(person[key]).lower() for key in keys if person.get(key))


def written_by(commit: Mapping[str, Any]) -> frozenset[str]:
    """Give who wrote a commit and who made it, by name and mail, and by the user name that a hidden mail tells."""
    keys = ("author_name", "author_email", "committer_name", "committer_email")
    found = {str(commit[key]).lower() for key in keys if commit.get(key)}
    return frozenset(found | {match[1] for word in found if (match := NO_REPLY.match(word))})
