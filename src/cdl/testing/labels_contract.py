"""What every LabelStore must keep; subclass it, give it a store, and run it with pytest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cdl.api.canonical import digest
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import Dataset, LabelStatus, Side, SideStatus
from cdl.reconcile.datapipeline import LabelRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdl.ports.labels import LabelStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEWS = Key("DataPipeline", "default", "news")
OTHER = Key("DataPipeline", "default", "other")
AWAY = Key("DataPipeline", "away", "news")
ADA = LabelRow("/1.txt", "sport", "ada@example.org", NOON - timedelta(days=1))

Rows = dict[Side, list[LabelRow]]


def version(name: str) -> Dataset:
    """Give a dataset whose digests and commits are told by a name."""
    return Dataset(
        version=digest(name),
        train=SideStatus(repo="news-train", commit=f"train-{name}"),
        test=SideStatus(repo="news-test", commit=f"test-{name}"),
        labels=LabelStatus(snapshot=digest(["labels", name])),
        transform=digest("steps"),
    )


def rows(train: Mapping[str, str], test: Mapping[str, str] | None = None) -> Rows:
    """Give rows from items and labels."""
    given = {Side.TRAIN: train, Side.TEST: test or {}}
    return {side: [LabelRow(item, label) for item, label in sorted(said.items())] for side, said in given.items()}


def keep(engine: LabelStore, name: str, said: Mapping[Side, Sequence[LabelRow]], minute: int = 0, /) -> str:
    """Store a version so many minutes after noon, and give its digest."""
    engine.store(NEWS, version(name), "column", said, NOON + timedelta(minutes=minute))
    return version(name).version


def labels(engine: LabelStore, name: str, side: Side = Side.TRAIN) -> dict[str, str] | None:
    """Read what a version says of a side."""
    found = engine.stored(NEWS, version(name).version)
    return {row.item: row.label for row in found.rows[side]} if found is not None else None


class LabelStoreContract:
    """One test a promise of `cdl.ports.labels`."""

    @pytest.fixture
    def engine(self) -> LabelStore:
        """Give the store under test, empty; a subclass knows which."""
        raise NotImplementedError

    def test_nothing_is_known_of_what_was_never_stored(self, engine: LabelStore) -> None:
        """Neither a newest version, nor labels, nor a history."""
        keep(engine, "a", rows({"/1.txt": "sport"}))
        assert engine.newest(OTHER) == ""
        assert engine.stored(OTHER, version("a").version) is None
        assert engine.stored(NEWS, version("b").version) is None
        assert engine.history(NEWS, "/2.txt") == ()

    def test_what_was_stored_is_there_to_the_letter(self, engine: LabelStore) -> None:
        """Sides, labels, who said so and when; ordered by item as Python orders text."""
        said = {
            Side.TRAIN: [ADA, LabelRow("/Z", "b;ü"), LabelRow("/a b", "'; --"), LabelRow("/é", "😀")],
            Side.TEST: [],
        }
        whole = keep(engine, "a", said)
        found = engine.stored(NEWS, whole)
        assert found is not None
        assert (found.version, found.snapshot, found.source) == (whole, version("a").labels.snapshot, "column")
        assert found.at == NOON
        assert {side: list(given) for side, given in found.rows.items()} == said

    def test_the_last_stored_is_the_newest(self, engine: LabelStore) -> None:
        """Also one that was there before."""
        for name in ("a", "b", "a"):
            assert engine.newest(NEWS) != version(name).version
            keep(engine, name, rows({"/1.txt": name}))
            assert engine.newest(NEWS) == version(name).version

    def test_storing_the_newest_again_changes_nothing(self, engine: LabelStore) -> None:
        """Not even with other labels, or at another time."""
        keep(engine, "a", rows({"/1.txt": "sport"}))
        before = engine.history(NEWS, "/1.txt"), engine.stored(NEWS, version("a").version)
        keep(engine, "a", rows({"/1.txt": "tech"}), 5)
        assert (engine.history(NEWS, "/1.txt"), engine.stored(NEWS, version("a").version)) == before

    def test_a_version_keeps_its_labels_whatever_comes_later(self, engine: LabelStore) -> None:
        """What changed, what came and what went."""
        keep(engine, "a", rows({"/1.txt": "sport", "/2.txt": "tech"}, {"/t.txt": "tech"}))
        keep(engine, "b", rows({"/1.txt": "tech", "/3.txt": "tech"}, {"/t.txt": "tech"}))
        assert labels(engine, "a") == {"/1.txt": "sport", "/2.txt": "tech"}
        assert labels(engine, "b") == {"/1.txt": "tech", "/3.txt": "tech"}
        assert labels(engine, "a", Side.TEST) == labels(engine, "b", Side.TEST) == {"/t.txt": "tech"}

    def test_a_history_tells_each_label_and_where_it_was_read(self, engine: LabelStore) -> None:
        """What stays the same goes on; what ends says with which version."""
        keep(engine, "a", {Side.TRAIN: [ADA], Side.TEST: []})
        keep(engine, "b", {Side.TRAIN: [ADA], Side.TEST: []}, 1)
        keep(engine, "c", rows({"/1.txt": "tech"}), 2)
        first, second = engine.history(NEWS, "/1.txt")
        assert (first.label, first.annotator, first.at) == ("sport", ADA.annotator, ADA.at)
        assert (first.commit, first.version, first.until) == ("train-a", version("a").version, version("c").version)
        assert (second.label, second.annotator, second.at) == ("tech", "", NOON + timedelta(minutes=2))
        assert (second.commit, second.version, second.until) == ("train-c", version("c").version, "")
        assert first.label_id == second.label_id

    def test_another_annotator_is_another_spell(self, engine: LabelStore) -> None:
        """Though the label is the same."""
        keep(engine, "a", {Side.TRAIN: [ADA], Side.TEST: []})
        keep(engine, "b", {Side.TRAIN: [LabelRow(ADA.item, ADA.label, "bob@example.org", ADA.at)], Side.TEST: []})
        assert [s.annotator for s in engine.history(NEWS, ADA.item)] == [ADA.annotator, "bob@example.org"]

    def test_what_went_and_comes_back_has_a_gap(self, engine: LabelStore) -> None:
        """Its history says both spells, and the versions between them have no label of it."""
        for name, said in (("a", {"/1.txt": "sport"}), ("b", {"/2.txt": "tech"}), ("c", {"/1.txt": "sport"})):
            keep(engine, name, rows(said))
        spells = [(s.version, s.until) for s in engine.history(NEWS, "/1.txt")]
        assert spells == [(version("a").version, version("b").version), (version("c").version, "")]
        assert labels(engine, "b") == {"/2.txt": "tech"}

    def test_sides_and_owners_are_apart(self, engine: LabelStore) -> None:
        """One path may be on both sides, in two pipelines and in two namespaces."""
        keep(engine, "a", rows({"/1.txt": "sport"}, {"/1.txt": "tech"}))
        for owner in (OTHER, AWAY):
            engine.store(owner, version("b"), "parent", rows({"/1.txt": "cars"}), NOON)
        assert [(s.side, s.label) for s in engine.history(NEWS, "/1.txt")] == [
            (Side.TRAIN, "sport"),
            (Side.TEST, "tech"),
        ]
        assert len({s.label_id for key in (NEWS, OTHER, AWAY) for s in engine.history(key, "/1.txt")}) == 4
        assert engine.newest(NEWS) == version("a").version

    def test_a_version_without_labels_ends_them_all(self, engine: LabelStore) -> None:
        """And is a version as any other."""
        keep(engine, "a", rows({"/1.txt": "sport"}))
        keep(engine, "b", rows({}))
        assert (engine.newest(NEWS), labels(engine, "b")) == (version("b").version, {})
        assert [s.until for s in engine.history(NEWS, "/1.txt")] == [version("b").version]
