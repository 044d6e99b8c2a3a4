"""Take over what an equal step of another DataPipeline made: its files get another name, and no byte moves.

Pachyderm itself skips only what the same pipeline has processed. Nobody but a pipeline writes its output repository, so
what is taken over lies in a repository beside it, in a commit that says what it is. It is no pipeline's output, comes
from nobody's, and stays whatever becomes of the one it was taken from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs, pps

from cdl.reconcile.datapipeline import StepSeen

from . import wire
from .intake import heal, written
from .translate import (
    OWNER,
    WISH,
    Note,
    commit_named,
    input_repo,
    note_of,
    notes_of,
    owner_mark,
    pipeline_name,
    project_of,
    repo_named,
    taken_repo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pachyderm_sdk import Client

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import Side
    from cdl.reconcile.datapipeline import StepWish

    from .reading import Reader
    from .translate import CommitSeen


@dataclass(frozen=True, slots=True)
class Place:
    """A commit."""

    project: str
    repo: str
    commit: str


class Taking:
    """Looks for what was taken over, and takes over."""

    def __init__(self, client: Client, reader: Reader) -> None:
        """Ask through the SDK's client and what remembers its answers."""
        self._client, self._reader = client, reader

    def seen(self, owner: Key, side: Side, step: str, commit: str) -> StepSeen | None:
        """Say what a step has that was taken over; None: nothing that was made from this commit."""
        project, name = project_of(owner), taken_repo(owner, step, side)
        head = self._head(project, name)
        note = note_of(head)
        if head is None or note is None or note.input != commit:
            return None
        report = self._reader.report(project, name, head.id)
        return StepSeen(step, side, note.wish, commit, head.id, done=True, report=report, taken=note.origin)

    def output_repo(self, owner: Key, step: str, side: Side) -> str:
        """Name the repository where the output of a step lies: its pipeline's, unless only a taken one is there."""
        project, made, taken = project_of(owner), pipeline_name(owner, step, side), taken_repo(owner, step, side)
        is_taken = self._reader.pipeline(project, made) is None and self._head(project, taken) is not None
        return taken if is_taken else made

    def take(
        self, owner: Key, side: Side, wish: StepWish, like: Key, make_repo: Callable[[Key, str], pfs.Repo]
    ) -> bool:
        """Take over what the equal step of `like` made of equal files; False: there is no such thing.

        A second call changes nothing; a commit half written by a caller that died is given up.
        """
        mine, found = self._input(owner, side, wish.reads), self._made(like, side, wish)
        if mine is None or found is None:
            return False
        given, made = found
        if self._files(mine) != self._files(given):
            return False
        origin = f"{made.project}/{made.repo}@{made.commit}"
        note = json.dumps(asdict(Note(wish.digest, wish.program, mine.repo, mine.commit, origin)), sort_keys=True)
        repo = make_repo(owner, taken_repo(owner, wish.step.name, side))
        newest = self._reader.branch_head(mine.project, repo.name)
        head = heal(self._client, repo, newest, self._reader.good_head(mine.project, repo.name, newest))
        if head is None or head.ingest != note:
            written(self._client, repo, note, (wire.emptied(), *((_copied(made),) if self._files(made) else ())))
        return True

    def _input(self, owner: Key, side: Side, reads: str) -> Place | None:
        """Give what a step would read; None: nothing yet, or it is computed here, and so is what reads it."""
        project = project_of(owner)
        name = self.output_repo(owner, reads, side) if reads else input_repo(owner, side)
        if reads and name == pipeline_name(owner, reads, side):
            return None
        head = self._head(project, name)
        return Place(project, name, head.id) if head is not None else None

    def _made(self, owner: Key, side: Side, wish: StepWish) -> tuple[Place, Place] | None:
        """Give what the owner's equal step read and made last; None: it is another step, or not done."""
        project, name = project_of(owner), pipeline_name(owner, wish.step.name, side)
        pipeline = self._reader.pipeline(project, name)
        noted = notes_of(pipeline) if pipeline is not None else {}
        head = self._reader.branch_head(project, name)
        if pipeline is None or (noted.get(WISH), noted.get(OWNER)) != (wish.digest, owner_mark(owner)):
            return None
        job = self._reader.job(project, name, head.id) if head is not None and head.good else None
        if head is None or job is None or int(job.pipeline_version) != int(pipeline.version):
            return None
        before = pipeline_name(owner, wish.reads, side) if wish.reads else input_repo(owner, side)
        read = {repo: commit for repo, commit in head.reads.items() if repo != name}  # its spec is called like itself
        if pps.JobState(job.state) is not pps.JobState.JOB_SUCCESS or read.keys() != {before}:
            return None
        return Place(project, before, read[before]), Place(project, name, head.id)

    def _head(self, project: str, repo: str) -> CommitSeen | None:
        return self._reader.good_head(project, repo, self._reader.branch_head(project, repo))

    def _files(self, place: Place) -> dict[str, str]:
        return {e.path: e.hash for e in self._reader.files(place.project, place.repo, place.commit)}


def _copied(place: Place) -> bytes:
    """Ask for the files of a commit under the names that they have there."""
    source = pfs.File(commit=commit_named(repo_named(place.project, place.repo), place.commit), path="/")
    return bytes(pfs.ModifyFileRequest(copy_file=pfs.CopyFile(dst="/", src=source)))
