"""The forge: where people review what changes (GitLab). It is told how things stand, and asked who agreed to what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class CommitState(StrEnum):
    """How something stands that belongs to a commit."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What a commit is told to say about itself, under a name of its own."""

    name: str
    state: CommitState
    description: str = ""
    url: str = ""


LEVELS = ("guest", "reporter", "developer", "maintainer", "owner")
"""How much a person may do in a project; each of these may what the ones before it may."""


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A merge request as it stands; `sha` is its head, `merged_as` what the target got by it."""

    number: int
    title: str
    url: str
    source: str
    target: str
    sha: str
    open: bool
    merged_as: str = ""
    fork: bool = False
    """It comes from a repository that the project's people do not look after; or nobody knows from where."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's agreement to exactly one commit."""

    who: str
    """The user name."""
    sha: str
    """The head of the merge request when they agreed, not what it may be by now."""
    known_as: frozenset[str] = frozenset()
    """User name, name and mail addresses as far as the forge tells, in small letters."""
    roles: frozenset[str] = frozenset()
    """Names of the project's approval rules that count it, and every access level (LEVELS) up to the person's own."""

    def is_by(self, authors: frozenset[str]) -> bool:
        """Say whether one of the authors gave it; a name that both go by is enough."""
        return bool((self.known_as | {self.who.lower()}) & authors)


class CommitStatuses(Protocol):
    """What commits say of themselves."""

    def statuses(self, sha: str) -> tuple[CommitStatus, ...]:
        """Give what a commit says now, one a name, whoever told it. Changes nothing.

        Raises:
            Conflict: there is no such commit.
        """

    def set_status(self, sha: str, name: str, state: CommitState, description: str = "", url: str = "") -> None:
        """Let a commit say how something stands, in the place of what it said under that name.

        A second equal call changes nothing. What is running stays so when it is said to be pending.

        Raises:
            Conflict: there is no such commit.
        """


class MergeRequests(Protocol):
    """What is to be merged, and who agreed."""

    def merge_request_of(self, name: str) -> MergeRequest | None:
        """Give the merge request that holds a commit (forty digits) or comes from a branch; changes nothing.

        It holds its head, every commit that it brings, and what merging or squashing it made. The one that made a
        commit comes first, then an open one, then a newer one. None: there is none.
        """

    def open_merge_requests(self, target: str) -> tuple[MergeRequest, ...]:
        """Give what is to be merged into a branch now, drafts too, the oldest first; changes nothing."""

    def approvals(self, number: int) -> tuple[Approval, ...]:
        """Give who agreed, each to the commit that was the head when they did; what was taken back is not given."""

    def authors(self, number: int) -> frozenset[str]:
        """Give who opened it and who wrote or made its commits: user names, names, mail addresses, in small letters."""


class Words(Protocol):
    """What we say and do about merge requests."""

    def note(self, number: int, key: str, body: str) -> str:
        """Have there be exactly one note of ours with this key, saying this; give its address.

        It is changed where it stands. Nobody else's note is ever taken for ours. What was doubled is made one.
        """

    def attach(self, name: str, content: bytes) -> str:
        """Keep a file beside the project, and give the Markdown by which a note shows it or links to it.

        Every call keeps another file: whoever shows the same picture again remembers the Markdown.

        Raises:
            Rejected: it is too large.
        """

    def merge(self, number: int, sha: str) -> str:
        """Merge exactly this commit and give what the target got. To merge what is merged at this commit is a success.

        Raises:
            Conflict: the head is another one by now.
            Rejected: it cannot be merged: a draft, closed, or in conflict with its target.
            NotPermitted: we may not merge into the target.
        """


class Forge(CommitStatuses, MergeRequests, Words, Protocol):
    """One project of a forge."""
