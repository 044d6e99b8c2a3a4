"""A project on a GitLab, in the words of cdl.

Reading is tried a few times; writing once, for a reply that was lost does not say that nothing happened: whoever calls
again finds what is there. Statuses are told by name and commit, notes by a marker that Markdown hides.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gitlab

from cdl.ports.errors import Conflict, Rejected, Unavailable
from cdl.ports.forge import CommitState, CommitStatus, MergeRequest

from . import reading
from .door import allowed, door, there

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

    from cdl.ports.forge import Approval

SECONDS = 20
READ: dict[str, Any] = {"retry_transient_errors": True, "max_retries": 3, "obey_rate_limit": False}
ALL: dict[str, Any] = READ | {"get_all": True, "per_page": 100}
WRITE: dict[str, Any] = {"retry_transient_errors": False, "obey_rate_limit": False}
LONGEST = 255
"""Characters GitLab keeps of a status' description, and of its address."""
SHA = re.compile(r"[0-9a-f]{40}")
REFUSED_TRANSITION = "Cannot transition status"


class GitLabForge:
    """A Forge."""

    def __init__(self, url: str, token: str, project: str, *, seconds: int = SECONDS) -> None:
        """Remember whom to ask; nobody is asked yet. The token needs the scope api, and may merge."""
        self._gitlab = gitlab.Gitlab(url, private_token=token, timeout=seconds, keep_base_url=True)
        self._name = project
        self._us = 0

    @property
    def _project(self) -> Project:
        return self._gitlab.projects.get(self._name, lazy=True)

    def _review(self, number: int) -> ProjectMergeRequest:
        return self._project.mergerequests.get(number, lazy=True)

    # --- CommitStatuses ---

    def statuses(self, sha: str) -> tuple[CommitStatus, ...]:
        """Give what a commit says now, one a name."""
        with door(f"statuses of {sha[:12]}"):
            return tuple(reading.status(found) for found in self._told(sha).values())

    def _told(self, sha: str) -> dict[str, dict[str, Any]]:
        """Give the newest status of each name; GitLab gives one a name and ref."""
        listed = self._project.commits.get(sha, lazy=True).statuses.list(**ALL)
        found = [status.attributes for status in listed]
        known = {s["name"]: s for s in sorted(found, key=lambda s: s["id"])}
        if not found:
            # A list of statuses is empty for a commit that is not there, in some versions.
            self._project.commits.get(sha, **READ)
        return known

    def set_status(self, sha: str, name: str, state: CommitState, description: str = "", url: str = "") -> None:
        """Let a commit say how something stands."""
        wanted = CommitStatus(name, state, description[:LONGEST], url if len(url) <= LONGEST else "")
        with door(f"status {name} of {sha[:12]}"):
            known = self._told(sha).get(name)
            if known is not None and _says(reading.status(known), wanted):
                return
            try:
                self._tell(sha, wanted, known)
            except gitlab.GitlabCreateError as error:
                if REFUSED_TRANSITION not in str(error.error_message):
                    raise
                # Somebody told it between our look and our word; the same word is a success.
                known = self._told(sha).get(name)
                if known is None or not _says(reading.status(known), wanted):
                    raise

    def _tell(self, sha: str, wanted: CommitStatus, known: dict[str, Any] | None) -> None:
        fields: dict[str, Any] = {"state": wanted.state.value, "name": wanted.name, "description": wanted.description}
        if wanted.url:
            fields["target_url"] = wanted.url
        if known is not None:
            # Said anew of another ref or pipeline, it would stand beside what was said before.
            fields |= {key: known[key] for key in ("ref", "pipeline_id") if known.get(key)}
        self._project.commits.get(sha, lazy=True).statuses.create(fields, **WRITE)

    # --- MergeRequests ---

    def merge_request_of(self, name: str) -> MergeRequest | None:
        """Give the merge request of a commit or a branch."""
        with door(f"merge request of {name}"):
            if SHA.fullmatch(name):
                found = self._holding(name)
            else:
                kept = self._project.mergerequests.list(source_branch=name, state="all", **ALL)
                found = [one.attributes for one in kept]
        seen = [(reading.made(one, name), reading.merge_request(one)) for one in found]
        first = max(seen, key=lambda one: (one[0], one[1].open, one[1].number), default=None)
        return first[1] if first else None

    def _holding(self, sha: str) -> list[dict[str, Any]]:
        """Give the merge requests that hold a commit, as GitLab shows them.

        GitLab has known no merge commits here, and leaves out a second merge request of a commit: then those that
        changed last are looked through, which a commit that was merged just now is among.
        """
        commit = self._project.commits.get(sha, lazy=True)
        found = there(lambda: [dict(one) for one in commit.merge_requests(**ALL)])
        if found is None or found:
            return found or []
        newest: dict[str, Any] = {"order_by": "updated_at", "per_page": 100, "get_all": False}
        kept = self._project.mergerequests.list(state="all", **newest, **READ)
        listed = [one.attributes for one in kept]
        return [one for one in listed if one["sha"] == sha or reading.made(one, sha)]

    def open_merge_requests(self, target: str) -> tuple[MergeRequest, ...]:
        """Give what is to be merged into a branch now."""
        with door(f"merge requests into {target}"):
            kept = self._project.mergerequests.list(state="opened", target_branch=target, **ALL)
            found = [reading.merge_request(one.attributes) for one in kept]
        return tuple(sorted(found, key=lambda one: one.number))

    def approvals(self, number: int) -> tuple[Approval, ...]:
        """Give who agreed, each to the commit that was the head when they did."""
        with door(f"approvals of !{number}"):
            review = self._review(number)
            given = review.approvals.get(**READ).attributes["approved_by"]
            if not given:
                return ()
            versions = [version.attributes for version in review.diffs.list(**ALL)]
            notes = [note.attributes for note in review.notes.list(order_by="created_at", sort="asc", **ALL)]
            state = allowed(lambda: review.approval_state.get(**READ).attributes) or {}
            people = {entry["user"]["id"]: self._approver(entry["user"], state) for entry in given}
        return tuple(
            approval
            for entry in given
            if (approval := reading.approval(entry, people[entry["user"]["id"]], versions, notes)) is not None
        )

    def _approver(self, shown: dict[str, Any], state: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
        """Give what somebody is known as, and the roles in which they agree."""
        user = int(shown["id"])
        member = allowed(lambda: self._project.members_all.get(user, **READ).attributes) or {}
        levels = reading.levels(int(member.get("access_level") or 0))
        return self._person(shown), levels | reading.rules(state, user)

    def _person(self, shown: dict[str, Any]) -> frozenset[str]:
        """Give what somebody is known as; more than the list shows, where GitLab lets us ask."""
        more = there(lambda: self._gitlab.users.get(shown["id"], **READ).attributes) or {}
        return reading.names(shown | more)

    def authors(self, number: int) -> frozenset[str]:
        """Give who opened it and who wrote or made its commits."""
        with door(f"authors of !{number}"):
            review = self._project.mergerequests.get(number, **READ)
            commits = [commit.attributes for commit in review.commits(**ALL)]
            author = self._person(review.attributes["author"])
        return author | frozenset().union(*(reading.written_by(commit) for commit in commits))

    def note(self, number: int, key: str, body: str) -> str:
        """Have there be exactly one note of ours with this key, saying this."""
        marker = f"<!-- cdl:note {quote(key, safe='/').replace('--', '-%2D')} -->"
        with door(f"note {key} of !{number}"):
            review, wanted = self._review(number), f"{marker}\n{body}"
            mine = self._our_notes(review, marker)
            if not mine:
                made = review.notes.create({"body": wanted}, **WRITE)
                # Another of us may have done the same in this moment; both keep the first.
                mine = self._our_notes(review, marker) or [made]
            first, *doubled = mine
            for note in doubled:
                there(partial(review.notes.delete, note.id, **WRITE))
            if first.body != wanted:
                review.notes.update(first.id, {"body": wanted}, **WRITE)
            address = self._project.mergerequests.get(number, **READ).web_url
        return f"{address}#note_{first.id}"

    def attach(self, name: str, content: bytes) -> str:
        """Keep a file beside the project; give the Markdown that shows it."""
        with door(f"upload of {name}"):
            # python-gitlab writes a path twice over into this address, but not a number.
            kept = self._gitlab.projects.get(self._name, **READ).upload(name, filedata=content, **WRITE)
        return str(kept["markdown"])

    def _our_notes(self, review: ProjectMergeRequest, marker: str) -> list[Any]:
        """Give our notes with a marker, oldest first; anybody may write a marker, but not as us."""
        us = self._ourselves()
        listed = review.notes.list(order_by="created_at", sort="asc", **ALL)
        found = [n for n in listed if n.author["id"] == us and not n.system and n.body.startswith(marker)]
        return sorted(found, key=lambda note: int(note.id))

    def _ourselves(self) -> int:
        """Give the number of the user whose token this is; it is asked for once."""
        if not self._us:
            self._us = int(self._gitlab.http_get("/user", **READ)["id"])  # type: ignore[index]  # JSON, not a response
        return self._us

    def merge(self, number: int, sha: str) -> str:
        """Merge exactly this commit; give what the target got."""
        with door(f"merge of !{number}"):
            review = self._project.mergerequests.get(number, **READ)
            done = reading.merge_request(review.attributes)
            if done.merged_as and done.sha == sha:
                return done.merged_as
            if done.sha != sha:
                raise Conflict(f"merge of !{number}: its head is {done.sha[:12]} by now, not {sha[:12]}")
            if not done.open:
                raise Rejected(f"merge of !{number}: it is closed; reopen it first")
            try:
                answer = review.merge(sha=sha, **WRITE)
            except gitlab.GitlabMRClosedError as error:
                raise self._not_merged(number, error) from error
        if not (merged := reading.merge_request(dict(answer)).merged_as):
            raise Unavailable(f"merge of !{number}: GitLab has begun and not said that it is done")
        return merged

    def _not_merged(self, number: int, error: gitlab.GitlabMRClosedError) -> Exception:
        """Say what keeps it from being merged: GitLab answers the same to what it is still looking at."""
        if error.response_code not in {405, 406, 422}:
            return error
        standing = self._project.mergerequests.get(number, **READ).attributes.get("detailed_merge_status", "")
        if standing in reading.UNDECIDED:
            return Unavailable(f"merge of !{number}: GitLab has not yet found out whether it can be merged")
        return Rejected(f"merge of !{number}: it cannot be merged: {standing or error.error_message}")


def _says(known: CommitStatus, wanted: CommitStatus) -> bool:
    """Say whether nothing is left to tell.

    What goes on is not told its state twice: GitLab refuses that, and a description alone is not a change of state.
    """
    if known.state is CommitState.RUNNING:
        return wanted.state in {CommitState.RUNNING, CommitState.PENDING}
    if known.state is CommitState.PENDING:
        return wanted.state is CommitState.PENDING
    return known == wanted
