"""One look at a repository: head, fetch, render, decide, apply, prune, report. Any line may be the last."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from cdl.api.conditions import Reason
from cdl.api.meta import (
    AUTHORS_ANNOTATION,
    MANAGED_BY_LABEL,
    PRUNE_ANNOTATION,
    RENDERED_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.v1alpha1 import DataPipeline, Release
from cdl.ports.errors import Conflict, PortError, Rejected, Unavailable
from cdl.reconcile.gitops import ORDER, Plan, Policy, State, Stored, Wanted, correction, decide, inventory
from cdl.reconcile.protection import data_is_kept, pinned_by

from .listener import SILENT, Listener, Look
from .record import Book, Record
from .subject import Document, Render, Repository, Shelf, Subject, placed, stored_as, wanted_of
from .turns import RESTS, alone, rests

REMEMBERED = 40
"""Earlier commits whose resources are known; they never change."""


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
        self.listener: Listener = SILENT
        """Hears what is done; whoever wants to listen says so before the first look."""
        self._documents_there: dict[Key, Document] = {}
        """What was stored at the last look."""
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
        self._past: dict[str, Mapping[Key, str]] = {}

    def look(self) -> Record:
        """Look once and do what is due; what fails is said, and tried again by the next look.

        Raises:
            Rejected: another process looks after the same here.
        """
        with alone(self._place):
            before = self._book.read()
            after = before.told(State.SUSPENDED, RESTS, self._now()) if rests(self._place) else self._looked(before)
            self._book.write(after)
        self._tell(before, after)
        return after

    def _tell(self, before: Record, after: Record) -> None:
        """Let the listener hear how a look ended."""
        first = after.state is State.APPLIED and after.last_applied != before.last_applied
        committed: float | None = None
        if first and self.listener is not SILENT:
            with suppress(PortError):
                committed = self._repository.committed(after.head)
        look = Look(
            after.project,
            self._subject.namespace,
            self._subject.moved,
            after.head,
            after.state,
            after.message,
            drifted=0 if self._subject.policy.correct else len(after.drift),
            fresh=after.head not in {"", before.head},
            news=(after.state, after.head) != (before.state, before.head),
            committed=committed,
        )
        self.listener.looked(look)

    def rendered(self) -> tuple[Document, ...]:
        """Give what the last commit said that could be read: every kind, and where its files say."""
        found = self._rendered[1] if self._rendered else ()
        return () if isinstance(found, Rejected) else found

    def clear(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Prune all that is here, as if git had nothing any more; say what was done, and what stays and rests.

        Raises:
            Rejected: another process looks after the same here.
        """
        with alone(self._place):
            stored = {one.key: _unheld(one) for one in self._stored(set())}
            everything = Policy(self._subject.policy.project, allow_empty=True)
            plan = decide((), stored.values(), everything, known=frozenset())
            done = [f"{key} pruned" for key in plan.prune if self._pruned(key, "")]
            for note in plan.kept:
                spec = stored[note.key].spec
                if isinstance(spec, Mapping) and spec.get("suspend") is False:
                    self._shelf.change(note.key, {"spec": {"suspend": True}})
                    done.append(f"{note.key} suspended")
        return tuple(done), tuple(f"{note.key}: {note.words}" for note in plan.kept)

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
        self._documents_there = {}
        for kind in ORDER:
            for document in self._shelf.documents(kind, self._subject.namespace or None):
                one = stored_as(kind, document)
                if one.key in keys or one.labels.get(MANAGED_BY_LABEL) == project:
                    found.append(self._needed(one, document))
                    self._documents_there[one.key] = document
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
        wanted = {one.key: (one, document) for document in documents for one in (wanted_of(document),)}
        stored = {one.key: one for one in self._stored(set(wanted))}
        same = record.last_applied == record.head
        known = frozenset(key for key in wanted if str(key) in record.inventory) if same else frozenset[Key]()
        plan = decide([w for w, _ in wanted.values()], stored.values(), self._subject.policy, known=known)
        if plan.refused:
            raise Rejected(plan.refused, Reason.INVALID_SPEC)
        due = dict.fromkeys((*plan.apply, *self._strayed(plan, wanted, stored, record.head)), "")
        due |= {note.key: note.words for note in plan.drift if note.key in due}
        changes = self._applied(due, wanted, stored, record.head)
        for key in plan.prune:
            changes += [f"{key} pruned"] if self._pruned(key, record.head) else []
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
        due: Mapping[Key, str],
        wanted: Mapping[Key, tuple[Wanted, Document]],
        stored: Mapping[Key, Stored],
        head: str,
    ) -> list[str]:
        changes: list[str] = []
        if due:
            self._prepare()
        for key, strayed in due.items():
            one, document = wanted[key]
            before = stored.get(key)
            if before is not None and before.deleting:
                raise Conflict(f"{key}: is being deleted; it is applied again once it is gone")
            patch = correction(one, before) if before is not None else {}
            if patch:
                self._shelf.change(key, {"spec": patch})
            outcome, written = self._shelf.apply(self._signed(document, one, before, head))
            if patch or outcome != "unchanged":
                changes.append(f"{key} {'configured' if patch else outcome}")
                self.listener.applied(written, head, strayed, preview=self._subject.moved)
        return changes

    def _pruned(self, key: Key, commit: str) -> bool:
        gone = self._shelf.delete(key)
        if gone:
            self.listener.pruned(self._documents_there[key], commit, preview=self._subject.moved)
        return gone

    def _signed(self, document: Document, one: Wanted, before: Stored | None, head: str) -> Document:
        """Say which commit a resource came with, and who had a hand in it; a file may add an author, and hide none."""
        given = dict(document["metadata"].get("annotations") or {})
        known = before.annotations if before is not None else {}
        since, revision = known.get(REVISION_ANNOTATION, ""), self._came_with(one, before, head)
        said = f"{given.get(AUTHORS_ANNOTATION, '')},{known.get(AUTHORS_ANNOTATION, '') if revision == since else ''}"
        names = {
            *self._repository.authors(head, self._subject.path, since),
            *(name.strip() for name in said.split(",")),
        }
        ours = {
            REVISION_ANNOTATION: revision,
            AUTHORS_ANNOTATION: ",".join(sorted(names - {""})),
            RENDERED_ANNOTATION: one.rendered,
        }
        metadata = {**document["metadata"], "annotations": {**given, **ours}}
        return {**document, "metadata": metadata, "spec": one.spec}

    def _came_with(self, one: Wanted, before: Stored | None, head: str) -> str:
        """Give the commit of the branch since which a resource is as it is: there it was merged, and agreed to.

        Several may have come between two looks; whoever asks what was said of a change must ask of its own commit.
        """
        known = before.annotations if before is not None else {}
        since = known.get(REVISION_ANNOTATION, "")
        found = head
        steps = self._repository.steps(head, since) if since not in {"", head} else ()
        for commit in steps[1:]:
            if self._earlier(commit).get(one.key) != one.rendered:
                return found
            found = commit
        # What asks for the same is the same: that a project of the forge is written on it now is no change of git's.
        same = before is not None and (known.get(RENDERED_ANNOTATION) == one.rendered or before.spec == one.spec)
        return since if same and (steps or since == head) else found

    def _earlier(self, commit: str) -> Mapping[Key, str]:
        """Give what an earlier commit said of each resource, as digests; nothing when it could not be applied."""
        if commit not in self._past:
            try:
                documents = self._wanted_of(self._made(commit))
            except Rejected:
                documents = ()
            self._past = {**dict(list(self._past.items())[-REMEMBERED:]), commit: _digests(documents)}
        return self._past[commit]


def _unheld(one: Stored) -> Stored:
    """Give a resource without the word by which its files keep it: what nobody looks after any more goes."""
    return replace(one, annotations={name: said for name, said in one.annotations.items() if name != PRUNE_ANNOTATION})


def _digests(documents: Iterable[Document]) -> Mapping[Key, str]:
    return {one.key: one.rendered for one in map(wanted_of, documents)}
