"""What every RawPipelines must keep; subclass it, give it an engine, and run it with pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import RawWish

from .builders import owner

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cdl.api.meta import Key
    from cdl.ports.raw import RawPipelines
    from cdl.reconcile.datapipeline import RawSeen

COUNT = ("sh", "-c", 'ls "$CDL_PFS_ROOT"/in > "$CDL_PFS_ROOT"/out/list')


def wish(name: str, repo: str, *cmd: str, **fields: JsonValue) -> RawWish:
    """Give a pipeline that lists what it reads, in the words of Pachyderm."""
    listed: list[JsonValue] = list(cmd or COUNT)
    given: dict[str, JsonValue] = {
        "pipeline": {"name": name},
        "transform": {"image": "cdl/steps:test", "cmd": listed},
        "input": {"pfs": {"repo": repo, "glob": "/", "name": "in"}},
    }
    return RawWish(given | fields)


class RawPipelinesContract:
    """One test a promise of `cdl.ports.raw`."""

    @pytest.fixture
    def engine(self) -> RawPipelines:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def repo(self, engine: RawPipelines) -> str:
        """Give a repository with one file in it."""
        raise NotImplementedError

    def settle(self, engine: RawPipelines, key: Key) -> tuple[RawSeen, ...]:
        """Wait until no job of the owner is going on, and look."""
        raise NotImplementedError

    def test_an_unknown_owner_has_none(self, engine: RawPipelines) -> None:
        """Looking makes none either."""
        key = owner("DataPipeline")
        assert engine.look(key) == ()
        assert engine.look(key) == ()

    def test_a_pipeline_runs_and_is_told_of(self, engine: RawPipelines) -> None:
        """With its wish, what it reads, and its newest job."""
        key, repo = owner("DataPipeline"), self.repo(engine)
        wanted = wish(f"{key.name}-list", repo)
        engine.ensure(key, wanted)
        (found,) = self.settle(engine, key)
        assert (found.name, found.wish, found.reads) == (wanted.name, wanted.digest, (repo,))
        assert (found.done, found.failure) == (True, "")
        assert found.job is not None
        assert found.job.state == "SUCCESS"

    def test_an_equal_wish_runs_nothing(self, engine: RawPipelines) -> None:
        """The newest job stays the very same."""
        key, repo = owner("DataPipeline"), self.repo(engine)
        engine.ensure(key, wish(f"{key.name}-list", repo))
        before = self.settle(engine, key)
        engine.ensure(key, wish(f"{key.name}-list", repo))
        assert self.settle(engine, key) == before

    def test_a_changed_wish_runs_again(self, engine: RawPipelines) -> None:
        """What failed by another command is mended by it."""
        key, repo = owner("DataPipeline"), self.repo(engine)
        engine.ensure(key, wish(f"{key.name}-list", repo, "false"))
        (before,) = self.settle(engine, key)
        assert before.failure
        assert not before.done
        mended = wish(f"{key.name}-list", repo)
        engine.ensure(key, mended)
        (after,) = self.settle(engine, key)
        assert (after.wish, after.done, after.failure) == (mended.digest, True, "")

    def test_somebody_elses_pipeline_is_left_alone(self, engine: RawPipelines) -> None:
        """Neither changed nor removed; it belongs to one owner only."""
        key, other, repo = owner("DataPipeline"), owner("DataPipeline"), self.repo(engine)
        engine.ensure(other, wish(f"{other.name}-list", repo))
        before = self.settle(engine, other)
        with pytest.raises(Rejected, match=f"{other.name}-list"):
            engine.ensure(key, wish(f"{other.name}-list", repo, "false"))
        with pytest.raises(Rejected, match=f"{other.name}-list"):
            engine.remove(key, f"{other.name}-list")
        assert engine.look(key) == ()
        assert self.settle(engine, other) == before

    def test_readers_come_first_and_go_first(self, engine: RawPipelines) -> None:
        """A pipeline that is read is not removed; after its reader it is, once and again."""
        key, repo = owner("DataPipeline"), self.repo(engine)
        first, second = f"{key.name}-b", f"{key.name}-a"
        engine.ensure(key, wish(first, repo))
        engine.ensure(key, wish(second, first))
        assert [found.name for found in self.settle(engine, key)] == [second, first]
        with pytest.raises(Rejected):
            engine.remove(key, first)
        for name in (second, first, first):
            engine.remove(key, name)
        assert engine.look(key) == ()

    def test_forget_removes_everything_of_the_owner_alone(self, engine: RawPipelines) -> None:
        """As often as one likes."""
        key, other, repo = owner("DataPipeline"), owner("DataPipeline"), self.repo(engine)
        for each in (key, other):
            engine.ensure(each, wish(f"{each.name}-list", repo))
        before = self.settle(engine, other)
        engine.forget(key)
        engine.forget(key)
        assert engine.look(key) == ()
        assert self.settle(engine, other) == before
