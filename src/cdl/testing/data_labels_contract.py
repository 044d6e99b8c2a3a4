"""What every DataEngine must keep about labels: a part of `DataEngineContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdl.api.canonical import digest
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.ports.errors import Rejected

from .builders import folder, owner

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.ports.data import DataEngine
    from cdl.reconcile.datapipeline import ManifestSeen

FILES = {"sport/1.txt": "a goal in the last minute", "sport/2.txt": "the cup", "tech/1.txt": "a new phone"}
FOLDERS = Labels()
COLUMN = Labels.model_validate({"from": "column", "column": {"files": "*.csv"}})


def train(engine: DataEngine, key: Key, labels: Labels) -> ManifestSeen:
    """Look at the train side, whose labels are where the spec says."""
    seen = engine.look(key, DataPipelineSpec(labels=labels))
    return next(m for m in seen.manifests if m.side is Side.TRAIN)


class DataLabelsContract:
    """One test a promise about labels."""

    def test_labels_stand_where_the_spec_says(self, engine: DataEngine, tmp_path: Path) -> None:
        """In folders' names or a column of tables; a look counts and digests exactly what is given."""
        key, table = owner("DataPipeline"), "id,label\n/tech/1.txt,tech\n/sport/1.txt,a match\n"
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, FILES | {"labels.csv": table}))
        said = {
            FOLDERS: [("/sport/1.txt", "sport"), ("/sport/2.txt", "sport"), ("/tech/1.txt", "tech")],
            COLUMN: [("/sport/1.txt", "a match"), ("/tech/1.txt", "tech")],
        }
        for labels, expected in said.items():
            found = train(engine, key, labels)
            rows = engine.labels(found.repo, found.commit, labels)
            assert rows is not None
            assert [(row.item, row.label) for row in rows] == expected
            told = digest([[item, label] for item, label in expected])
            assert (found.label_rows, found.label_digest, found.label_fault) == (len(expected), told, "")
            proof = engine.evidence(found.repo, found.commit, labels)
            assert proof is not None
            assert (proof.labels, proof.rows) == (told, len(expected))

    def test_labels_that_contradict_each_other_are_refused(self, engine: DataEngine, tmp_path: Path) -> None:
        """A look says so in the manifest, and everything else of it is as ever."""
        key, table = owner("DataPipeline"), "id,label\n1,tech\n1,sport\n"
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, FILES | {"labels.csv": table}))
        found = train(engine, key, COLUMN)
        assert (found.files, found.label_rows, found.label_digest) == (len(FILES) + 1, 0, "")
        assert "/labels.csv row 2" in found.label_fault
        with pytest.raises(Rejected, match=r"/labels\.csv row 2"):
            engine.labels(found.repo, found.commit, COLUMN)

    def test_a_commit_that_is_not_there_has_no_labels(self, engine: DataEngine, tmp_path: Path) -> None:
        """Be it the commit or the namespace."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, FILES))
        found = train(engine, key, FOLDERS)
        assert engine.labels(found.repo, "0" * 32, FOLDERS) is None
        assert engine.labels(found.repo, found.commit, FOLDERS, "elsewhere") is None
