"""Training engines that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.ports.errors import Rejected
from cdl.reconcile.experiment import RunPhase
from cdl.reconcile.release import CheckpointFound, RunFound
from cdl.testing.memory import MemoryTraining
from cdl.testing.memory.training import Run, _checkpoint


class KnowsStrangers(MemoryTraining):
    def look(self, owner):
        return tuple(self._seen(r) for r in self.runs if not r.archived)


class InventsRuns(MemoryTraining):
    def look(self, owner):
        return super().look(owner) or (self._seen(Run(owner, "x", "0", None, RunPhase.CANCELED)),)


class StartsNothing(MemoryTraining):
    def start(self, owner, key, wish):
        if not any(r.owner == owner for r in self.runs):
            super().start(owner, key, wish)


class StartsTwice(MemoryTraining):
    def start(self, owner, key, wish):
        run = self._find(owner, key)
        if run is not None and run.live and run.phase is not RunPhase.PAUSED:
            self.runs.insert(0, Run(owner, key, str(len(self.runs) + 1), wish))
        super().start(owner, key, wish)


class StartsAnew(MemoryTraining):
    def start(self, owner, key, wish):
        run = self._find(owner, key)
        if run is not None and run.live and run.phase is not RunPhase.PAUSED:
            run.id += "+"
        super().start(owner, key, wish)


class CountsLooks(MemoryTraining):
    def look(self, owner):
        for run in self.runs:
            run.slot_seconds += run.phase is RunPhase.SUCCEEDED
        return super().look(owner)


class HidesTheBest(MemoryTraining):
    def look(self, owner):
        return tuple(dataclasses.replace(r, best=None) for r in super().look(owner))


class HidesTrials(MemoryTraining):
    def look(self, owner):
        return tuple(dataclasses.replace(r, trials=()) for r in super().look(owner))


class HidesMeasurements(MemoryTraining):
    def look(self, owner):
        return tuple(dataclasses.replace(r, measurement=None) for r in super().look(owner))


class OffersEvaluations(MemoryTraining):
    def look(self, owner):
        runs = {r.id: r for r in self.runs}
        return tuple(
            dataclasses.replace(s, best=_checkpoint(runs[s.id])) if s.measurement else s for s in super().look(owner)
        )


class OffersFailures(MemoryTraining):
    def look(self, owner):
        runs = {r.id: r for r in self.runs}
        return tuple(
            dataclasses.replace(s, best=_checkpoint(runs[s.id])) if s.phase is RunPhase.FAILED else s
            for s in super().look(owner)
        )


class HasNoLastWords(MemoryTraining):
    def look(self, owner):
        return tuple(dataclasses.replace(r, failure="") for r in super().look(owner))


class Revives(MemoryTraining):
    def start(self, owner, key, wish):
        super().start(owner, key, wish)
        run = self._find(owner, key)
        if run.phase is RunPhase.SUCCEEDED:
            run.phase = RunPhase.QUEUED


class RevivesTheStopped(MemoryTraining):
    def start(self, owner, key, wish):
        super().start(owner, key, wish)
        run = self._find(owner, key)
        if run.phase is RunPhase.CANCELED:
            run.phase = RunPhase.QUEUED


class LeavesPaused(MemoryTraining):
    def start(self, owner, key, wish):
        if self._find(owner, key) is None:
            super().start(owner, key, wish)


class NeverStops(MemoryTraining):
    def stop(self, owner, key):
        return


class StopsTheOwner(MemoryTraining):
    def stop(self, owner, key):
        for run in self.runs:
            if run.owner == owner:
                super().stop(owner, run.key)


class StopsTheKey(MemoryTraining):
    def stop(self, owner, key):
        for run in self.runs:
            if run.key == key:
                super().stop(run.owner, key)


class StopsWhatEnded(MemoryTraining):
    def stop(self, owner, key):
        super().stop(owner, key)
        run = self._find(owner, key)
        if run is not None:
            run.phase = RunPhase.CANCELED


class StopsOnlyWhatIsThere(MemoryTraining):
    def stop(self, owner, key):
        if self._find(owner, key) is None:
            message = f"no run {key}"
            raise Rejected(message)
        super().stop(owner, key)


class NumbersEveryCall(MemoryTraining):
    def register(self, namespace, model, checkpoint, digest):
        kept = self._registry.setdefault((namespace, model), [])
        kept.append(digest)
        return len(kept)


class KnowsOneNumber(MemoryTraining):
    def register(self, namespace, model, checkpoint, digest):
        return 1


class CountsFromZero(MemoryTraining):
    def register(self, namespace, model, checkpoint, digest):
        return super().register(namespace, model, checkpoint, digest) - 1


class HasOneRegistry(MemoryTraining):
    def register(self, namespace, model, checkpoint, digest):
        return super().register(namespace, "all", checkpoint, f"{model}{digest}")


class CountsOverAllNamespaces(MemoryTraining):
    def register(self, namespace, model, checkpoint, digest):
        return super().register("all", model, checkpoint, digest)

    def version(self, namespace, model, number):
        return super().version("all", model, number)


class ForgetsWithoutStopping(MemoryTraining):
    def forget(self, owner):
        for run in self.runs:
            if run.owner == owner:
                run.archived = True
                run.phase = RunPhase.QUEUED

    def advance(self):
        kept = [(r, r.phase) for r in self.runs if r.archived]
        super().advance()
        for run, phase in kept:
            run.phase = phase


class StopsWithoutForgetting(MemoryTraining):
    def forget(self, owner):
        for run in self.runs:
            if run.owner == owner:
                self._end(run, RunPhase.CANCELED)


class ForgetsEverybody(MemoryTraining):
    def forget(self, owner):
        for run in self.runs:
            super().forget(run.owner)


class ForgetsOnce(MemoryTraining):
    def forget(self, owner):
        if not self.look(owner):
            message = f"{owner}: is not there"
            raise Rejected(message)
        super().forget(owner)


class AddsToNothing(MemoryTraining):
    def run(self, run):
        found = super().run(run)
        return found and dataclasses.replace(found, config={})


class KnowsRunsUntilPutAway(MemoryTraining):
    def run(self, run):
        return super().run(run) if any(r.id == run and not r.archived for r in self.runs) else None


class InventsARun(MemoryTraining):
    def run(self, run):
        return super().run(run) or RunFound("", None, {})


class KnowsTrialsUntilPutAway(MemoryTraining):
    def trials(self, run):
        return super().trials(run) if any(r.id == run and not r.archived for r in self.runs) else None


class HasNoTrialsOfNothing(MemoryTraining):
    def trials(self, run):
        return super().trials(run) or ()


class ForgetsWhatTrialsSaid(MemoryTraining):
    def trials(self, run):
        found = super().trials(run)
        return found and tuple(dataclasses.replace(trial, validations=()) for trial in found)


class CountsRestartsFromOne(MemoryTraining):
    def trials(self, run):
        found = super().trials(run)
        return found and tuple(dataclasses.replace(trial, restarts=1) for trial in found)


class KeepsReportsToItself(MemoryTraining):
    def run(self, run):
        found = super().run(run)
        return found and dataclasses.replace(found, report=None)


class NamesAnotherPlace(MemoryTraining):
    def checkpoint(self, uuid):
        found = super().checkpoint(uuid)
        return found and dataclasses.replace(found, uri=f"{found.uri}/")


class InventsACheckpoint(MemoryTraining):
    def checkpoint(self, uuid):
        return super().checkpoint(uuid) or CheckpointFound("memory:///", "1", 1, 1.0, {})


class MixesUpVersions(MemoryTraining):
    def version(self, namespace, model, number):
        return self.versions.get((namespace, model, number)) or next(iter(self.versions.values()), None)


class ForgetsTheDigest(MemoryTraining):
    def version(self, namespace, model, number):
        found = super().version(namespace, model, number)
        return found and dataclasses.replace(found, digest="")


ENDED = "test_an_ended_run_has_its_trials_and_its_best_checkpoint"
MEASURED = "test_an_evaluation_has_its_measurement"
STOPPED = "test_a_stopped_run_is_over_and_stays_over"
HARMLESS = "test_stopping_what_is_not_there_or_has_ended_is_a_success"
ALONE = "test_stop_stops_that_key_alone"
NUMBERED = "test_versions_are_counted_from_one_and_never_given_twice"
APART = "test_a_model_belongs_to_a_namespace"
FORGOTTEN = "test_forget_leaves_no_run_of_the_owner"
REPORT = "test_an_evaluation_is_read_with_its_report"
READ = "test_a_run_is_read_by_its_id"
TRIALS = "test_trials_are_read_with_what_they_reported"
LOOKED_UP = "test_a_checkpoint_is_read_by_its_uuid"
VERSION = "test_a_version_says_what_it_was_registered_for"
LIARS = {
    AddsToNothing: {READ},
    KnowsRunsUntilPutAway: {READ},
    InventsARun: {READ},
    KnowsTrialsUntilPutAway: {TRIALS},
    HasNoTrialsOfNothing: {TRIALS},
    ForgetsWhatTrialsSaid: {TRIALS},
    CountsRestartsFromOne: {TRIALS},
    KeepsReportsToItself: {REPORT},
    NamesAnotherPlace: {LOOKED_UP},
    InventsACheckpoint: {LOOKED_UP},
    MixesUpVersions: {VERSION},
    ForgetsTheDigest: {VERSION, APART},
    KnowsStrangers: {
        "test_start_makes_one_run_of_that_key",
        FORGOTTEN,
        ALONE,
    },
    InventsRuns: {
        "test_an_unknown_owner_is_an_empty_report",
        FORGOTTEN,
        "test_forgetting_an_unknown_owner_is_a_success",
        "test_start_makes_one_run_of_that_key",
        HARMLESS,
    },
    StartsNothing: {
        REPORT,
        "test_another_key_is_another_run",
        "test_a_paused_run_goes_on_when_it_is_wanted",
        MEASURED,
        ALONE,
    },
    StartsTwice: {"test_a_second_start_changes_nothing"},
    StartsAnew: {"test_a_second_start_changes_nothing"},
    CountsLooks: {
        "test_looking_changes_nothing",
        "test_an_ended_run_is_never_revived",
        HARMLESS,
    },
    HidesTheBest: {
        LOOKED_UP,
        VERSION,
        REPORT,
        ENDED,
        MEASURED,
        NUMBERED,
        APART,
    },
    HidesTrials: {ENDED, TRIALS},
    HidesMeasurements: {REPORT, MEASURED},
    OffersEvaluations: {MEASURED},
    OffersFailures: {"test_a_failed_run_has_its_last_words"},
    HasNoLastWords: {"test_a_failed_run_has_its_last_words"},
    Revives: {"test_an_ended_run_is_never_revived"},
    RevivesTheStopped: {STOPPED},
    LeavesPaused: {"test_a_paused_run_goes_on_when_it_is_wanted"},
    NeverStops: {STOPPED},
    StopsTheOwner: {ALONE},
    StopsTheKey: {ALONE},
    StopsWhatEnded: {HARMLESS},
    StopsOnlyWhatIsThere: {HARMLESS},
    NumbersEveryCall: {VERSION, NUMBERED, APART},
    KnowsOneNumber: {VERSION, NUMBERED, APART},
    CountsFromZero: {VERSION, NUMBERED, APART},
    HasOneRegistry: {VERSION, NUMBERED, APART},
    CountsOverAllNamespaces: {APART},
    ForgetsWithoutStopping: {FORGOTTEN},
    StopsWithoutForgetting: {
        FORGOTTEN,
        "test_forgetting_an_unknown_owner_is_a_success",
    },
    ForgetsEverybody: {FORGOTTEN},
    ForgetsOnce: {"test_forgetting_an_unknown_owner_is_a_success"},
}
