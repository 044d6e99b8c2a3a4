"""What every DataEngine must keep; subclass it, give it an engine, and run it with pytest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import files_digest

from .builders import COPY, folder, owner, step_wish
from .data_labels_contract import DataLabelsContract

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.ports.data import DataEngine
    from cdl.reconcile.datapipeline import DataSeen, ManifestSeen, SideSeen, StepSeen, StepWish

NEWS = {"sport/1.txt": "a goal in the last minute", "sport/2.txt": "the cup", "tech/1.txt": "a new phone"}
BARE = DataPipelineSpec()


def spec(*wishes: StepWish) -> DataPipelineSpec:
    """Give a spec of some steps."""
    return DataPipelineSpec(steps=tuple(w.step for w in wishes))


def failing(name: str) -> StepWish:
    """Give a step whose command ends with 1."""
    return step_wish(name, image="cdl/steps:test", cmd=["false"])


def side(seen: DataSeen, which: Side) -> SideSeen:
    """Find one side."""
    return next(s for s in seen.sides if s.side is which)


def step(seen: DataSeen, name: str, which: Side = Side.TRAIN) -> StepSeen:
    """Find one step over one side."""
    return next(s for s in seen.steps if (s.step, s.side) == (name, which))


def manifest(seen: DataSeen, which: Side = Side.TRAIN) -> ManifestSeen:
    """Find the result of one side."""
    return next(m for m in seen.manifests if m.side is which)


class DataEngineContract(DataLabelsContract):
    """One test a promise of `cdl.ports.data`."""

    @pytest.fixture
    def engine(self) -> DataEngine:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def settle(self, engine: DataEngine, key: Key, wanted: DataPipelineSpec) -> DataSeen:
        """Wait until no job of the owner is going on, and look."""
        raise NotImplementedError

    def abandon(self, engine: DataEngine, key: Key, which: Side, ingest: str, files: Path) -> None:
        """Ingest as a caller would that dies after writing files and before finishing the commit."""
        raise NotImplementedError

    def news(self, engine: DataEngine, key: Key, place: Path, *wishes: StepWish) -> DataSeen:
        """Ingest some news on the train side, run steps over it, and look at the result."""
        engine.ingest(key, Side.TRAIN, "one", folder(place, NEWS))
        for wish in wishes:
            engine.ensure_step(key, Side.TRAIN, wish, wish.reads)
        return self.settle(engine, key, spec(*wishes))

    def test_an_unknown_owner_is_an_empty_report(self, engine: DataEngine) -> None:
        """Two sides without a head, every step without a wish."""
        seen = engine.look(owner("DataPipeline"), spec(step_wish("copy")))
        assert [(s.side, s.head, s.ingest) for s in seen.sides] == [(s, None, None) for s in Side]
        assert {(s.step, s.side, s.wish) for s in seen.steps} == {("copy", s, None) for s in Side}
        assert seen.manifests == ()

    def test_looking_changes_nothing(self, engine: DataEngine, tmp_path: Path) -> None:
        """A second look sees what the first saw, also where there is nothing."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        engine.look(key, spec(wish))
        assert engine.look(key, spec(wish)).steps[0].wish is None
        self.news(engine, key, tmp_path, wish)
        assert engine.look(key, spec(wish)) == engine.look(key, spec(wish))

    def test_ingest_makes_the_head_hold_exactly_the_folder(self, engine: DataEngine, tmp_path: Path) -> None:
        """What lay there before and is not in the folder is gone."""
        key, other = owner("DataPipeline"), owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        engine.ingest(key, Side.TRAIN, "two", folder(tmp_path, {"tech/9.txt": "only this"}))
        engine.ingest(other, Side.TRAIN, "two", folder(tmp_path, {"tech/9.txt": "only this"}))
        seen, fresh = engine.look(key, BARE), engine.look(other, BARE)
        assert side(seen, Side.TRAIN).files == 1
        assert side(seen, Side.TRAIN).size == len("only this")
        assert manifest(seen).digest == manifest(fresh).digest

    def test_the_head_is_called_by_the_ingests_key(self, engine: DataEngine, tmp_path: Path) -> None:
        """So that whoever looks knows which wish made it; the other side is left alone."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TEST, "one", folder(tmp_path, NEWS))
        seen = engine.look(key, BARE)
        assert side(seen, Side.TEST).ingest == "one"
        assert side(seen, Side.TEST).head is not None
        assert side(seen, Side.TRAIN).head is None

    def test_a_second_ingest_of_the_same_key_changes_nothing(self, engine: DataEngine, tmp_path: Path) -> None:
        """The head stays the very same commit."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        before = side(engine.look(key, BARE), Side.TRAIN)
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        assert side(engine.look(key, BARE), Side.TRAIN) == before

    def test_a_half_written_commit_is_never_seen_and_never_in_the_way(self, engine: DataEngine, tmp_path: Path) -> None:
        """Only finished commits are heads; the next ingest gives the half one up."""
        key = owner("DataPipeline")
        self.abandon(engine, key, Side.TRAIN, "one", folder(tmp_path, {"sport/half.txt": "half"}))
        assert side(engine.look(key, BARE), Side.TRAIN).head is None
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        seen = side(engine.look(key, BARE), Side.TRAIN)
        assert (seen.ingest, seen.files) == ("one", len(NEWS))

    def test_a_half_written_commit_leaves_the_head_before_it(self, engine: DataEngine, tmp_path: Path) -> None:
        """What was whole goes on being the head."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        before = side(engine.look(key, BARE), Side.TRAIN)
        self.abandon(engine, key, Side.TRAIN, "two", folder(tmp_path, {"sport/half.txt": "half"}))
        assert side(engine.look(key, BARE), Side.TRAIN) == before

    def test_a_side_without_steps_has_its_input_as_manifest(self, engine: DataEngine, tmp_path: Path) -> None:
        """Its commit, its files and their labels."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        seen = engine.look(key, BARE)
        found, head = manifest(seen), side(seen, Side.TRAIN)
        assert (found.repo, found.commit, found.files, found.label_rows) == (head.repo, head.head, len(NEWS), len(NEWS))
        assert [m.side for m in seen.manifests] == [Side.TRAIN]

    def test_a_step_runs_over_its_side_and_makes_the_manifest(self, engine: DataEngine, tmp_path: Path) -> None:
        """It is reported with its wish, what it read, and what it made."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        seen = self.news(engine, key, tmp_path, wish)
        found = step(seen, "copy")
        assert (found.wish, found.done, found.failure) == (wish.digest, True, "")
        assert found.input == side(seen, Side.TRAIN).head
        assert (manifest(seen).commit, manifest(seen).files) == (found.head, len(NEWS))
        assert step(seen, "copy", Side.TEST).wish is None

    def test_a_step_reads_the_step_before_it(self, engine: DataEngine, tmp_path: Path) -> None:
        """The second's input is the first's output, and the manifest is the last one's."""
        key, first, second = owner("DataPipeline"), step_wish("first"), step_wish("second", "first")
        seen = self.news(engine, key, tmp_path, first, second)
        assert step(seen, "second").input == step(seen, "first").head
        assert step(seen, "second").done
        assert manifest(seen).commit == step(seen, "second").head

    def test_an_equal_wish_runs_nothing(self, engine: DataEngine, tmp_path: Path) -> None:
        """Neither a new job nor a new output."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        before = self.news(engine, key, tmp_path, wish)
        engine.ensure_step(key, Side.TRAIN, step_wish("copy"), "")
        assert step(self.settle(engine, key, spec(wish)), "copy") == step(before, "copy")

    def test_a_changed_wish_processes_everything_again(self, engine: DataEngine, tmp_path: Path) -> None:
        """Nothing is skipped, because the program is another one."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        before = self.news(engine, key, tmp_path, wish)
        changed = step_wish("copy", image="cdl/steps:test", cmd=list(wish.step.cmd), env={"CHANGED": "yes"})
        engine.ensure_step(key, Side.TRAIN, changed, "")
        found = step(self.settle(engine, key, spec(changed)), "copy")
        assert (found.wish, found.done) == (changed.digest, True)
        assert found.head != step(before, "copy").head
        assert found.job is not None
        assert (found.job.processed, found.job.skipped) == (2, 0)

    def test_equal_files_are_not_processed_again(self, engine: DataEngine, tmp_path: Path) -> None:
        """A new ingest runs exactly what changed."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        self.news(engine, key, tmp_path, wish)
        engine.ingest(key, Side.TRAIN, "two", folder(tmp_path, NEWS | {"tech/1.txt": "a newer phone"}))
        seen = self.settle(engine, key, spec(wish))
        found = step(seen, "copy")
        assert found.input == side(seen, Side.TRAIN).head
        assert found.job is not None
        assert (found.job.processed, found.job.skipped) == (1, 1)
        assert manifest(seen).files == len(NEWS)

    def test_a_failed_step_says_so_and_makes_no_manifest(self, engine: DataEngine, tmp_path: Path) -> None:
        """With one sentence, and the input it failed on."""
        key, wish = owner("DataPipeline"), failing("broken")
        seen = self.news(engine, key, tmp_path, wish)
        found = step(seen, "broken")
        assert found.failure
        assert found.input == side(seen, Side.TRAIN).head
        assert not found.done
        assert seen.manifests == ()

    def test_a_mended_step_runs_again(self, engine: DataEngine, tmp_path: Path) -> None:
        """A failure belongs to the wish that failed."""
        key = owner("DataPipeline")
        self.news(engine, key, tmp_path, failing("copy"))
        engine.ensure_step(key, Side.TRAIN, step_wish("copy"), "")
        found = step(self.settle(engine, key, spec(step_wish("copy"))), "copy")
        assert (found.done, found.failure) == (True, "")

    def test_equal_contents_have_equal_manifests(self, engine: DataEngine, tmp_path: Path) -> None:
        """And others have others: the digest is of the files as training reads them."""
        one, same, other = owner("DataPipeline"), owner("DataPipeline"), owner("DataPipeline")
        engine.ingest(one, Side.TRAIN, "a", folder(tmp_path, NEWS))
        engine.ingest(same, Side.TRAIN, "b", folder(tmp_path, NEWS))
        engine.ingest(other, Side.TRAIN, "a", folder(tmp_path, NEWS | {"tech/1.txt": "an old phone"}))
        digests = [manifest(engine.look(key, BARE)).digest for key in (one, same, other)]
        assert digests[0] == digests[1]
        assert digests[0] != digests[2]

    def test_a_step_that_is_not_asked_for_any_more_is_a_stray(self, engine: DataEngine, tmp_path: Path) -> None:
        """Of its owner alone; each comes before those it reads."""
        key, first, second = owner("DataPipeline"), step_wish("first"), step_wish("second", "first")
        assert self.news(engine, key, tmp_path, first, second).strays == ()
        only = engine.look(key, spec(first)).strays
        assert len(only) == 1
        last, before = engine.look(key, BARE).strays
        assert (last, last.reads) == (only[0], before.name)
        assert before.reads == side(engine.look(key, BARE), Side.TRAIN).repo
        assert engine.look(owner("DataPipeline"), BARE).strays == ()

    def test_a_removed_stray_is_gone_and_the_others_stay(self, engine: DataEngine, tmp_path: Path) -> None:
        """The step can be asked for again, and is made anew."""
        key, first, second = owner("DataPipeline"), step_wish("first"), step_wish("second", "first")
        before = self.news(engine, key, tmp_path, first, second)
        (stray,) = engine.look(key, spec(first)).strays
        engine.remove_stray(key, stray.name)
        seen = engine.look(key, spec(first, second))
        assert step(seen, "first") == step(before, "first")
        assert step(seen, "second").wish is None
        assert engine.look(key, spec(first)).strays == ()
        engine.ensure_step(key, Side.TRAIN, second, "first")
        assert step(self.settle(engine, key, spec(first, second)), "second").done

    def test_removing_a_stray_that_is_not_there_is_a_success(self, engine: DataEngine, tmp_path: Path) -> None:
        """The first time and every time after."""
        key = owner("DataPipeline")
        engine.remove_stray(key, f"{key.name}-never-train")
        self.news(engine, key, tmp_path, step_wish("copy"))
        (stray,) = engine.look(key, BARE).strays
        engine.remove_stray(key, stray.name)
        engine.remove_stray(key, stray.name)
        assert engine.look(key, BARE).strays == ()

    def test_somebody_elses_pipeline_is_not_removed(self, engine: DataEngine, tmp_path: Path) -> None:
        """The call is refused, and nothing changes."""
        key, other, wish = owner("DataPipeline"), owner("DataPipeline"), step_wish("copy")
        before = self.news(engine, other, tmp_path, wish)
        (stray,) = engine.look(other, BARE).strays
        with pytest.raises(Rejected):
            engine.remove_stray(key, stray.name)
        assert engine.look(other, spec(wish)) == before

    def test_a_stray_that_is_read_is_not_removed(self, engine: DataEngine, tmp_path: Path) -> None:
        """It goes after its reader, not before."""
        key, first, second = owner("DataPipeline"), step_wish("first"), step_wish("second", "first")
        before = self.news(engine, key, tmp_path, first, second)
        strays = engine.look(key, BARE).strays
        upstream = next(s for s in strays if s.name in {other.reads for other in strays})
        with pytest.raises(Rejected):
            engine.remove_stray(key, upstream.name)
        assert engine.look(key, spec(first, second)) == before

    def test_a_manifest_has_every_file_of_a_commit(self, engine: DataEngine, tmp_path: Path) -> None:
        """Also of one that is the head no more: equal contents have equal digests, wherever they lie."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS | {"tech/2.txt": "the cup"}))
        before = side(engine.look(key, BARE), Side.TRAIN)
        engine.ingest(key, Side.TRAIN, "two", folder(tmp_path, NEWS))
        found = engine.manifest(before.repo, str(before.head))
        assert found is not None
        assert sorted(found) == ["/sport/1.txt", "/sport/2.txt", "/tech/1.txt", "/tech/2.txt"]
        assert found["/sport/2.txt"] == found["/tech/2.txt"] != found["/tech/1.txt"]

    def test_a_manifest_is_what_a_look_has_the_digest_of(self, engine: DataEngine, tmp_path: Path) -> None:
        """Of a step's output as of an input."""
        (last,) = self.news(engine, owner("DataPipeline"), tmp_path, step_wish("copy")).manifests
        found = engine.manifest(last.repo, last.commit)
        assert found is not None
        assert (len(found), files_digest(found)) == (last.files, last.digest)

    def test_a_commit_that_is_not_there_has_no_manifest(self, engine: DataEngine, tmp_path: Path) -> None:
        """Be it the repository, the commit, the namespace, or that it was removed."""
        key = owner("DataPipeline")
        known = side(self.news(engine, key, tmp_path), Side.TRAIN)
        assert engine.manifest("nobody-train", str(known.head)) is None
        assert engine.manifest(known.repo, "0" * 32) is None
        assert engine.manifest(known.repo, str(known.head), "elsewhere") is None
        engine.forget(key)
        assert engine.manifest(known.repo, str(known.head)) is None

    def test_evidence_counts_as_a_look_does(self, engine: DataEngine, tmp_path: Path) -> None:
        """Files and labels of the result, and the programs that it went through, first to last."""
        first, second = step_wish("first"), step_wish("second", "first", image="cdl/steps:test", cmd=["sh", "-c", COPY])
        (last,) = self.news(engine, owner("DataPipeline"), tmp_path, first, second).manifests
        found = engine.evidence(last.repo, last.commit, Labels())
        assert found is not None
        assert (found.digest, found.labels, found.rows) == (last.digest, last.label_digest, last.label_rows)
        assert found.programs == (first.program, second.program)

    def test_what_somebody_wrote_was_made_by_no_program(self, engine: DataEngine, tmp_path: Path) -> None:
        """Not even by those that read it."""
        key = owner("DataPipeline")
        head = side(self.news(engine, key, tmp_path, step_wish("copy")), Side.TRAIN)
        found = engine.evidence(head.repo, str(head.head), Labels())
        assert found is not None
        assert found.programs == ()

    def test_evidence_names_the_programs_of_the_time(self, engine: DataEngine, tmp_path: Path) -> None:
        """A commit stays what it is, whatever its pipeline is made to do later."""
        key, wish = owner("DataPipeline"), step_wish("copy")
        (before,) = self.news(engine, key, tmp_path, wish).manifests
        changed = step_wish("copy", image="cdl/steps:test", cmd=list(wish.step.cmd), env={"CHANGED": "yes"})
        engine.ensure_step(key, Side.TRAIN, changed, "")
        (after,) = self.settle(engine, key, spec(changed)).manifests
        found = [engine.evidence(m.repo, m.commit, Labels()) for m in (before, after)]
        assert [f.programs if f is not None else None for f in found] == [(wish.program,), (changed.program,)]

    def test_a_commit_that_is_not_there_is_no_evidence(self, engine: DataEngine, tmp_path: Path) -> None:
        """Be it the commit, the namespace, or that it was removed."""
        key = owner("DataPipeline")
        known = side(self.news(engine, key, tmp_path), Side.TRAIN)
        assert engine.evidence(known.repo, "0" * 32, Labels()) is None
        assert engine.evidence(known.repo, str(known.head), Labels(), "elsewhere") is None
        engine.forget(key)
        assert engine.evidence(known.repo, str(known.head), Labels()) is None

    def test_an_export_is_what_the_manifest_names(self, engine: DataEngine, tmp_path: Path) -> None:
        """Of one that is the head no more, too; each file at its path."""
        key = owner("DataPipeline")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS | {"tech/2.txt": "the cup"}))
        before = side(engine.look(key, BARE), Side.TRAIN)
        engine.ingest(key, Side.TRAIN, "two", folder(tmp_path, NEWS))
        place = tmp_path / "exported"
        engine.export(before.repo, str(before.head), place)
        written = {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*") if p.is_file()}
        assert written == NEWS | {"tech/2.txt": "the cup"}
        with pytest.raises(Rejected, match="there is no such finished commit"):
            engine.export(before.repo, "0" * 32, tmp_path / "nothing")

    def taken(self, engine: DataEngine, place: Path, *wishes: StepWish) -> tuple[Key, Key]:
        """Let a DataPipeline compute a dataset, and one of another namespace take it over; give both, in this order."""
        key = owner("DataPipeline")
        other = replace(key, namespace=f"{key.name}-mr-1")
        self.news(engine, key, place, *wishes)
        engine.ingest(other, Side.TRAIN, "one", folder(place, NEWS))
        for wish in wishes:
            engine.ensure_step(other, Side.TRAIN, wish, wish.reads, key)
        return key, other

    def test_an_equal_result_is_taken_over_and_nothing_runs(self, engine: DataEngine, tmp_path: Path) -> None:
        """It is done at once, with no job, in commits of its own, made by the same programs as the other's."""
        steps = step_wish("first"), step_wish("second", "first")
        key, other = self.taken(engine, tmp_path, *steps)
        theirs, mine = engine.look(key, spec(*steps)), engine.look(other, spec(*steps))
        assert manifest(mine).digest == manifest(theirs).digest
        assert [(s.wish, s.job) for s in mine.steps if s.side is Side.TRAIN] == [(w.digest, None) for w in steps]
        assert [s.taken.partition("/")[0] for s in mine.steps if s.side is Side.TRAIN] == [key.namespace] * 2
        found = engine.evidence(manifest(mine).repo, manifest(mine).commit, Labels(), other.namespace)
        assert found is not None
        assert found.programs == tuple(wish.program for wish in steps)

    def test_what_was_taken_over_stays_when_the_other_goes(self, engine: DataEngine, tmp_path: Path) -> None:
        """It is the owner's own; and what was taken from is as it was when the owner goes instead."""
        wish = step_wish("copy")
        for gone in (0, 1):
            both = self.taken(engine, tmp_path, wish)
            before = engine.look(both[1 - gone], spec(wish))
            engine.forget(both[gone])
            assert engine.look(both[1 - gone], spec(wish)) == before
            assert step(engine.look(both[gone], spec(wish)), "copy").wish is None

    def test_what_is_not_equal_is_computed(self, engine: DataEngine, tmp_path: Path) -> None:
        """Be it the files or the wish; then nothing says that it was taken over."""
        wish, key = step_wish("copy"), owner("DataPipeline")
        changed = step_wish("copy", image="cdl/steps:test", cmd=["sh", "-c", COPY], env={"CHANGED": "yes"})
        self.news(engine, key, tmp_path, wish)
        phone = NEWS | {"tech/1.txt": "an old phone"}
        for namespace, files, wanted in (("mr-1", phone, wish), ("mr-2", NEWS, changed)):
            other = replace(key, namespace=f"{key.name}-{namespace}")
            engine.ingest(other, Side.TRAIN, "one", folder(tmp_path, files))
            engine.ensure_step(other, Side.TRAIN, wanted, "", key)
            found = step(self.settle(engine, other, spec(wanted)), "copy")
            assert (found.wish, found.taken, found.done) == (wanted.digest, "", True)

    def test_what_was_taken_over_stands_for_nothing_later(self, engine: DataEngine, tmp_path: Path) -> None:
        """With other files the step has to be asked for again, and is computed."""
        wish = step_wish("copy")
        key, other = self.taken(engine, tmp_path, wish)
        engine.ingest(other, Side.TRAIN, "two", folder(tmp_path, NEWS | {"tech/1.txt": "a newer phone"}))
        assert step(engine.look(other, spec(wish)), "copy").wish is None
        engine.ensure_step(other, Side.TRAIN, wish, "", key)
        seen = self.settle(engine, other, spec(wish))
        assert (step(seen, "copy").taken, step(seen, "copy").input) == ("", side(seen, Side.TRAIN).head)

    def test_forget_removes_everything_of_the_owner_alone(self, engine: DataEngine, tmp_path: Path) -> None:
        """Somebody else's repositories and pipelines stay; the owner can start again."""
        key, other, wish = owner("DataPipeline"), owner("DataPipeline"), step_wish("copy")
        self.news(engine, key, tmp_path, wish)
        before = self.news(engine, other, tmp_path, wish)
        engine.forget(key)
        seen = engine.look(key, spec(wish))
        assert (side(seen, Side.TRAIN).head, step(seen, "copy").wish, seen.manifests) == (None, None, ())
        assert engine.look(other, spec(wish)) == before
        assert step(self.news(engine, key, tmp_path, wish), "copy").done

    def test_forgetting_what_is_not_there_is_a_success(self, engine: DataEngine, tmp_path: Path) -> None:
        """The first time and every time after."""
        key = owner("DataPipeline")
        engine.forget(key)
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        engine.forget(key)
        engine.forget(key)
        assert engine.look(key, BARE).manifests == ()
