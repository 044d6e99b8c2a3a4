"""What is followed, and what following asks of a repository, of a store, and of whoever reads files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from cdl.api.conditions import Reason
from cdl.api.meta import LIKE_ANNOTATION, MANAGED_BY_LABEL, PROJECT_ANNOTATION, Key
from cdl.api.v1alpha1 import KINDS, Release, Resource, parse
from cdl.ports.errors import Rejected
from cdl.reconcile.gitops import ORDER, Policy, Stored, Wanted

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

    def steps(self, commit: str, since: str) -> tuple[str, ...]:
        """Name the commits by which a branch came from one to another, newest first: merges, and not what they hold.

        Only some are named when there are many; none when it did not come from there.
        """

    def authors(self, commit: str, path: str, since: str = "") -> tuple[str, ...]:
        """Name who wrote what is below a path since a commit."""

    def committed(self, commit: str) -> float:
        """Say when a commit was made, in seconds of the epoch."""

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
    like: str = ""
    """Where what is moved stands by itself: what DataPipelines have made there need not be made again. Empty: where
    the files say."""


def placed(document: Document, subject: Subject) -> dict[str, Any]:
    """Give a document as it belongs to what is followed: its namespace, its inventory, its project.

    Raises:
        Rejected: it wants to be somewhere else.
    """
    metadata = dict(document["metadata"])
    wished, own = subject.namespace, str(metadata.get("namespace", "default"))
    if wished and metadata.get("namespace", wished) != wished and not subject.moved:
        name = f"{document['kind']} {metadata.get('name')}"
        said = f"{name}: metadata.namespace: found {metadata['namespace']!r}, allowed: {wished}"
        raise Rejected(said, Reason.INVALID_SPEC)
    if wished:
        metadata["namespace"] = wished
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY_LABEL: subject.policy.project}
    like = subject.like or own if subject.moved and document["kind"] == "DataPipeline" else ""
    notes = {PROJECT_ANNOTATION: subject.project, LIKE_ANNOTATION: like}
    if told := {name: value for name, value in notes.items() if value}:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **told}
    return {**document, "metadata": metadata}


def wanted_of(document: Document) -> Wanted:
    """Read a document of a commit, with today's defaults."""
    resource = parse(document, KINDS)
    meta = resource.metadata
    return Wanted(resource.key, resource.plain()["spec"], dict(meta.labels), dict(meta.annotations))


def stored_as(kind: str, document: Document) -> Stored:
    """Read a document of the store, with today's defaults where it can be read."""
    meta = document["metadata"]
    key = Key(kind, str(meta.get("namespace", "default")), str(meta["name"]))
    try:
        spec: object = KINDS[kind].read({**document, "status": {}}).plain()["spec"]
    except ValidationError:
        spec = document.get("spec")
    labels, notes = dict(meta.get("labels") or {}), dict(meta.get("annotations") or {})
    return Stored(key, spec, labels, notes, deleting=bool(meta.get("deletionTimestamp")))
