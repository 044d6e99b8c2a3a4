"""A forge in memory: commits are names of forty digits, people push, approve and take back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cdl.api.canonical import digest
from cdl.ports.errors import Conflict, NotPermitted, Rejected
from cdl.ports.forge import LEVELS, Approval, CommitState, CommitStatus, MergeRequest
from cdl.testing.weather import Weather

US = "cdl"
LARGEST = 10 << 20
"""Bytes of a file."""


@dataclass(slots=True)
class Note:
    """What somebody said."""

    who: str
    body: str


@dataclass(slots=True)
class Review:
    """A merge request and what belongs to it."""

    seen: MergeRequest
    author: str
    draft: bool = False
    protected: bool = False
    """Nobody may merge into its target."""
    commits: dict[str, str] = field(default_factory=dict)
    """Commits and who wrote them."""
    approvals: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


class MemoryForge:
    """A Forge."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start with a project of one commit."""
        self.weather = weather or Weather()
        self.said: dict[str, dict[str, CommitStatus]] = {}
        self.reviews: dict[int, Review] = {}
        self.written: dict[str, int] = {}
        """How often a status was really written, by name."""
        self.levels = {"developer": "developer", "validator": "maintainer"}
        """What people may do in the project; whoever is not named is no member."""
        self.rules: dict[str, set[str]] = {}
        """The project's approval rules, and whose approval each counts."""
        self.files: dict[str, bytes] = {}

    # --- what people do ---

    def push(self, branch: str, author: str = "developer") -> str:
        """Give a branch a new commit."""
        sha = digest([branch, len(self.said)])[-40:]
        self.said[sha] = {}
        for review in self.reviews.values():
            if review.seen.source == branch and review.seen.open:
                review.seen = replace(review.seen, sha=sha)
                review.commits[sha] = author
        return sha

    def propose(self, branch: str, sha: str, author: str = "developer", target: str = "main") -> MergeRequest:
        """Open a merge request."""
        number = len(self.reviews) + 1
        url = f"https://forge.test/project/-/merge_requests/{number}"
        seen = MergeRequest(number, f"Take {branch}", url, branch, target, sha, open=True)
        self.reviews[number] = Review(seen, author, commits={sha: author})
        return seen

    # --- CommitStatuses ---

    def statuses(self, sha: str) -> tuple[CommitStatus, ...]:
        """Give what a commit says now."""
        with self.weather.call("look at statuses"):
            return tuple(self._commit(sha).values())

    def set_status(self, sha: str, name: str, state: CommitState, description: str = "", url: str = "") -> None:
        """Let a commit say how something stands."""
        with self.weather.call(f"say {name} is {state.value}"):
            told = self._commit(sha)
            known, wanted = told.get(name), CommitStatus(name, state, description, url)
            runs = known is not None and known.state is CommitState.RUNNING
            if known == wanted or (runs and state is CommitState.PENDING):
                return
            told[name] = wanted
            self.written[name] = self.written.get(name, 0) + 1

    def _commit(self, sha: str) -> dict[str, CommitStatus]:
        if sha not in self.said:
            message = f"there is no commit {sha}"
            raise Conflict(message)
        return self.said[sha]

    # --- MergeRequests ---

    def merge_request_of(self, name: str) -> MergeRequest | None:
        """Give the merge request of a commit or a branch."""
        with self.weather.call("look for a merge request"):
            mine = [r.seen for r in self.reviews.values() if name in {r.seen.source, r.seen.merged_as, *r.commits}]
            return max(mine, key=lambda seen: (seen.merged_as == name, seen.open, seen.number), default=None)

    def open_merge_requests(self, target: str) -> tuple[MergeRequest, ...]:
        """Give what is to be merged into a branch now."""
        with self.weather.call("look for open merge requests"):
            return tuple(r.seen for r in self.reviews.values() if r.seen.open and r.seen.target == target)

    def approvals(self, number: int) -> tuple[Approval, ...]:
        """Give who agreed to what."""
        with self.weather.call("look at approvals"):
            given = self._review(number).approvals.items()
            return tuple(Approval(who, sha, frozenset({who}), self._roles(who)) for who, sha in given)

    def _roles(self, who: str) -> frozenset[str]:
        rules = {name for name, people in self.rules.items() if who in people}
        own = self.levels.get(who)
        return frozenset(rules | set(LEVELS[: LEVELS.index(own) + 1] if own else ()))

    def authors(self, number: int) -> frozenset[str]:
        """Give who made it."""
        with self.weather.call("look at authors"):
            review = self._review(number)
            return frozenset({review.author, *review.commits.values()})

    def note(self, number: int, key: str, body: str) -> str:
        """Have there be exactly one note of ours with this key."""
        with self.weather.call(f"note {key}"):
            review, marker = self._review(number), f"<!-- {key} -->\n"
            mine = [note for note in review.notes if note.who == US and note.body.startswith(marker)]
            if mine:
                mine[0].body = marker + body
                review.notes = [note for note in review.notes if note is mine[0] or note not in mine]
            else:
                review.notes.append(Note(US, marker + body))
            return f"{review.seen.url}#{key}"

    def attach(self, name: str, content: bytes) -> str:
        """Keep a file."""
        with self.weather.call(f"attach {name}"):
            if len(content) > LARGEST:
                message = f"{name} is too large"
                raise Rejected(message)
            address = f"/uploads/{len(self.files) + 1:032x}/{name}"
            self.files[address] = content
            return f"![{name}]({address})"

    def merge(self, number: int, sha: str) -> str:
        """Merge exactly this commit."""
        with self.weather.call("merge"):
            review = self._review(number)
            if review.seen.sha != sha:
                message = f"the head of !{number} is {review.seen.sha}"
                raise Conflict(message)
            if review.seen.merged_as:
                return review.seen.merged_as
            if review.protected:
                message = f"we may not merge into {review.seen.target}"
                raise NotPermitted(message)
            if review.draft or not review.seen.open:
                message = f"!{number} cannot be merged"
                raise Rejected(message)
            review.seen = replace(review.seen, open=False, merged_as=self.push(review.seen.target))
            return review.seen.merged_as

    def _review(self, number: int) -> Review:
        if number not in self.reviews:
            message = f"there is no merge request {number}"
            raise Conflict(message)
        return self.reviews[number]
