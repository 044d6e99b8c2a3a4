"""Labels that people gave, at Pachyderm: a table of them, and the labelled files of each side, no byte of them moved.

`NAME-labels` holds all answers. `NAME-<side>_labelled` holds the files of what the steps left, each in a folder that is
called as its label; its commits say which commit that was, so that what made the files is found from there.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs

from cdl.api.v1alpha1.datapipeline import Labels, Side
from cdl.ports.errors import Conflict, Rejected
from cdl.reconcile.datapipeline import NOTE, ArrangedSeen, KeptSeen

from . import wire
from .door import door
from .intake import written
from .reading import Reader
from .repos import ensure_repo, healed
from .translate import (
    Note,
    commit_named,
    forbidden_path,
    labelled_repo,
    labels_repo,
    manifest,
    note_of,
    project_of,
    read_by_training,
    repo_named,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key
    from cdl.reconcile.datapipeline import Arrange

    from .wire import Entry

TABLE = "/labels.jsonl"
PIECE = 1 << 20
PEOPLES = Labels.model_construct(source="labelStudio")
"""Says that labels stand in the note; what people are asked does not matter to who reads it."""


class PachydermLabelled:
    """Labels of DataPipelines in one pachd."""

    def __init__(self, address: str, token: str | None = None) -> None:
        """Talk to the pachd at the address; nothing is asked yet."""
        self._client = wire.connect(address, token)
        self._reader = Reader(self._client)

    def look(self, owner: Key) -> KeptSeen:
        """Report the newest commit of labels, and of the labelled files of each side, with what they were called."""
        project, name = project_of(owner), labels_repo(owner)
        with door(f"looking at the labels of DataPipeline {owner.name}"):
            head = self._reader.good_head(project, name, self._reader.branch_head(project, name))
            arranged = tuple(a for side in Side if (a := self._arranged(owner, side)) is not None)
            if head is None or head.ingest is None:
                return KeptSeen(name, arranged=arranged)
            return KeptSeen(name, head.id, head.ingest, arranged)

    def keep(self, owner: Key, key: str, table: bytes) -> None:
        """Make the newest commit of labels hold this table alone, in one commit called by key."""
        project, name = project_of(owner), labels_repo(owner)
        with door(f"labels {key} into {name}"):
            repo = ensure_repo(self._client, self._reader, owner, name)
            head = healed(self._client, self._reader, project, repo)
            if head is None or head.ingest != key:
                written(self._client, repo, key, (wire.emptied(), *_pieces(TABLE, table)))

    def arrange(self, owner: Key, wanted: Arrange) -> None:
        """Make the labelled files of a side be those that `wanted` names, each at its place, and its note beside them.

        Only what differs from the newest commit is asked for.

        Raises:
            Rejected: a file to be arranged is not in the commit.
            Conflict: the commit is not there.
        """
        project, name = project_of(owner), labelled_repo(owner, wanted.side)
        said = json.dumps(asdict(Note(wanted.key, "", wanted.repo, wanted.commit, "")), sort_keys=True)
        with door(f"labelled files {wanted.key} into {name}"):
            found = self._reader.commit(project, wanted.repo, wanted.commit)
            if found is None or not found.good:
                raise Conflict(f"commit {wanted.commit} of {wanted.repo}: there is no such finished commit")
            given = {e.path: e for e in self._reader.files(project, wanted.repo, wanted.commit)}
            for path, place in wanted.places.items():
                if path not in given:
                    raise Rejected(f"{path}: is not in commit {wanted.commit} of {wanted.repo}")
                if fault := forbidden_path(place):
                    raise Rejected(fault)
            repo = ensure_repo(self._client, self._reader, owner, name)
            head = healed(self._client, self._reader, project, repo)
            if head is None or head.ingest != said:
                there = {e.path: e for e in self._reader.files(project, name, head.id)} if head is not None else {}
                written(self._client, repo, said, _changes(project, wanted, given, there))

    def _arranged(self, owner: Key, side: Side) -> ArrangedSeen | None:
        project, name = project_of(owner), labelled_repo(owner, side)
        head = self._reader.good_head(project, name, self._reader.branch_head(project, name))
        said = note_of(head)
        if head is None or said is None:
            return None
        files = read_by_training(self._reader.files(project, name, head.id))
        return ArrangedSeen(
            said.wish, manifest(side, name, head.id, files, self._reader.labelled(project, name, head.id, PEOPLES, 0))
        )


def _changes(project: str, wanted: Arrange, given: dict[str, Entry], there: dict[str, Entry]) -> Iterator[bytes]:
    """Ask for what makes a head's files those that are wanted."""
    places = {place: path for path, place in wanted.places.items()}
    kept = {place for place, path in places.items() if place in there and there[place].hash == given[path].hash}
    for place in sorted(there.keys() - kept):
        yield wire.deleted(place)
    source = commit_named(repo_named(project, wanted.repo), wanted.commit)
    for place in sorted(places.keys() - kept):
        copied = pfs.CopyFile(dst=place, src=pfs.File(commit=source, path=places[place]))
        yield bytes(pfs.ModifyFileRequest(copy_file=copied))
    yield from _pieces(NOTE, wanted.note)


def _pieces(path: str, content: bytes) -> Iterator[bytes]:
    for at in range(0, max(len(content), 1), PIECE):
        yield wire.piece(path, content[at : at + PIECE])
