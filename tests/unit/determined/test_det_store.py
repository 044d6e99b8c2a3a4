"""The store keeps all of a change or none, also when the disk is full."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdl.embedded.determined.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "s.db")
    yield opened
    opened.close()


def names(store: Store) -> list[str]:
    return [row["name"] for row in store.rows("SELECT name FROM settings ORDER BY name")]


def test_an_error_takes_everything_back(store: Store) -> None:
    def change() -> None:
        with store.transaction():
            store.insert("settings", name="a", value="1")
            with store.transaction():
                store.insert("settings", name="b", value="2")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        change()
    assert names(store) == []


def test_a_full_disk_takes_everything_back_and_can_be_survived(store: Store) -> None:
    pages = store.row("PRAGMA page_count")[0]
    store.row(f"PRAGMA max_page_count = {pages + 2}")
    store.insert("settings", name="before", value="kept")

    def change() -> None:
        with store.transaction():
            store.insert("settings", name="small", value="x")
            store.insert("settings", name="big", value="x" * 100_000)

    with pytest.raises(sqlite3.OperationalError, match="full"):
        change()
    assert names(store) == ["before"]
    store.row(f"PRAGMA max_page_count = {pages + 1000}")
    store.insert("settings", name="later", value="x" * 100_000)
    assert names(store) == ["before", "later"]


def test_what_was_answered_is_on_disk(store: Store, tmp_path: Path) -> None:
    with store.transaction():
        store.insert("settings", name="a", value="1")
    other = Store(tmp_path / "s.db")
    assert names(other) == ["a"]
    other.close()
    assert store.row("PRAGMA journal_mode")[0] == "wal"
    assert store.row("PRAGMA synchronous")[0] == 2
