"""`cdl data labels` on a real PostgreSQL: counts, who and when, and what an item was before."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Side
from cdl.cli import main
from cdl.local import LocalStore
from cdl.reconcile.datapipeline import LabelRow
from cdl.stores.postgres import PostgresLabels, prepare
from cdl.testing.builders import pipeline_document
from cdl.testing.labels_contract import version
from tests.wire.postgres.databases import Postgres

NEWS = Key("DataPipeline", "default", "news")
AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
A, B = version("a"), version("b")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def home(server, monkeypatch, tmp_path):
    """Two stored versions of a dataset; the second is what it has now."""
    server.empty()
    prepare(server.owner, server.writer)
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDL_DATABASE", server.writer)
    for name in ("CDL_PACHD", "CDL_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    resources = LocalStore(tmp_path / "home" / "resources.db")
    resources.create(DataPipeline.read(pipeline_document("news")))
    kept = resources.get(DataPipeline, "default", "news")
    resources.write_status(kept.key, kept.status.model_copy(update={"dataset": B}), kept.metadata.resource_version)
    labels = PostgresLabels(server.writer)
    many = [LabelRow(f"/sport/{n:02}.txt", "sport") for n in range(24)]
    by = LabelRow("/tech/1.txt", "tech", "ada@example.org", AT)
    for made, row in ((A, LabelRow("/tech/1.txt", "cars")), (B, by)):
        labels.store(NEWS, made, "column", {Side.TRAIN: [*many, row], Side.TEST: [LabelRow("/t", "tech")]}, AT)
    yield tmp_path / "home"
    resources.close()


def cdl(*words):
    return CliRunner().invoke(main, ["data", "labels", *words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(*words):
    answer = cdl(*words)
    assert answer.exit_code == 1, answer.output
    assert answer.stderr.count("\n") == 1
    return answer.stderr


def test_classes_are_counted_and_labels_told(home):
    found = json.loads(said("news", "-o", "json"))
    assert found["classes"] == {"train": {"sport": 24, "tech": 1}, "test": {"tech": 1}}
    assert (found["version"], found["snapshot"], found["stored"]) == (B.version, B.labels.snapshot, True)
    assert found["labels"][24] == {
        "side": "train",
        "item": "/tech/1.txt",
        "label": "tech",
        "annotator": "ada@example.org",
        "at": AT.isoformat(),
    }


def test_a_screen_shows_the_first_and_says_how_many_there_are(home):
    shown = said("news")
    assert "26 labels" in shown
    assert "and 6 more: `-o json` has all" in shown
    assert ["sport", "24", "0"] in [line.split() for line in shown.splitlines()]


def test_an_item_has_a_history(home):
    found = json.loads(said("news", "--history", "/tech/1.txt", "-o", "json"))
    told = [(spell["label"], spell["annotator"], spell["version"], spell["until"]) for spell in found["history"]]
    assert told == [("cars", "", A.version, B.version), ("tech", "ada@example.org", B.version, "")]
    shown = said("news", "--history", "/tech/1.txt")
    assert shown.index("cars") < shown.index("tech  ")


def test_an_item_that_nobody_knows_is_refused(home):
    assert "found '/no.txt', of which no stored version of news has a label" in refused("news", "--history", "/no.txt")


def test_without_a_database_a_history_is_refused_and_labels_are_sought_at_the_data(home, monkeypatch):
    monkeypatch.delenv("CDL_DATABASE")
    assert "no database keeps labels here: CDL_DATABASE names none" in refused("news", "--history", "/tech/1.txt")
    assert "the files of a dataset lie at the data engine, which was not asked" in refused("news")


def test_a_version_that_is_not_stored_is_sought_at_the_data(server, home):
    server.tamper("DELETE FROM cdl.label")
    server.tamper("DELETE FROM cdl.label_set")
    assert "the files of a dataset lie at the data engine, which was not asked" in refused("news")
