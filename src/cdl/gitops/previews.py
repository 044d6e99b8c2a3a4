"""Merge requests that are open now: each gets a namespace with the data and experiments of its head, and no servers.

Nothing is remembered. Which merge requests are open the forge says, which previews there are the inventories say; the
difference is made and taken away. A Release that a preview led to stays: it is the record, and may be adopted.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from cdl.api.meta import MANAGED_BY_LABEL, Key
from cdl.ports.errors import PortError
from cdl.ports.forge import MergeRequest
from cdl.reconcile.gitops import State

from .controller import Controller
from .listener import SILENT, Listener
from .record import Book, Record
from .scene import Target
from .subject import Render, Repository, Shelf, Subject, placed
from .turns import RESTS, alone, rests

KINDS = ("DataPipeline", "Experiment")
"""What is previewed: a merge request serves nobody."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,49}[a-z0-9])?")
"""Names of inventories with which the namespace of every merge request is one."""
PREVIEW = re.compile(r"(?P<name>.+)-mr-(?P<number>[1-9][0-9]{0,7})")
FORK = "not previewed: it comes from a fork, and whoever cannot push to the project spends none of its computers"
EMPTY = "not previewed: it has no commit"


class Reviews(Protocol):
    """What is asked of a forge here."""

    def open_merge_requests(self, target: str) -> tuple[MergeRequest, ...]:
        """Give what is to be merged into a branch now."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What the previews are previews of."""

    main: Subject
    blank: Record
    most: int = 10
    """How many there are at once; each of them trains."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the previews work with; `room` makes the namespace of an inventory, where namespaces have to be made."""

    forge: Reviews
    mirror: Repository
    shelf: Shelf
    render: Render
    place: Path
    now: Callable[[], str]
    room: Callable[[str], None] = lambda _: None
    listener: Listener = SILENT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look at all merge requests saw and did."""

    targets: tuple[Target, ...] = ()
    changes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """What stays of previews whose merge request is not open any more, and why."""
    fault: str = ""
    """Why nobody knows which merge requests are open; then everything stays."""


@dataclass(frozen=True, slots=True)
class _AtHead:
    """The repository as a merge request has it: its head is the branch, and its authors are all since the target."""

    behind: Repository
    sha: str
    target: str

    def head(self, branch: str) -> str | None:
        return self.sha

    def fetch(self, commit: str) -> None:
        self.behind.fetch(commit)

    def descends(self, commit: str, earlier: str) -> bool | None:
        return self.behind.descends(commit, earlier)

    def steps(self, commit: str, since: str) -> tuple[str, ...]:
        return ()  # what is not merged yet came with nothing but its head

    def authors(self, commit: str, path: str, since: str = "") -> tuple[str, ...]:
        return tuple(
            sorted({*self.behind.authors(commit, path, since), *self.behind.authors(commit, path, self.target)})
        )

    def committed(self, commit: str) -> float:
        return self.behind.committed(commit)

    def export(self, commit: str, path: str, place: Path) -> None:
        self.behind.export(commit, path, place)


@dataclass(slots=True)
class Previews:
    """Keeps a preview of each open merge request."""

    followed: Followed
    means: Means
    _known: dict[int, tuple[str, Controller]] = field(default_factory=dict)
    """Controllers and the heads they are for: a commit is rendered once."""
    _last: tuple[Target, ...] = ()

    def look(self) -> Outcome:
        """Ask which merge requests are open, and bring each preview to its head; what fails is tried by the next look.

        Raises:
            Rejected: another process looks after the same here.
        """
        place = self.means.place / "previews"
        with alone(place):
            if rests(self.means.place):
                self._last = tuple(replace(one, state=State.SUSPENDED, sentence=RESTS) for one in self._last)
                return Outcome(self._last, fault=RESTS)
            try:
                found = self.means.forge.open_merge_requests(self.followed.main.branch)
                there = self._there()
                target = self.means.mirror.head(self.followed.main.branch) or ""
                if target:
                    self.means.mirror.fetch(target)
                chosen = self._chosen(found, there)
                changes, kept = self._dropped(there - chosen)
            except PortError as error:
                return Outcome(self._last, fault=f"{error}; previews stay as they are")
            looked = [self._looked(one, target) if one.number in chosen else (self._left(one), ()) for one in found]
            self._last = tuple(one for one, _ in looked)
            return Outcome(self._last, (*changes, *(line for _, lines in looked for line in lines)), kept)

    # --- which --------------------------------------------------------------------------------------------------------

    def _there(self) -> frozenset[int]:
        """Number the merge requests of which something is left in the store, or in our folder."""
        found = {int(folder.name) for folder in (self.means.place / "previews").glob("[1-9]*") if folder.name.isdigit()}
        for kind in KINDS:
            for document in self.means.shelf.documents(kind, None):
                meta = document["metadata"]
                said = str((meta.get("labels") or {}).get(MANAGED_BY_LABEL, ""))
                match = PREVIEW.fullmatch(said)
                # A label is what anybody writes; a preview is in the namespace that is called as its label says.
                if match and match["name"] == self.followed.main.policy.project and meta.get("namespace") == said:
                    found.add(int(match["number"]))
        return frozenset(found)

    def _chosen(self, found: Sequence[MergeRequest], there: frozenset[int]) -> frozenset[int]:
        """Number those that are previewed: what has been goes on, then the oldest come."""
        may = sorted((one.number not in there, one.number) for one in found if one.sha and not one.fork)
        return frozenset(number for _, number in may[: self.followed.most])

    def _left(self, one: MergeRequest) -> Target:
        """Say why a merge request has no preview."""
        if one.fork:
            return self._target(one, State.REFUSED, FORK)
        if not one.sha:
            return self._target(one, State.WAITING, EMPTY)
        said = (
            f"not previewed yet: {self.followed.most} others are, and --previews allows no more; it is its turn later"
        )
        return self._target(one, State.WAITING, said)

    # --- what is done -------------------------------------------------------------------------------------------------

    def _looked(self, one: MergeRequest, target: str) -> tuple[Target, tuple[str, ...]]:
        """Bring a preview to its head."""
        controller = self._controller(one, target)
        record = controller.look()
        merged = tuple(placed(document, self.followed.main) for document in controller.rendered())
        keys = tuple(_key(text) for text in record.inventory)
        seen = replace(self._target(one, record.state, record.message), inventory=keys, merged=merged)
        return seen, tuple(f"!{one.number}: {line}" for line in (*record.changes, *record.drift, *record.kept))

    def _render(self, folder: Path) -> Sequence[Mapping[str, Any]]:
        """Read a commit as the branch would: what could not be merged is not previewed either."""
        documents = self.means.render(folder)
        for document in documents:
            placed(document, self.followed.main)
        return documents

    def _dropped(self, numbers: Iterable[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Prune the previews of what is not open any more, or must make room; say what was done and what stays."""
        said: tuple[list[str], list[str]] = [], []
        for number in sorted(numbers):
            self._known.pop(number, None)
            lines = self._made(number, self.means.mirror).clear()
            for told, more in zip(said, lines, strict=True):
                told += [f"!{number}: {line}" for line in more]
            shutil.rmtree(self._folder(number), ignore_errors=True)
        return tuple(said[0]), tuple(said[1])

    def _controller(self, one: MergeRequest, target: str) -> Controller:
        known = self._known.get(one.number)
        if known is None or known[0] != one.sha:
            made = self._made(one.number, _AtHead(self.means.mirror, one.sha, target))
            known = self._known[one.number] = one.sha, made
        return known[1]

    def _subject(self, number: int) -> Subject:
        main, name = self.followed.main, self._name(number)
        policy = replace(main.policy, project=name, allow_empty=True, prune=True)
        return replace(main, policy=policy, namespace=name, moved=True, kinds=KINDS, like=main.namespace)

    def _made(self, number: int, repository: Repository) -> Controller:
        means, folder, subject = self.means, self._folder(number), self._subject(number)
        blank = self.followed.blank.model_copy(update={"project": subject.policy.project})
        made = Controller(
            subject,
            repository,
            means.shelf,
            self._render,
            Book(folder / "status.json", blank),
            folder,
            means.now,
            lambda: means.room(subject.namespace),
        )
        made.listener = means.listener
        return made

    def _name(self, number: int) -> str:
        return f"{self.followed.main.policy.project}-mr-{number}"

    def _folder(self, number: int) -> Path:
        return self.means.place / "previews" / str(number)

    def _target(self, one: MergeRequest, state: State, sentence: str) -> Target:
        name = self._name(one.number)
        return Target(name, name, one.sha, state, sentence, merge_request=one.number, url=one.url)


def target_of(record: Record, namespace: str) -> Target:
    """Say of the branch what its record says."""
    keys = tuple(_key(text) for text in record.inventory)
    return Target(record.project, namespace, record.head, record.state, record.message, keys)


def _key(text: str) -> Key:
    """Read what a Key writes."""
    kind, _, name = text.partition(" ")
    namespace, _, last = name.partition("/")
    return Key(kind, namespace, last)
