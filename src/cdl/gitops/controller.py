"""One look at a repository: head, fetch, render, decide, apply, prune, report. Any line may be the last."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from cdl.api.conditions import Reason
from cdl.api.meta import (
    AUTHORS_ANNOTATION,
    MANAGED_BY_LABEL,
    PROJECT_ANNOTATION,
    RENDERED_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.v1alpha1 import KINDS, DataPipeline, Release, Resource, parse
from cdl.ports.errors import Conflict, PortError, Rejected, Unavailable
from cdl.reconcile.gitops import ORDER, Plan, Policy, State, Stored, Wanted, correction, decide, inventory
from cdl.reconcile.protection import data_is_kept, pinned_by

from .record import Book, Record

RESTS = "suspended by the file `suspend` beside the status; nothing is applied until it is gone"
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
    project: str = ""
    """The forge's project in which commits are reviewed; empty: nobody said."""
    moved: bool = False
    """Everything goes to the namespace, whatever the files say."""
    kinds: tuple[str, ...] = ORDER
    """What is applied; the rest is read and checked, and left out."""


def placed(document: Document, subject: Subject) -> dict[str, Any]:
    """Give a document as it belongs to what is followed: its namespace, its inventory, its project.

    Raises:
        Rejected: it wants to be somewhere else.
    """
    metadata = dict(document["metadata"])
    wished = subject.namespace
    if wished and metadata.get("namespace", wished) != wished and not subject.moved:
        name = f"{document['kind']} {metadata.get('name')}"
        said = f"{name}: metadata.namespace: found {metadata['namespace']!r}, allowed: {wished}"
        raise Rejected(said, Reason.INVALID_SPEC)
    if wished:
        metadata["namespace"] = wished
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY_LABEL: subject.policy.project}
    if subject.project:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), PROJECT_ANNOTATION: subject.project}
    return {**document, "metadata": metadata}


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
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Work below a folder; nothing is asked yet. `prepare` is called before anything is applied."""
        self._subject = subject
        self._repository = repository
        self._shelf = shelf
        self._render = render
        self._book = book
        self._place = place
        self._now = now
        self._prepare = prepare
        self._rendered: tuple[str, tuple[Document, ...] | Rejected] | None = None
        self._held: set[tuple[str, str]] = set()
        """Commits, and revisions that are known to lead to them."""

    def look(self) -> Record:
        """Look once and do what is due; what fails is said, and tried again by the next look.

        Raises:
            Rejected: another process looks after the same here.
        """
        with alone(self._place):
            before = self._book.read()
            after = before.told(State.SUSPENDED, RESTS, self._now()) if rests(self._place) else self._looked(before)
            self._book.write(after)
            return after

    def rendered(self) -> tuple[Document, ...]:
        """Give what the last commit said that could be read: every kind, and where its files say."""
        found = self._rendered[1] if self._rendered else ()
        return () if isinstance(found, Rejected) else found

    def clear(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Prune all that is here, as if git had nothing any more; say what was done and what stays.

        Raises:
            Rejected: another process looks after the same here.
        """
        with alone(self._place):
            stored = self._stored(set())
            everything = Policy(self._subject.policy.project, allow_empty=True)
            plan = decide((), stored, everything, known=frozenset())
            gone = tuple(f"{key} pruned" for key in plan.prune if self._shelf.delete(key))
        return gone, tuple(f"{note.key}: {note.words}" for note in plan.kept)

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
            documents = self._wanted_of(self._documents(head))
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
            return tuple(self._render(tree))
        except Rejected as error:
            raise Rejected(str(error).replace(f"{tree}/", "").replace(str(tree), "."), error.reason) from error
        finally:
            shutil.rmtree(trees, ignore_errors=True)

    def _wanted_of(self, documents: Sequence[Document]) -> tuple[Document, ...]:
        """Give what is to be applied of a commit."""
        found: dict[tuple[str, ...], Document] = {}
        for document in documents:
            if document["kind"] not in self._subject.kinds:
                continue
            one = placed(document, self._subject)
            metadata = one["metadata"]
            key = (str(one["kind"]), str(metadata.get("namespace")), str(metadata.get("name")))
            if key in found:
                said = f"{key[0]} {key[2]}: is in two namespaces, and both would go to {self._subject.namespace}"
                raise Rejected(said, Reason.INVALID_SPEC)
            found[key] = one
        return tuple(found.values())

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
        changes = self._applied(
            (*plan.apply, *self._strayed(plan, wanted, stored, record.head)), wanted, stored, record.head
        )
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

    def _strayed(self, plan: Plan, wanted: Iterable[Key], stored: Mapping[Key, Stored], head: str) -> Iterator[Key]:
        """Name what is as git says and carries a revision that the branch does not hold any more.

        Nobody would find that commit, nor what was said about it; after a rewritten history the new one counts.
        """
        touched = {*plan.apply, *(note.key for note in plan.drift)}
        for key in wanted:
            before = stored.get(key)
            if before is None or key in touched or before.deleting:
                continue
            pair = (head, before.annotations.get(REVISION_ANNOTATION, head))
            if pair in self._held or head == pair[1] or self._repository.descends(*pair):
                self._held.add(pair)
            else:
                yield key

    def _applied(
        self,
        due: Sequence[Key],
        wanted: Mapping[Key, tuple[Wanted, Document]],
        stored: Mapping[Key, Stored],
        head: str,
    ) -> list[str]:
        changes: list[str] = []
        if due:
            self._prepare()
        for key in due:
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


def rests(place: Path) -> bool:
    """Say whether somebody who looks after a follower wants it to rest."""
    return (place / "suspend").exists()


@contextmanager
def alone(place: Path) -> Iterator[None]:
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
        try:
            yield
        finally:
            # Said aloud: a program that another thread is just starting has a copy of the file, and so of the lock.
            fcntl.flock(held, fcntl.LOCK_UN)
