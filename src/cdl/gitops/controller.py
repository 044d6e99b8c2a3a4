"""One look at a repository: head, fetch, render, decide, apply, prune, report. Any line may be the last."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from cdl.api.conditions import Reason
from cdl.api.meta import (
    AUTHORS_ANNOTATION,
    MANAGED_BY_LABEL,
    RENDERED_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.v1alpha1 import KINDS, DataPipeline, Release, Resource, parse
from cdl.ports.errors import Conflict, PortError, Rejected, Unavailable
from cdl.reconcile.gitops import ORDER, Plan, Policy, State, Stored, Wanted, correction, decide, inventory
from cdl.reconcile.protection import data_is_kept, pinned_by

from .record import Book, Record

Document = Mapping[str, Any]
Render = Callable[[Path], Sequence[Document]]
"""Reads and checks the resources of a folder, with the code they name packed; Rejected names file and field."""


class Repository(Protocol):
    """What a look asks of a repository; see Mirror."""

    def head(self, branch: str) -> str | None:
        """Give the commit of a branch; None: there is none."""

    def fetch(self, commit: str) -> None:
        """Bring a commit and its history."""

    def descends(self, commit: str, earlier: str) -> bool | None:
        """Say whether a commit comes after another; None: the other is not known."""

    def authors(self, commit: str, path: str, since: str = "") -> tuple[str, ...]:
        """Name who wrote what is below a path since a commit."""

    def export(self, commit: str, path: str, place: Path) -> None:
        """Write what a commit holds below a path into a folder."""


class Shelf(Protocol):
    """What a look asks of a store of resources."""

    def list(self, kind: type[Release], namespace: str | None = None) -> tuple[Release, ...]:
        """Give every Release."""

    def documents(self, kind: str | None = None, namespace: str | None = None) -> tuple[dict[str, Any], ...]:
        """Give resources as plain documents."""

    def apply(self, document: Mapping[str, object]) -> tuple[str, Resource]:
        """Make the stored resource as the document says."""

    def change(self, key: Key, part: Mapping[str, object]) -> Resource:
        """Change some fields as a merge patch does."""

    def delete(self, key: Key) -> bool:
        """Ask for a resource to go."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is followed, and how."""

    branch: str
    path: str
    policy: Policy
    namespace: str = ""
    """Where everything goes; empty: where the files say."""


