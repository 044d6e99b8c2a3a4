"""What every LabelledData must keep; subclass it, give it an engine and the data beside it, and run it with pytest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdl.api.canonical import digest
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.ports.errors import Conflict, Rejected
from cdl.reconcile.datapipeline import Arrange

from .builders import folder, owner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.ports.data import DataEngine
    from cdl.ports.labelled import LabelledData

FILES = {"a.txt": "a goal", "b.txt": "a phone", "deep/c.txt": "a cup"}
PLACES = {"/a.txt": "/sport/a.txt", "/b.txt": "/tech/b.txt", "/deep/c.txt": "/deep/sport/c.txt"}
PEOPLES = Labels.model_validate(
    {"from": "labelStudio", "labelStudio": {"template": "text-classification", "choices": ["sport", "tech"]}}
)
AT = "2026-01-01T00:00:00+00:00"


def note(places: Mapping[str, str]) -> bytes:
    """Write down which label each file has, as it is called after its folder, in the order of the items."""
    told = (
        {"item": item, "label": place.split("/")[-2], "annotator": "ann@example.test", "at": AT}
        for item, place in sorted(places.items())
    )
    return b"".join(json.dumps(one).encode() + b"\n" for one in told)


class LabelledDataContract:
    """One test a promise of `cdl.ports.labelled`."""

    @pytest.fixture
    def engine(self) -> LabelledData:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def beside(self, engine: LabelledData) -> DataEngine:
        """Give the data engine that it shares everything with."""
        raise NotImplementedError

    def wanted(self, data: DataEngine, key: Key, place: Path, places: Mapping[str, str] = PLACES) -> Arrange:
        """Have there be files, and say where they go."""
        data.ingest(key, Side.TRAIN, "one", folder(place, FILES))
        head = next(s for s in data.look(key, DataPipelineSpec()).sides if s.side is Side.TRAIN)
        return Arrange(Side.TRAIN, f"{key.name}-{digest(places)}", head.repo, str(head.head), places, note(places))

    def test_nobody_has_labels_at_first(self, engine: LabelledData) -> None:
        """Looking makes none either."""
        key = owner("DataPipeline")
        for _ in range(2):
            found = engine.look(key)
            assert (found.repo, found.commit, found.key, found.arranged) == (f"{key.name}-labels", "", "", ())

    def test_answers_are_one_commit_whose_files_are_the_table_alone(self, engine: LabelledData) -> None:
        """Another call with the key changes nothing; another key is another commit."""
        data = self.beside(engine)
        key = owner("DataPipeline")
        engine.keep(key, "k1", b'{"item": "/a.txt"}\n')
        first = engine.look(key)
        engine.keep(key, "k1", b'{"item": "/a.txt"}\n')
        assert engine.look(key) == first
        engine.keep(key, "k2", b'{"item": "/b.txt"}\n{"item": "/c.txt"}\n')
        second = engine.look(key)
        assert (first.key, second.key) == ("k1", "k2")
        assert first.commit != second.commit
        files = data.manifest(second.repo, second.commit)
        assert files is not None
        assert len(files) == 1
        assert files != data.manifest(first.repo, first.commit)

    def test_labelled_files_lie_where_they_are_wanted(self, engine: LabelledData, tmp_path: Path) -> None:
        """Every byte as it was; the note is no file, and its rows are the labels."""
        data = self.beside(engine)
        key = owner("DataPipeline")
        engine.arrange(key, self.wanted(data, key, tmp_path))
        (found,) = engine.look(key).arranged
        made = found.manifest
        assert found.key.startswith(key.name)
        assert (made.side, made.files, made.label_rows, made.label_fault) == (Side.TRAIN, 3, 3, "")
        said = [["/a.txt", "sport"], ["/b.txt", "tech"], ["/deep/c.txt", "sport"]]
        assert made.label_digest == digest(said)
        data.export(made.repo, made.commit, tmp_path / "out")
        there = {p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*.*")}
        assert there == {"sport/a.txt": "a goal", "tech/b.txt": "a phone", "deep/sport/c.txt": "a cup"}
        rows = data.labels(made.repo, made.commit, PEOPLES)
        assert rows is not None
        assert [[row.item, row.label] for row in rows] == said
        assert {row.annotator for row in rows} == {"ann@example.test"}
        assert {row.at.isoformat() for row in rows if row.at} == {AT}
        proof = data.evidence(made.repo, made.commit, PEOPLES)
        assert proof is not None
        assert (proof.digest, proof.labels, proof.rows, proof.programs) == (made.digest, made.label_digest, 3, ())

    def test_the_same_once_more_changes_nothing(self, engine: LabelledData, tmp_path: Path) -> None:
        """By its key."""
        data = self.beside(engine)
        key = owner("DataPipeline")
        wanted = self.wanted(data, key, tmp_path)
        engine.arrange(key, wanted)
        before = engine.look(key)
        engine.arrange(key, wanted)
        assert engine.look(key) == before

    def test_another_label_moves_a_file_and_leaves_the_rest(self, engine: LabelledData, tmp_path: Path) -> None:
        """What nobody labels any more goes; the commit before stays as it was."""
        data = self.beside(engine)
        key = owner("DataPipeline")
        engine.arrange(key, self.wanted(data, key, tmp_path))
        (before,) = engine.look(key).arranged
        engine.arrange(key, self.wanted(data, key, tmp_path, {"/a.txt": "/tech/a.txt", "/b.txt": "/tech/b.txt"}))
        (after,) = engine.look(key).arranged
        now, then = (data.manifest(one.manifest.repo, one.manifest.commit) for one in (after, before))
        assert now is not None
        assert then is not None
        assert sorted(now) == ["/tech/a.txt", "/tech/b.txt"]
        assert sorted(then) == sorted(PLACES.values())
        assert now["/tech/b.txt"] == then["/tech/b.txt"]
        assert after.manifest.label_rows == 2

    def test_a_file_that_is_not_there_is_refused(self, engine: LabelledData, tmp_path: Path) -> None:
        """And a commit that is not there is somebody's who was faster; nothing is written either time."""
        data = self.beside(engine)
        key = owner("DataPipeline")
        wanted = self.wanted(data, key, tmp_path, {"/lost.txt": "/sport/lost.txt"})
        with pytest.raises(Rejected, match=r"/lost\.txt"):
            engine.arrange(key, wanted)
        gone = Arrange(Side.TRAIN, "gone", wanted.repo, "0" * 32, PLACES, b"")
        with pytest.raises(Conflict):
            engine.arrange(key, gone)
        assert engine.look(key).arranged == ()

    def test_everything_goes_with_the_owners_data(self, engine: LabelledData, tmp_path: Path) -> None:
        """Whoever forgets the data forgets the labels, and nobody else's."""
        data = self.beside(engine)
        mine, other = owner("DataPipeline"), owner("DataPipeline")
        for key in (mine, other):
            engine.keep(key, "k1", b"{}\n")
        engine.arrange(mine, self.wanted(data, mine, tmp_path))
        data.forget(mine)
        assert (engine.look(mine).commit, engine.look(mine).arranged) == ("", ())
        assert engine.look(other).key == "k1"
