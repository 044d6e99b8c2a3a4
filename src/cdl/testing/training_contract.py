"""What every TrainingEngine must keep; subclass it, give it an engine and wishes, and run it with pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdl.api.canonical import digest
from cdl.reconcile.experiment import RunPhase
from cdl.reconcile.release import differs

from .builders import owner

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.ports.training import TrainingEngine
    from cdl.reconcile.experiment import RunSeen, TrainWish


def one(runs: tuple[RunSeen, ...], key: str) -> RunSeen:
    """Find the one run of a key."""
    found = [r for r in runs if r.key == key]
    assert len(found) == 1, f"{len(found)} runs are called {key}"
    return found[0]


class TrainingEngineContract:
    """One test a promise of `cdl.ports.training`."""

    @pytest.fixture
    def engine(self) -> TrainingEngine:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def short_wish(self) -> TrainWish:
        """Give a wish whose run soon ends with a checkpoint."""
        raise NotImplementedError

    def long_wish(self) -> TrainWish:
        """Give a wish whose run does not end before `settle` is asked for."""
        return self.short_wish()

    def failing_wish(self) -> TrainWish:
        """Give a wish whose trial raises."""
        raise NotImplementedError

    def measuring_wish(self, checkpoint: str) -> TrainWish:
        """Give the wish to measure a checkpoint of the short wish."""
        raise NotImplementedError

    def settle(self, engine: TrainingEngine, key: Key) -> tuple[RunSeen, ...]:
        """Wait until every run of the owner has ended, and look."""
        raise NotImplementedError

    def pause(self, engine: TrainingEngine, key: Key, run: str) -> None:
        """Pause a run as a person would at the engine."""
        raise NotImplementedError

    def live(self, engine: TrainingEngine, key: Key) -> int:
        """Count the owner's runs at the engine that use slots or will, archived ones too."""
        raise NotImplementedError

    def ended(self, engine: TrainingEngine, key: Key, wish: TrainWish) -> RunSeen:
        """Start a run called `a` and see it end."""
        engine.start(key, "a", wish)
        return one(self.settle(engine, key), "a")

    def test_an_unknown_owner_is_an_empty_report(self, engine: TrainingEngine) -> None:
        """Nobody has run anything for it."""
        assert engine.look(owner("Experiment")) == ()

    def test_start_makes_one_run_of_that_key(self, engine: TrainingEngine) -> None:
        """It is reported to its owner and to nobody else."""
        key, other = owner("Experiment"), owner("Experiment")
        engine.start(key, "a", self.long_wish())
        assert not one(engine.look(key), "a").phase.over
        assert engine.look(other) == ()
        engine.forget(key)

    def test_a_second_start_changes_nothing(self, engine: TrainingEngine) -> None:
        """Not even one that did not hear the first reply: the run is the very same."""
        key = owner("Experiment")
        engine.start(key, "a", self.long_wish())
        before = one(engine.look(key), "a")
        engine.start(key, "a", self.long_wish())
        assert one(engine.look(key), "a").id == before.id
        assert self.live(engine, key) == 1
        engine.forget(key)

    def test_another_key_is_another_run(self, engine: TrainingEngine) -> None:
        """Wishes of one owner are told apart by their keys alone."""
        key = owner("Experiment")
        engine.start(key, "a", self.long_wish())
        engine.start(key, "b", self.long_wish())
        runs = engine.look(key)
        assert one(runs, "a").id != one(runs, "b").id
        engine.forget(key)

    def test_looking_changes_nothing(self, engine: TrainingEngine) -> None:
        """An ended run looks the same twice."""
        key = owner("Experiment")
        self.ended(engine, key, self.short_wish())
        assert engine.look(key) == engine.look(key)

    def test_an_ended_run_has_its_trials_and_its_best_checkpoint(self, engine: TrainingEngine) -> None:
        """And the time it took."""
        run = self.ended(engine, owner("Experiment"), self.short_wish())
        assert run.phase is RunPhase.SUCCEEDED
        assert len(run.trials) == 1
        assert run.best is not None
        assert run.best.trial == run.trials[0].id
        assert run.best.metric == run.trials[0].metric
        assert run.best.uuid
        assert run.best.uri
        assert run.measurement is None
        assert run.started_at is not None
        assert run.finished_at is not None
        assert run.finished_at >= run.started_at

    def test_an_evaluation_has_its_measurement(self, engine: TrainingEngine) -> None:
        """With metrics, the checkpoint's files and the environment, and no checkpoint of its own."""
        key = owner("Experiment")
        best = self.ended(engine, key, self.short_wish()).best
        assert best is not None
        engine.start(key, "e", self.measuring_wish(best.uuid))
        measured = one(self.settle(engine, key), "e")
        assert measured.phase is RunPhase.SUCCEEDED
        assert measured.measurement is not None
        assert measured.measurement.metrics["accuracy"] == pytest.approx(best.metric, abs=1.0)
        assert measured.measurement.files
        assert measured.measurement.environment
        assert measured.best is None

    def test_a_failed_run_has_its_last_words(self, engine: TrainingEngine) -> None:
        """And no checkpoint that anybody could release."""
        run = self.ended(engine, owner("Experiment"), self.failing_wish())
        assert (run.phase, run.best) == (RunPhase.FAILED, None)
        assert run.failure

    def test_an_ended_run_is_never_revived(self, engine: TrainingEngine) -> None:
        """It stays as it ended, with the same id."""
        key = owner("Experiment")
        before = self.ended(engine, key, self.short_wish())
        engine.start(key, "a", self.short_wish())
        assert one(engine.look(key), "a") == before
        assert self.live(engine, key) == 0

    def test_a_stopped_run_is_over_and_stays_over(self, engine: TrainingEngine) -> None:
        """Asking for it again does not bring it back."""
        key = owner("Experiment")
        engine.start(key, "a", self.long_wish())
        engine.stop(key, "a")
        assert one(self.settle(engine, key), "a").phase is RunPhase.CANCELED
        engine.start(key, "a", self.long_wish())
        assert one(engine.look(key), "a").phase is RunPhase.CANCELED
        assert self.live(engine, key) == 0

    def test_a_paused_run_goes_on_when_it_is_wanted(self, engine: TrainingEngine) -> None:
        """Start makes sure it is active unless it ended."""
        key = owner("Experiment")
        engine.start(key, "a", self.long_wish())
        self.pause(engine, key, "a")
        assert one(engine.look(key), "a").phase in {RunPhase.PAUSED, RunPhase.STOPPING}
        engine.start(key, "a", self.long_wish())
        assert one(engine.look(key), "a").phase in {RunPhase.QUEUED, RunPhase.RUNNING}
        engine.forget(key)

    def test_stop_stops_that_key_alone(self, engine: TrainingEngine) -> None:
        """The owner's other runs and other owners' runs of the same key go on."""
        key, other = owner("Experiment"), owner("Experiment")
        for who, name in ((key, "a"), (key, "b"), (other, "a")):
            engine.start(who, name, self.long_wish())
        engine.stop(key, "a")
        assert not one(engine.look(key), "b").phase.over
        assert not one(engine.look(other), "a").phase.over
        engine.forget(key)
        engine.forget(other)

    def test_stopping_what_is_not_there_or_has_ended_is_a_success(self, engine: TrainingEngine) -> None:
        """And changes nothing."""
        key = owner("Experiment")
        engine.stop(key, "a")
        assert engine.look(key) == ()
        before = self.ended(engine, key, self.short_wish())
        engine.stop(key, "a")
        assert one(engine.look(key), "a") == before

    def test_versions_are_counted_from_one_and_never_given_twice(self, engine: TrainingEngine) -> None:
        """The same digest gives the same number, a new one a higher, another model its own."""
        key = owner("Experiment")
        best = self.ended(engine, key, self.short_wish()).best
        assert best is not None
        first, second = digest([key.name, 1]), digest([key.name, 2])
        assert engine.register(key.namespace, key.name, best.uuid, first) == 1
        assert engine.register(key.namespace, key.name, best.uuid, first) == 1
        assert engine.register(key.namespace, key.name, best.uuid, second) == 2
        assert engine.register(key.namespace, key.name, best.uuid, first) == 1
        assert engine.register(key.namespace, f"{key.name}-other", best.uuid, first) == 1

    def test_a_run_is_read_by_its_id(self, engine: TrainingEngine) -> None:
        """With all that was asked for, which whoever asked may have added to; put away or not."""
        key, wish = owner("Experiment"), self.short_wish()
        run = self.ended(engine, key, wish)
        found = engine.run(run.id)
        assert found is not None
        assert (found.key, found.seed, found.report) == ("a", run.seed, None)
        assert differs(dict(wish.config), dict(found.config)) == ""
        engine.forget(key)
        assert engine.run(run.id) == found
        assert engine.run("987654") is None

    def test_trials_are_read_with_what_they_reported(self, engine: TrainingEngine) -> None:
        """As a look has them, put away or not; the best value of the metric is among their validations."""
        key = owner("Experiment")
        run = self.ended(engine, key, self.short_wish())
        found = engine.trials(run.id)
        assert found is not None
        assert tuple(trial.status for trial in found) == run.trials
        assert [trial.restarts for trial in found] == [0]
        reported = [value for trial in found for point in trial.validations for value in point.metrics.values()]
        assert {trial.status.metric for trial in found} <= {*reported}
        engine.forget(key)
        kept = engine.trials(run.id)
        assert kept is not None
        assert [trial.status.id for trial in kept] == [trial.status.id for trial in found]
        assert engine.trials("987654") is None

    def test_an_evaluation_is_read_with_its_report(self, engine: TrainingEngine) -> None:
        """The very document that a look has."""
        key = owner("Experiment")
        best = self.ended(engine, key, self.short_wish()).best
        assert best is not None
        engine.start(key, "e", self.measuring_wish(best.uuid))
        measured = one(self.settle(engine, key), "e")
        found = engine.run(measured.id)
        assert measured.measurement is not None
        assert found is not None
        assert found.report == measured.measurement.raw

    def test_a_checkpoint_is_read_by_its_uuid(self, engine: TrainingEngine) -> None:
        """As a look had it when it was the best; one that nobody knows is not there."""
        run = self.ended(engine, owner("Experiment"), self.short_wish())
        best = run.best
        assert best is not None
        found = engine.checkpoint(best.uuid)
        assert found is not None
        assert (found.uri, found.run, found.trial, found.metric) == (best.uri, run.id, best.trial, best.metric)
        assert found.hparams == best.hparams
        assert engine.checkpoint("8bea272f-746e-4097-92c6-000000000000") is None

    def test_a_version_says_what_it_was_registered_for(self, engine: TrainingEngine) -> None:
        """A model or a number that nobody registered is not there."""
        key = owner("Experiment")
        best = self.ended(engine, key, self.short_wish()).best
        assert best is not None
        wanted = digest([key.name, "version"])
        number = engine.register(key.namespace, key.name, best.uuid, wanted)
        found = engine.version(key.namespace, key.name, number)
        assert found is not None
        assert (found.checkpoint, found.digest) == (best.uuid, wanted)
        assert engine.version(key.namespace, key.name, number + 1) is None
        assert engine.version(key.namespace, f"{key.name}-other", number) is None

    def test_a_model_belongs_to_a_namespace(self, engine: TrainingEngine) -> None:
        """Of the same name in another it is another model, counted from one."""
        key = owner("Experiment")
        best = self.ended(engine, key, self.short_wish()).best
        assert best is not None
        here, away = key.namespace, f"team-{key.name}"
        first, second = digest([key.name, 1]), digest([key.name, 2])
        assert engine.register(here, key.name, best.uuid, first) == 1
        assert engine.register(away, key.name, best.uuid, second) == 1
        assert engine.register(away, key.name, best.uuid, first) == 2
        assert engine.register(here, key.name, best.uuid, second) == 2
        told = [engine.version(place, key.name, 1) for place in (here, away)]
        assert [found.digest for found in told if found is not None] == [first, second]

    def test_forget_leaves_no_run_of_the_owner(self, engine: TrainingEngine) -> None:
        """Neither in a look nor, going on unseen, at the engine; others' runs go on."""
        key, other = owner("Experiment"), owner("Experiment")
        engine.start(key, "a", self.long_wish())
        engine.start(other, "a", self.long_wish())
        engine.forget(key)
        self.settle(engine, key)
        assert engine.look(key) == ()
        assert self.live(engine, key) == 0
        assert not one(engine.look(other), "a").phase.over
        engine.forget(other)

    def test_forgetting_an_unknown_owner_is_a_success(self, engine: TrainingEngine) -> None:
        """The first time and every time after."""
        key = owner("Experiment")
        engine.forget(key)
        engine.start(key, "a", self.long_wish())
        engine.forget(key)
        engine.forget(key)
        assert engine.look(key) == ()