class Controller:
    """Keeps a store true to a branch."""

    def __init__(
        self,
        subject: Subject,
        repository: Repository,
        shelf: Shelf,
        render: Render,
        book: Book,
        place: Path,
        now: Callable[[], str],
    ) -> None:
        """Work below a folder; nothing is asked yet."""
        self._subject = subject
        self._repository = repository
        self._shelf = shelf
        self._render = render
        self._book = book
        self._place = place
        self._now = now
        self._rendered: tuple[str, tuple[Document, ...] | Rejected] | None = None

    def look(self) -> Record:
        """Look once and do what is due; what fails is said, and tried again by the next look.

        Raises:
            Rejected: another process looks after the same here.
        """
        with _alone(self._place):
            before = self._book.read()
            after = self._looked(before)
            self._book.write(after)
            return after

    def _looked(self, before: Record) -> Record:
        at, subject = self._now(), self._subject
        try:
            head = self._repository.head(subject.branch)
            if head is None:
                gone = f"there is no branch {subject.branch}; what was applied stays"
                return before.told(State.BRANCH_GONE, gone, at, head="")
            self._repository.fetch(head)
        except Unavailable as error:
            return before.told(State.UNREACHABLE, f"{error}; what was applied stays", at)
        attempted = before.model_copy(update={"head": head, "last_attempted": head})
        try:
            documents = self._documents(head)
            return self._acted(attempted, documents, self._jump(before, head), at)
        except Rejected as error:
            stays = f"; {before.last_applied[:12]} stays" if before.last_applied not in {"", head} else ""
            return attempted.told(State.REFUSED, f"{head[:12]}: {error}{stays}", at)
        except (PortError, OSError) as error:
            return attempted.told(State.WAITING, f"{head[:12]}: {error}; the next look goes on", at)

    def _jump(self, before: Record, head: str) -> str:
        """Say when the branch did not simply go on."""
        last = before.last_applied
        if not last or last == head or self._repository.descends(head, last) is not False:
            return ""
        return f"the branch was rewritten: it does not hold {last[:12]} any more"

    # --- what the commit says -----------------------------------------------------------------------------------------

    def _documents(self, head: str) -> tuple[Document, ...]:
        """Render a commit; the last one, right or wrong, is remembered: a commit never changes."""
        if self._rendered is None or self._rendered[0] != head:
            try:
                self._rendered = (head, self._made(head))
            except Rejected as error:
                self._rendered = (head, error)
        found = self._rendered[1]
        if isinstance(found, Rejected):
            raise found
        return found

    def _made(self, head: str) -> tuple[Document, ...]:
        trees = self._place / "trees"
        shutil.rmtree(trees, ignore_errors=True)  # of a look that was killed
        tree = trees / head
        try:
            self._repository.export(head, self._subject.path, tree)
            return tuple(self._placed(document) for document in self._render(tree))
        except Rejected as error:
            raise Rejected(str(error).replace(f"{tree}/", "").replace(str(tree), "."), error.reason) from error
        finally:
            shutil.rmtree(trees, ignore_errors=True)

    def _placed(self, document: Document) -> Document:
        metadata = dict(document["metadata"])
        wished = self._subject.namespace
        if wished and metadata.get("namespace", wished) != wished:
            name = f"{document['kind']} {metadata.get('name')}"
            said = f"{name}: metadata.namespace: found {metadata['namespace']!r}, allowed: {wished}"
            raise Rejected(said, Reason.INVALID_SPEC)
        if wished:
            metadata["namespace"] = wished
        labels = {**(metadata.get("labels") or {}), MANAGED_BY_LABEL: self._subject.policy.project}
        return {**document, "metadata": {**metadata, "labels": labels}}

    # --- what is stored -----------------------------------------------------------------------------------------------

    def _stored(self, keys: set[Key]) -> tuple[Stored, ...]:
        project = self._subject.policy.project
        found: list[Stored] = []
        for kind in ORDER:
            for document in self._shelf.documents(kind, self._subject.namespace or None):
                one = _stored(kind, document)
                if one.key in keys or one.labels.get(MANAGED_BY_LABEL) == project:
                    found.append(self._needed(one, document))
        return tuple(found)

    def _needed(self, one: Stored, document: Document) -> Stored:
        """Say what needs a DataPipeline, as `cdl delete` does."""
        if one.key.kind != "DataPipeline":
            return one
        try:
            pipeline = DataPipeline.read(document)
        except ValidationError:
            return one
        why = data_is_kept(pipeline, pinned_by(one.key.name, self._shelf.list(Release, one.key.namespace)))
        return Stored(one.key, one.spec, one.labels, one.annotations, deleting=one.deleting, needed=why)

    # --- what is done -------------------------------------------------------------------------------------------------

    def _acted(self, record: Record, documents: tuple[Document, ...], jump: str, at: str) -> Record:
        wanted = {one.key: (one, document) for document in documents for one in (_wanted(document),)}
        stored = {one.key: one for one in self._stored(set(wanted))}
        same = record.last_applied == record.head
        known = frozenset(key for key in wanted if str(key) in record.inventory) if same else frozenset[Key]()
        plan = decide([w for w, _ in wanted.values()], stored.values(), self._subject.policy, known=known)
        if plan.refused:
            raise Rejected(plan.refused, Reason.INVALID_SPEC)
        changes = self._applied(plan, wanted, stored, record.head)
        for key in plan.prune:
            changes += [f"{key} pruned"] if self._shelf.delete(key) else []
        ours = inventory(stored.values(), self._subject.policy.project) | set(wanted)
        message = f"{record.head[:12]} is applied: {len(wanted)} resources"
        return record.told(
            State.APPLIED,
            message,
            at,
            last_applied=record.head,
            changes=tuple(([jump] if jump else []) + changes),
            inventory=tuple(sorted(str(key) for key in ours - set(plan.prune))),
            drift=tuple(f"{note.key}: {note.words}" for note in plan.drift),
            kept=tuple(f"{note.key}: {note.words}" for note in plan.kept),
        )

    def _applied(
        self, plan: Plan, wanted: Mapping[Key, tuple[Wanted, Document]], stored: Mapping[Key, Stored], head: str
    ) -> list[str]:
        changes: list[str] = []
        for key in plan.apply:
            one, document = wanted[key]
            before = stored.get(key)
            if before is not None and before.deleting:
                raise Conflict(f"{key}: is being deleted; it is applied again once it is gone")
            since = before.annotations.get(REVISION_ANNOTATION, "") if before is not None else ""
            patch = correction(one, before) if before is not None else {}
            if patch:
                self._shelf.change(key, {"spec": patch})
            outcome, _ = self._shelf.apply(self._signed(document, one, head, since))
            changes += [f"{key} {'configured' if patch else outcome}"] if patch or outcome != "unchanged" else []
        return changes

    def _signed(self, document: Document, one: Wanted, head: str, since: str) -> Document:
        """Say which commit a resource is of, and who had a hand in it; a file may add an author, and hide none."""
        given = dict(document["metadata"].get("annotations") or {})
        said = {name.strip() for name in str(given.get(AUTHORS_ANNOTATION, "")).split(",")} - {""}
        names = {*self._repository.authors(head, self._subject.path, since), *said}
        ours = {
            REVISION_ANNOTATION: head,
            AUTHORS_ANNOTATION: ",".join(sorted(names)),
            RENDERED_ANNOTATION: one.rendered,
        }
        metadata = {**document["metadata"], "annotations": {**given, **ours}}
        return {**document, "metadata": metadata, "spec": one.spec}


def _wanted(document: Document) -> Wanted:
    resource = parse(document, KINDS)
    meta = resource.metadata
    return Wanted(resource.key, resource.plain()["spec"], dict(meta.labels), dict(meta.annotations))


def _stored(kind: str, document: Document) -> Stored:
    meta = document["metadata"]
    key = Key(kind, str(meta.get("namespace", "default")), str(meta["name"]))
    try:
        spec: object = KINDS[kind].read({**document, "status": {}}).plain()["spec"]
    except ValidationError:
        spec = document.get("spec")
    labels, notes = dict(meta.get("labels") or {}), dict(meta.get("annotations") or {})
    return Stored(key, spec, labels, notes, deleting=bool(meta.get("deletionTimestamp")))


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process at a time work below a folder; the lock goes when the process does.

    Raises:
        Rejected: another one does.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / "lock").open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Rejected(f"{place}: another cdl gitops looks after this repository, branch and path") from error
        yield
