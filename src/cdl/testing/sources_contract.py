"""What every SourceCollector must keep; subclass it, give it a collector and places, and run it with pytest."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Split
from cdl.ports.errors import Rejected, Unavailable

from .builders import source
from .memory import archive

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.ports.sources import SourceCollector

SPLIT = Split(test=0.25, seed=7)
NEWS = {f"{label}/{n}.txt": f"{label} {n}" for label in ("sport", "tech") for n in range(20)}
TEXT = b"one file"
DUE = datetime(2026, 1, 1, 3, tzinfo=UTC)


def files(folder: Path) -> dict[str, str]:
    """Read a folder."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def sha256(content: bytes) -> str:
    """Give the checksum as a spec writes it."""
    return hashlib.sha256(content).hexdigest()


class SourceCollectorContract:
    """One test a promise of `cdl.ports.sources`."""

    @pytest.fixture
    def engine(self) -> SourceCollector:
        """Give the collector under test; a subclass knows which."""
        raise NotImplementedError

    def publish(self, engine: SourceCollector, name: str, content: bytes) -> str:
        """Put a file where the collector can fetch it, and give its uri."""
        raise NotImplementedError

    def replace(self, engine: SourceCollector, uri: str, content: bytes) -> None:
        """Put another file where one was published."""
        raise NotImplementedError

    def withdraw(self, engine: SourceCollector, uri: str) -> None:
        """Take it away again."""
        raise NotImplementedError

    def silent(self, engine: SourceCollector) -> str:
        """Give a uri at which nobody answers."""
        raise NotImplementedError

    def test_looking_fetches_nothing(self, engine: SourceCollector) -> None:
        """What was never collected is not at hand, however often one looks."""
        wanted = (source(uri=self.publish(engine, "a.txt", TEXT), unpack="none"),)
        assert [s.digest for s in engine.look(wanted)] == [None]
        assert [s.digest for s in engine.look(wanted)] == [None]

    def test_a_collected_source_is_at_hand_with_its_digest(self, engine: SourceCollector) -> None:
        """And is named as the spec names it; others are not."""
        here = source("here", uri=self.publish(engine, "a.txt", TEXT), unpack="none", sha256=sha256(TEXT))
        away = source("away", uri=self.publish(engine, "b.txt", b"other"), unpack="none")
        engine.collect(here)
        assert [(s.name, s.digest) for s in engine.look((here, away))] == [("here", sha256(TEXT)), ("away", None)]

    def test_collecting_again_changes_nothing(self, engine: SourceCollector) -> None:
        """What is at hand stays, even when it is gone from its place."""
        uri = self.publish(engine, "a.txt", TEXT)
        wanted = source(uri=uri, unpack="none", sha256=sha256(TEXT))
        engine.collect(wanted)
        self.withdraw(engine, uri)
        engine.collect(wanted)
        assert [s.digest for s in engine.look((wanted,))] == [sha256(TEXT)]

    def test_what_is_due_is_fetched_again(self, engine: SourceCollector) -> None:
        """What lies at its place by then is at hand, and for which due time is known."""
        uri = self.publish(engine, "a.txt", TEXT)
        wanted = source(uri=uri, unpack="none")
        engine.collect(wanted)
        assert [s.collected_for for s in engine.look((wanted,))] == [None]
        self.replace(engine, uri, b"another")
        engine.collect(wanted)
        assert [s.digest for s in engine.look((wanted,))] == [sha256(TEXT)]
        engine.collect(wanted, DUE)
        assert [(s.digest, s.collected_for) for s in engine.look((wanted,))] == [(sha256(b"another"), DUE)]

    def test_a_due_time_is_kept_once(self, engine: SourceCollector) -> None:
        """Neither the same nor an earlier one leads to another fetch; a later one does."""
        uri = self.publish(engine, "a.txt", TEXT)
        wanted = source(uri=uri, unpack="none")
        engine.collect(wanted, DUE)
        self.replace(engine, uri, b"another")
        for due in (DUE, DUE - timedelta(hours=1), None):
            engine.collect(wanted, due)
            assert [(s.digest, s.collected_for) for s in engine.look((wanted,))] == [(sha256(TEXT), DUE)]
        engine.collect(wanted, DUE + timedelta(hours=1))
        assert [s.digest for s in engine.look((wanted,))] == [sha256(b"another")]

    def test_a_fetch_that_fails_leaves_what_is_at_hand(self, engine: SourceCollector) -> None:
        """And is not taken for one of that due time."""
        uri = self.publish(engine, "a.txt", TEXT)
        wanted = source(uri=uri, unpack="none")
        engine.collect(wanted)
        self.withdraw(engine, uri)
        with pytest.raises(Rejected):
            engine.collect(wanted, DUE)
        assert [(s.digest, s.collected_for) for s in engine.look((wanted,))] == [(sha256(TEXT), None)]

    def test_a_wrong_checksum_is_rejected_and_not_kept(self, engine: SourceCollector) -> None:
        """The sentence names the source, what was found and what is expected."""
        wanted = source("articles", uri=self.publish(engine, "a.txt", TEXT), unpack="none", sha256="0" * 64)
        with pytest.raises(Rejected) as refusal:
            engine.collect(wanted)
        assert refusal.value.reason is Reason.SOURCE_UNUSABLE
        for word in ("articles", sha256(TEXT)[:12], "0" * 12):
            assert word in str(refusal.value)
        assert [s.digest for s in engine.look((wanted,))] == [None]

    def test_a_missing_source_is_rejected(self, engine: SourceCollector) -> None:
        """Its place answers that nothing is there: a person must act."""
        uri = self.publish(engine, "a.txt", TEXT)
        self.withdraw(engine, uri)
        with pytest.raises(Rejected, match="articles") as refusal:
            engine.collect(source("articles", uri=uri, unpack="none"))
        assert refusal.value.reason is Reason.SOURCE_UNUSABLE

    def test_a_silent_place_is_unavailable(self, engine: SourceCollector) -> None:
        """Time may change this."""
        with pytest.raises(Unavailable, match="articles"):
            engine.collect(source("articles", uri=self.silent(engine), unpack="none"))

    def test_mirrors_come_after_the_place_itself(self, engine: SourceCollector) -> None:
        """A place that is silent is no trouble while a mirror answers."""
        mirror = self.publish(engine, "mirror.txt", TEXT)
        wanted = source(uri=self.silent(engine), mirrors=[mirror], unpack="none", sha256=sha256(TEXT))
        engine.collect(wanted)
        assert [s.digest for s in engine.look((wanted,))] == [sha256(TEXT)]

    def test_a_side_is_laid_out_as_it_is(self, engine: SourceCollector) -> None:
        """Sources with a side are not divided: one unpacked, one as a file, leading components dropped."""
        packed = archive({f"top/{name}": text for name, text in NEWS.items()})
        tar = source("tar", uri=self.publish(engine, "news.tar", packed), strip=1, side="train")
        text = source("text", uri=self.publish(engine, "a.txt", TEXT), unpack="none", side="test")
        for wanted in (tar, text):
            engine.collect(wanted)
        assert files(engine.lay_out((tar, text), None, Side.TRAIN)) == NEWS
        assert list(files(engine.lay_out((tar, text), None, Side.TEST)).values()) == [TEXT.decode()]

    def test_a_split_puts_every_file_on_exactly_one_side(self, engine: SourceCollector) -> None:
        """Nothing is lost, nothing is twice."""
        wanted = source(uri=self.publish(engine, "news.tar", archive(NEWS)))
        engine.collect(wanted)
        train, test = (files(engine.lay_out((wanted,), SPLIT, side)) for side in Side)
        assert train | test == NEWS
        assert not train.keys() & test.keys()
        assert train
        assert test

    def test_the_same_split_gives_the_same_sides(self, engine: SourceCollector) -> None:
        """And another seed gives others."""
        wanted = source(uri=self.publish(engine, "news.tar", archive(NEWS)))
        engine.collect(wanted)
        test = files(engine.lay_out((wanted,), SPLIT, Side.TEST))
        assert files(engine.lay_out((wanted,), SPLIT, Side.TEST)) == test
        assert files(engine.lay_out((wanted,), Split(test=0.25, seed=8), Side.TEST)) != test

    def test_equal_contents_never_lie_on_both_sides(self, engine: SourceCollector) -> None:
        """A test file that was trained on measures nothing."""
        doubled = NEWS | {f"{name}.copy": text for name, text in NEWS.items()}
        wanted = source(uri=self.publish(engine, "news.tar", archive(doubled)))
        engine.collect(wanted)
        train, test = (set(files(engine.lay_out((wanted,), SPLIT, side)).values()) for side in Side)
        assert not train & test
        assert train
        assert test

    def test_a_broken_archive_is_rejected(self, engine: SourceCollector) -> None:
        """The sentence names the source."""
        broken = archive(NEWS)[: 512 * 9 + 100]
        wanted = source("articles", uri=self.publish(engine, "news.tar", broken))
        engine.collect(wanted)
        with pytest.raises(Rejected, match="articles") as refusal:
            engine.lay_out((wanted,), SPLIT, Side.TRAIN)
        assert refusal.value.reason is Reason.SOURCE_UNUSABLE
