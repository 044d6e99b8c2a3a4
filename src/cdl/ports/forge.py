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


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's agreement to exactly one commit."""

    who: str
    """The user name."""
    sha: str
    """The head of the merge request when they agreed, not what it may be by now."""
    known_as: frozenset[str] = frozenset()
    """User name, name and mail addresses as far as the forge tells, in small letters."""

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

        An open one comes before a closed one, a newer before an older. None: there is none.
        """

    def approvals(self, number: int) -> tuple[Approval, ...]:
        """Give who agreed, each to the commit that was the head when they did; what was taken back is not given."""

    def authors(self, number: int) -> frozenset[str]:
        """Give who opened it and who wrote or made its commits: user names, names, mail addresses, in small letters."""

    def note(self, number: int, key: str, body: str) -> str:
        """Have there be exactly one note of ours with this key, saying this; give its address.

        It is changed where it stands. Nobody else's note is ever taken for ours. What was doubled is made one.
        """

    def merge(self, number: int, sha: str) -> str:
        """Merge exactly this commit and give what the target got. To merge what is merged at this commit is a success.

        Raises:
            Conflict: the head is another one by now.
            Rejected: it cannot be merged: a draft, closed, or in conflict with its target.
            NotPermitted: we may not merge into the target.
        """


class Forge(CommitStatuses, MergeRequests, Protocol):
    """One project of a forge."""
