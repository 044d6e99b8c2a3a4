"""The label store contract, kept by the real PostgreSQL; its views, and what nobody can do to it."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest

from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.datapipeline import LabelRow
from cdl.stores.postgres import PostgresLabels, prepare
from cdl.testing.labels_contract import ADA, NEWS, NOON, LabelStoreContract, keep, labels, rows, version


@pytest.fixture
def store(postgres):
    return PostgresLabels(postgres.writer)


class TestPostgresLabels(LabelStoreContract):
    @pytest.fixture
    def engine(self, store):
        return store


def query(address, statement):
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def test_the_tables_of_the_thesis_are_there_one_a_side(postgres, store):
    keep(store, "a", {Side.TRAIN: [ADA, LabelRow("/2.txt", "tech")], Side.TEST: [LabelRow("/t.txt", "tech")]})
    keep(store, "b", {Side.TRAIN: [ADA, LabelRow("/2.txt", "cars")], Side.TEST: [LabelRow("/t.txt", "tech")]}, 5)
    columns = "label, path, repo, data_commit, annotator, date, dataset_version"
    a, b = version("a").version, version("b").version
    assert query(postgres.writer, f"SELECT {columns} FROM cdl.train_labels ORDER BY path") == [
        ("sport", "/1.txt", "news-train", "train-a", "ada@example.org", ADA.at, a),
        ("cars", "/2.txt", "news-train", "train-b", "", NOON + timedelta(minutes=5), b),
    ]
    assert query(postgres.writer, f"SELECT {columns} FROM cdl.test_labels") == [
        ("tech", "/t.txt", "news-test", "test-a", "", NOON, a)
    ]
    ids = query(postgres.writer, "SELECT label_id, path FROM cdl.labels WHERE side = 'train' ORDER BY path")
    assert [store.history(NEWS, path)[0].label_id for _, path in ids] == [label_id for label_id, _ in ids]


@pytest.mark.parametrize("role", ["cdl_writer", "cdl_owner"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cdl.label SET label = 'x'",
        "UPDATE cdl.label SET until = NULL",
        "UPDATE cdl.label SET until = until + 1 WHERE until IS NOT NULL",
        "DELETE FROM cdl.label",
        "TRUNCATE cdl.label",
        "UPDATE cdl.label_set SET version = 'x'",
        "DELETE FROM cdl.label_set",
        "TRUNCATE cdl.label_set CASCADE",
    ],
)
def test_nobody_changes_or_removes_what_a_label_was(postgres, store, role, statement):
    keep(store, "a", rows({"/1.txt": "sport"}))
    keep(store, "b", rows({"/1.txt": "tech"}))
    before = store.history(NEWS, "/1.txt")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(postgres.address(role), statement)
    assert store.history(NEWS, "/1.txt") == before


def test_writers_at_once_leave_one_label_an_item(postgres, store):
    def write(name):
        PostgresLabels(postgres.writer).store(NEWS, version(name), "column", rows({"/1.txt": name}), NOON)

    names = [f"v{n}" for n in range(6)]
    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spells = store.history(NEWS, "/1.txt")
    assert sorted(s.label for s in spells) == names
    assert [s.until for s in spells] == [s.version for s in spells[1:]] + [""]
    assert store.newest(NEWS) == spells[-1].version


def test_a_store_that_fails_halfway_leaves_nothing(postgres, store):
    keep(store, "a", rows({"/1.txt": "sport"}))
    twice = {Side.TRAIN: [LabelRow("/1.txt", "tech"), LabelRow("/1.txt", "cars")], Side.TEST: []}
    with pytest.raises(Unavailable):
        store.store(NEWS, version("b"), "column", twice, NOON)
    assert (store.newest(NEWS), labels(store, "a")) == (version("a").version, {"/1.txt": "sport"})
    assert [s.label for s in store.history(NEWS, "/1.txt")] == ["sport"]


def test_seventy_thousand_labels_go_in_and_come_out(store):
    many = rows({f"/{n % 10}/{n:05}.png": str(n % 10) for n in range(70_000)})
    whole = keep(store, "a", many)
    relabelled = [LabelRow(r.item, "x") if n % 1000 == 0 else r for n, r in enumerate(many[Side.TRAIN])]
    keep(store, "b", {Side.TRAIN: relabelled, Side.TEST: []})
    assert list(store.stored(NEWS, whole).rows[Side.TRAIN]) == many[Side.TRAIN]
    assert list(store.stored(NEWS, version("b").version).rows[Side.TRAIN]) == relabelled


def test_without_tables_it_says_who_makes_them(postgres, store):
    postgres.empty()
    with pytest.raises(Rejected, match="`cdl audit prepare` makes them"):
        store.newest(NEWS)


def test_tables_of_a_cdl_before_labels_are_brought_up_to_date(postgres, store):
    postgres.tamper("DROP TABLE cdl.label, cdl.label_set CASCADE")
    postgres.tamper("DROP FUNCTION cdl.only_ends")
    postgres.tamper("DELETE FROM cdl.migration WHERE name = '0002_labels.sql'")
    assert prepare(postgres.owner, postgres.writer) == ("0002_labels.sql",)
    keep(store, "a", rows({"/1.txt": "sport"}))
    assert labels(store, "a") == {"/1.txt": "sport"}
