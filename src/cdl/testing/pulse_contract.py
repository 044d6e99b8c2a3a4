"""What every Pulse must keep; subclass it, tell it a story of its engine, and run it with pytest."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.ports.pulse import Pulse

PATIENCE = 2000
"""Looks after which a story that has not ended never will."""
E = TypeVar("E", bound="Pulse")


class Moment(NamedTuple):
    """A look, with what was asked for just before and just after it."""

    before: str
    seen: object
    after: str


class PulseContract(Generic[E]):
    """One test a promise of `cdl.ports.pulse`."""

    @pytest.fixture
    def engine(self) -> E:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def owner(self) -> Key:
        """Give the key of a resource that the engine has never heard of."""
        raise NotImplementedError

    def begin(self, engine: E, key: Key, place: Path) -> None:
        """Have the engine do something for a resource, for which it needs a while."""
        raise NotImplementedError

    def change(self, engine: E, key: Key, place: Path) -> None:
        """Have it do something else, which looks different in the end."""
        raise NotImplementedError

    def forget(self, engine: E, key: Key) -> None:
        """Have it give up everything of the resource."""
        raise NotImplementedError

    def look(self, engine: E, key: Key) -> object:
        """Look, and leave out how far unfinished work has come."""
        raise NotImplementedError

    def settled(self, seen: object) -> bool:
        """Say whether what was looked at will not change by itself any more."""
        raise NotImplementedError

    def later(self, engine: E) -> None:
        """Let a little time pass at the engine."""
        raise NotImplementedError

    def moments(self, engine: E, key: Key, but_not: object = None) -> Iterator[Moment]:
        """Look until everything is settled, and not as it was settled before."""
        for _ in range(PATIENCE):
            before = engine.beat().get(key, "")
            seen = self.look(engine, key)
            yield Moment(before, seen, engine.beat().get(key, ""))
            if seen != but_not and self.settled(seen):
                return
            self.later(engine)
        pytest.fail(f"{key} did not settle")

    def settle(self, engine: E, key: Key) -> object:
        """Wait until everything is settled, and give the last look."""
        return list(self.moments(engine, key))[-1].seen

    def test_nobody_is_named_of_whom_nothing_is_held(self, engine: E) -> None:
        """Neither before the engine has heard of a resource nor because somebody looked for it."""
        key = self.owner()
        assert key not in engine.beat()
        self.look(engine, key)
        assert key not in engine.beat()

    def test_whatever_a_look_sees_differently_changes_the_text(self, engine: E, tmp_path: Path) -> None:
        """From the first work to the last, and when other work is asked for."""
        key = self.owner()
        self.begin(engine, key, tmp_path)
        story = list(self.moments(engine, key))
        self.change(engine, key, tmp_path)
        story += self.moments(engine, key, but_not=story[-1].seen)
        for earlier, later in itertools.pairwise(story):
            if earlier.seen != later.seen:
                assert earlier.before != later.after, f"{earlier.seen}\n{later.seen}"
        self.forget(engine, key)

    def test_the_text_stays_while_nothing_changes(self, engine: E, tmp_path: Path) -> None:
        """However often it is asked for and looked at, and whatever is done for somebody else."""
        key, other = self.owner(), self.owner()
        self.begin(engine, key, tmp_path)
        before = self.settle(engine, key)
        text = engine.beat()[key]
        self.begin(engine, other, tmp_path)
        self.settle(engine, other)
        assert self.look(engine, key) == before
        assert engine.beat()[key] == text
        self.forget(engine, key)
        self.forget(engine, other)

    def test_who_is_forgotten_is_named_no_more(self, engine: E, tmp_path: Path) -> None:
        """And others still are, with the text they had."""
        key, other = self.owner(), self.owner()
        for each in (key, other):
            self.begin(engine, each, tmp_path)
            self.settle(engine, each)
        text = engine.beat()[other]
        self.forget(engine, key)
        after = engine.beat()
        assert key not in after
        assert after[other] == text
        self.forget(engine, other)
