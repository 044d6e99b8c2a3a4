"""Labels that people gave, in memory, beside the data they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1.datapipeline import Labels, Side
from cdl.ports.errors import Conflict, Rejected
from cdl.reconcile.datapipeline import NOTE, ArrangedSeen, KeptSeen, ManifestSeen

from .counting import Files, counted
from .data import Commit, MemoryData

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.datapipeline import Arrange
    from cdl.testing.weather import Weather

PEOPLES = Labels.model_construct(source="labelStudio")


class MemoryLabelled:
    """A LabelledData, kept where a MemoryData keeps its own."""

    def __init__(self, data: MemoryData | None = None, weather: Weather | None = None) -> None:
        """Share the owners of a data engine."""
        self.data = data or MemoryData()
        self.weather = weather or self.data.weather

    def look(self, owner: Key) -> KeptSeen:
        """Report the newest commit of labels, and of the labelled files of each side."""
        with self.weather.call("look at labels"):
            head = self._head(owner, _labels(owner))
            arranged = [self._arranged(owner, side) for side in Side]
            found = tuple(each for each in arranged if each is not None)
            if head is None:
                return KeptSeen(_labels(owner), arranged=found)
            return KeptSeen(_labels(owner), head.id, head.key or "", found)

    def keep(self, owner: Key, key: str, table: bytes) -> None:
        """Make the newest commit of labels hold this table alone."""
        with self.weather.call(f"keep labels {key}"):
            self._written(owner, _labels(owner), key, {"labels.jsonl": table}, ())

    def arrange(self, owner: Key, wanted: Arrange) -> None:
        """Make the labelled files of a side be those that are wanted.

        Raises:
            Rejected: a file to be arranged is not in the commit.
            Conflict: the commit is not there.
        """
        with self.weather.call(f"arrange {wanted.key}"):
            found = self.data.committed(wanted.repo, wanted.commit, owner.namespace)
            if found is None:
                raise Conflict(f"commit {wanted.commit} of {wanted.repo}: there is no such finished commit")
            lost = [path for path in wanted.places if path.lstrip("/") not in found.files]
            if lost:
                raise Rejected(f"{lost[0]}: is not in commit {wanted.commit} of {wanted.repo}")
            files = {place.lstrip("/"): found.files[path.lstrip("/")] for path, place in wanted.places.items()}
            files[NOTE.lstrip("/")] = wanted.note
            self._written(owner, _labelled(owner, wanted.side), wanted.key, files, found.programs)

    def commits(self, owner: Key, repo: str) -> list[Commit]:
        """Give everything that was ever committed to a repository."""
        return list(self.data.owned(owner).beside.get(repo, ()))

    def _written(self, owner: Key, repo: str, key: str, files: Files, programs: tuple[str, ...]) -> None:
        commits = self.data.beside(owner, repo)
        if commits and commits[-1].key == key and commits[-1].finished:
            return
        made = Commit(self.data.fresh(), files, key, programs=programs)
        commits.append(made)
        self.weather.moment()
        made.finished = True

    def _head(self, owner: Key, repo: str) -> Commit | None:
        return next((c for c in reversed(self.commits(owner, repo)) if c.finished), None)

    def _arranged(self, owner: Key, side: Side) -> ArrangedSeen | None:
        repo = _labelled(owner, side)
        head = self._head(owner, repo)
        if head is None:
            return None
        digest, labels, rows, fault = counted(head.files, PEOPLES)
        files = sum(not path.startswith("_") for path in head.files)
        return ArrangedSeen(head.key or "", ManifestSeen(side, repo, head.id, digest, files, labels, rows, fault))


def _labels(owner: Key) -> str:
    return f"{owner.name}-labels"


def _labelled(owner: Key, side: Side) -> str:
    return f"{owner.name}-{side}_labelled"
