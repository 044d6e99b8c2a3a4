"""Data engines that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.ports.errors import Conflict, Rejected
from cdl.reconcile.release import SideFound
from cdl.testing.data_labels_contract import FOLDERS
from cdl.testing.memory import MemoryData
from cdl.testing.memory.data import Commit, Owned, Pipeline


def changed(seen, **parts):
    return dataclasses.replace(seen, **{k: tuple(v) for k, v in parts.items()})


class KnowsStrangers(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        if owner in self.owners:
            return seen
        return changed(seen, sides=[dataclasses.replace(s, head="c0") for s in seen.sides])


class CommitsOnLook(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        for commit in self._owners.get(owner, Owned()).inputs.values():
            commit.id = f"c{next(self._numbers)}"
        return seen


class KeepsOldFiles(MemoryData):
    def _commit(self, owned, side, files, key):
        before = owned.inputs.get(side)
        super()._commit(owned, side, (before.files if before else {}) | files, key)


class ForgetsTheKey(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return changed(seen, sides=[dataclasses.replace(s, ingest=None) for s in seen.sides])


class IngestsOnBothSides(MemoryData):
    def ingest(self, owner, side, key, folder):
        for each in Side:
            super().ingest(owner, each, key, folder)


class IngestsAgain(MemoryData):
    def ingest(self, owner, side, key, folder):
        head = self._owners.get(owner, Owned()).inputs.get(side)
        if head is not None:
            head.key = None
        super().ingest(owner, side, key, folder)


class ShowsHalfCommits(MemoryData):
    def look(self, owner, spec):
        owned = self._owners.get(owner, Owned())
        for side, files in owned.half.items():
            owned.inputs[side] = Commit("half", files, None, finished=True)
        return super().look(owner, spec)


class IsStuckOnHalfCommits(MemoryData):
    def ingest(self, owner, side, key, folder):
        if side in self._owners.get(owner, Owned()).half:
            message = "a commit is open"
            raise Conflict(message)
        super().ingest(owner, side, key, folder)


class WantsStepsForManifests(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return seen if spec.steps else changed(seen, manifests=[])


class ShowsManifestsOfFailures(MemoryData):
    def look(self, owner, spec):
        for pipeline in self._owners.get(owner, Owned()).pipelines.values():
            if pipeline.failure:
                return changed(super().look(owner, spec), manifests=super().look(owner, type(spec)()).manifests)
        return super().look(owner, spec)


class ReadsTheInputAlways(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        super().ensure_step(owner, side, wish, "", like)


class RunsEqualWishes(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        self._owners.get(owner, Owned()).pipelines.pop((side, wish.step.name), None)
        super().ensure_step(owner, side, wish, reads, like)


class RemembersTheOldProgram(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        pipelines = self._owners.get(owner, Owned()).pipelines
        before = pipelines.get((side, wish.step.name))
        super().ensure_step(owner, side, wish, reads, like)
        if before is not None:
            pipelines[side, wish.step.name].remembered = before.remembered


class IgnoresChangedWishes(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        before = self._owners.get(owner, Owned()).pipelines.get((side, wish.step.name))
        if before is None or before.failure:
            super().ensure_step(owner, side, wish, reads, like)


class TakesNothingOver(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        super().ensure_step(owner, side, wish, reads)


class TakesReferencesOnly(MemoryData):
    def forget(self, owner):
        whose = f"{owner.namespace}/"
        for owned in self._owners.values():
            taken = [place for place, p in owned.pipelines.items() if p.taken.startswith(whose)]
            for place in taken:
                del owned.pipelines[place]
        super().forget(owner)


class TakesWhatIsCalledSo(MemoryData):
    def _take(self, owned, side, wish, like):
        theirs = self._owners.get(like, Owned())
        equal = theirs.pipelines.get((side, wish.step.name))
        given, mine = theirs.inputs.get(side), owned.inputs.get(side)
        if equal is None or given is None or mine is None:
            return super()._take(owned, side, wish, like)
        wished, files = equal.wish, mine.files
        try:
            equal.wish, mine.files = wish, given.files
            return super()._take(owned, side, wish, like)
        finally:
            equal.wish, mine.files = wished, files


class TakesForEver(MemoryData):
    def _trigger(self, owned, side):
        for pipeline in owned.pipelines.values():
            commit = owned.read_by(side, pipeline)
            if pipeline.taken and commit is not None:
                pipeline.input = commit.id
        super()._trigger(owned, side)


class SkipsNothing(MemoryData):
    def advance(self):
        for owned in self._owners.values():
            for pipeline in owned.pipelines.values():
                pipeline.remembered = {}
        super().advance()


class HidesFailures(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return changed(seen, steps=[dataclasses.replace(s, failure="") for s in seen.steps])


class NeverMends(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        before = self._owners.get(owner, Owned()).pipelines.get((side, wish.step.name))
        if before is None or not before.failure:
            super().ensure_step(owner, side, wish, reads, like)


class DigestsTheCommit(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return changed(seen, manifests=[dataclasses.replace(m, digest=m.commit) for m in seen.manifests])


class DigestsNothing(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return changed(seen, manifests=[dataclasses.replace(m, digest="sha256:0") for m in seen.manifests])


class HidesStrays(MemoryData):
    def look(self, owner, spec):
        return changed(super().look(owner, spec), strays=[])


class CallsEveryStepAStray(MemoryData):
    def look(self, owner, spec):
        return changed(super().look(owner, spec), strays=super().look(owner, type(spec)()).strays)


class NamesTheReadBeforeTheirReaders(MemoryData):
    def look(self, owner, spec):
        seen = super().look(owner, spec)
        return changed(seen, strays=reversed(seen.strays))


class NeverRemoves(MemoryData):
    def remove_stray(self, owner, name):
        kept = self._owners.get(owner, Owned()).pipelines.copy()
        super().remove_stray(owner, name)
        if kept:
            self._owners[owner].pipelines = kept


class RemovesEveryStep(MemoryData):
    def remove_stray(self, owner, name):
        super().remove_stray(owner, name)
        self._owners.get(owner, Owned()).pipelines.clear()


class RemovesOnce(MemoryData):
    def remove_stray(self, owner, name):
        if name not in {s.name for s in self.look(owner, DataPipelineSpec()).strays}:
            message = f"pipeline {name}: is not there"
            raise Rejected(message)
        super().remove_stray(owner, name)


class RemovesAnybodys(MemoryData):
    def remove_stray(self, owner, name):
        for key in self.owners | {owner}:
            if name in {s.name for s in self.look(key, DataPipelineSpec()).strays}:
                super().remove_stray(key, name)


class RemovesWhatIsRead(MemoryData):
    def remove_stray(self, owner, name):
        for pipeline in self._owners.get(owner, Owned()).pipelines.values():
            pipeline.reads = ""
        super().remove_stray(owner, name)


class NeverForgets(MemoryData):
    def forget(self, owner):
        return


class ForgetsEverybody(MemoryData):
    def forget(self, owner):
        self._owners.clear()


class ForgetsOnce(MemoryData):
    def forget(self, owner):
        if owner not in self._owners:
            message = f"{owner}: is not there"
            raise Rejected(message)
        super().forget(owner)


class RunsStepsOnBothSides(MemoryData):
    def ensure_step(self, owner, side, wish, reads, like=None):
        for each in Side:
            self._owners.setdefault(owner, Owned()).pipelines.setdefault((each, wish.step.name), Pipeline(wish, reads))
        self._trigger(self._owners[owner], side)


class ForgetsOldCommits(MemoryData):
    def manifest(self, repo, commit, namespace="default"):
        heads = {c.id for owned in self._owners.values() for c in owned.inputs.values()}
        heads |= {p.output.id for owned in self._owners.values() for p in owned.pipelines.values() if p.output}
        return super().manifest(repo, commit, namespace) if commit in heads else None


class DigestsPaths(MemoryData):
    def manifest(self, repo, commit, namespace="default"):
        found = super().manifest(repo, commit, namespace)
        return found and {path: path for path in found}


class ListsAnotherDigest(MemoryData):
    def manifest(self, repo, commit, namespace="default"):
        found = super().manifest(repo, commit, namespace)
        return found and {path: content[::-1] for path, content in found.items()}


class ListsNothingOfNobody(MemoryData):
    def manifest(self, repo, commit, namespace="default"):
        return super().manifest(repo, commit, namespace) or {}


class ExportsTheHead(MemoryData):
    def export(self, repo, commit, folder, namespace="default"):
        for key, owned in self._owners.items():
            for side, head in owned.inputs.items():
                if (key.namespace, f"{key.name}-{side.value}") == (namespace, repo) and self.manifest(repo, commit):
                    return super().export(repo, head.id, folder, namespace)
        return super().export(repo, commit, folder, namespace)


class ExportsNothingOfNobody(MemoryData):
    def export(self, repo, commit, folder, namespace="default"):
        if self.manifest(repo, commit, namespace) is not None:
            super().export(repo, commit, folder, namespace)


class CountsNoPrograms(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        found = super().evidence(repo, commit, labels, namespace)
        return found and dataclasses.replace(found, programs=())


class NamesTheProgramsBackwards(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        found = super().evidence(repo, commit, labels, namespace)
        return found and dataclasses.replace(found, programs=found.programs[::-1])


class CountsOtherLabels(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        found = super().evidence(repo, commit, labels, namespace)
        return found and dataclasses.replace(found, labels=found.digest)


class NamesTheReadersPrograms(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        found = super().evidence(repo, commit, labels, namespace)
        return found and dataclasses.replace(found, programs=found.programs or ("reader",))


class NamesTheProgramsOfToday(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        found = super().evidence(repo, commit, labels, namespace)
        now = {p.wish.step.name: p.wish.program for o in self._owners.values() for p in o.pipelines.values()}
        if found is None or len(found.programs) != 1:
            return found
        return dataclasses.replace(found, programs=(now.get("copy", found.programs[0]),))


class ReadsFoldersAlone(MemoryData):
    def labels(self, repo, commit, labels, namespace="default"):
        return super().labels(repo, commit, FOLDERS, namespace)


class TakesTheLastOfContradictions(MemoryData):
    def labels(self, repo, commit, labels, namespace="default"):
        try:
            return super().labels(repo, commit, labels, namespace)
        except Rejected:
            return ()


class LabelsNothingOfNobody(MemoryData):
    def labels(self, repo, commit, labels, namespace="default"):
        return super().labels(repo, commit, labels, namespace) or ()


class FindsEverything(MemoryData):
    def evidence(self, repo, commit, labels, namespace="default"):
        return super().evidence(repo, commit, labels) or SideFound("", "", 0, ())


COUNTED = "test_evidence_counts_as_a_look_does"
EQUAL = "test_an_equal_result_is_taken_over_and_nothing_runs"
STAYS = "test_what_was_taken_over_stays_when_the_other_goes"
LATER = "test_what_was_taken_over_stands_for_nothing_later"
OF_THE_TIME = "test_evidence_names_the_programs_of_the_time"
LABELLED = "test_labels_stand_where_the_spec_says"
CONTRADICTED = "test_labels_that_contradict_each_other_are_refused"
LIARS = {
    CountsNoPrograms: {COUNTED, OF_THE_TIME, EQUAL},
    NamesTheProgramsBackwards: {COUNTED, EQUAL},
    CountsOtherLabels: {COUNTED, LABELLED},
    ReadsFoldersAlone: {LABELLED, CONTRADICTED},
    TakesTheLastOfContradictions: {CONTRADICTED},
    LabelsNothingOfNobody: {"test_a_commit_that_is_not_there_has_no_labels"},
    NamesTheReadersPrograms: {"test_what_somebody_wrote_was_made_by_no_program"},
    NamesTheProgramsOfToday: {OF_THE_TIME},
    FindsEverything: {"test_a_commit_that_is_not_there_is_no_evidence", EQUAL},
    ExportsTheHead: {"test_an_export_is_what_the_manifest_names"},
    ExportsNothingOfNobody: {"test_an_export_is_what_the_manifest_names"},
    KnowsStrangers: {
        "test_an_unknown_owner_is_an_empty_report",
        "test_forget_removes_everything_of_the_owner_alone",
    },
    CommitsOnLook: {
        EQUAL,
        STAYS,
        LATER,
        LABELLED,
        CONTRADICTED,
        "test_what_somebody_wrote_was_made_by_no_program",
        "test_somebody_elses_pipeline_is_not_removed",
        "test_a_stray_that_is_read_is_not_removed",
        "test_looking_changes_nothing",
        "test_a_half_written_commit_leaves_the_head_before_it",
        "test_a_second_ingest_of_the_same_key_changes_nothing",
        "test_forget_removes_everything_of_the_owner_alone",
        "test_a_manifest_has_every_file_of_a_commit",
        "test_an_export_is_what_the_manifest_names",
    },
    KeepsOldFiles: {"test_ingest_makes_the_head_hold_exactly_the_folder"},
    ForgetsTheKey: {
        "test_the_head_is_called_by_the_ingests_key",
        "test_a_half_written_commit_is_never_seen_and_never_in_the_way",
    },
    IngestsOnBothSides: {
        "test_a_side_without_steps_has_its_input_as_manifest",
        "test_the_head_is_called_by_the_ingests_key",
    },
    IngestsAgain: {
        "test_a_second_ingest_of_the_same_key_changes_nothing",
        "test_a_half_written_commit_leaves_the_head_before_it",
    },
    ShowsHalfCommits: {
        "test_a_half_written_commit_leaves_the_head_before_it",
        "test_a_half_written_commit_is_never_seen_and_never_in_the_way",
    },
    IsStuckOnHalfCommits: {"test_a_half_written_commit_is_never_seen_and_never_in_the_way"},
    WantsStepsForManifests: {
        "test_a_commit_that_is_not_there_has_no_labels",
        LABELLED,
        CONTRADICTED,
        "test_a_side_without_steps_has_its_input_as_manifest",
        "test_equal_contents_have_equal_manifests",
        "test_ingest_makes_the_head_hold_exactly_the_folder",
    },
    ShowsManifestsOfFailures: {"test_a_failed_step_says_so_and_makes_no_manifest"},
    ReadsTheInputAlways: {
        COUNTED,
        "test_a_step_reads_the_step_before_it",
        "test_a_step_that_is_not_asked_for_any_more_is_a_stray",
        "test_a_stray_that_is_read_is_not_removed",
    },
    RunsEqualWishes: {"test_an_equal_wish_runs_nothing"},
    RemembersTheOldProgram: {"test_a_changed_wish_processes_everything_again"},
    IgnoresChangedWishes: {OF_THE_TIME, "test_a_changed_wish_processes_everything_again"},
    SkipsNothing: {"test_equal_files_are_not_processed_again"},
    HidesFailures: {"test_a_failed_step_says_so_and_makes_no_manifest"},
    NeverMends: {"test_a_mended_step_runs_again"},
    DigestsTheCommit: {
        EQUAL,
        COUNTED,
        "test_a_manifest_is_what_a_look_has_the_digest_of",
        "test_equal_contents_have_equal_manifests",
        "test_ingest_makes_the_head_hold_exactly_the_folder",
    },
    DigestsNothing: {
        COUNTED,
        "test_a_manifest_is_what_a_look_has_the_digest_of",
        "test_equal_contents_have_equal_manifests",
    },
    HidesStrays: {
        "test_a_step_that_is_not_asked_for_any_more_is_a_stray",
        "test_a_removed_stray_is_gone_and_the_others_stay",
        "test_removing_a_stray_that_is_not_there_is_a_success",
        "test_somebody_elses_pipeline_is_not_removed",
        "test_a_stray_that_is_read_is_not_removed",
    },
    CallsEveryStepAStray: {
        "test_a_step_that_is_not_asked_for_any_more_is_a_stray",
        "test_a_removed_stray_is_gone_and_the_others_stay",
    },
    NamesTheReadBeforeTheirReaders: {"test_a_step_that_is_not_asked_for_any_more_is_a_stray"},
    NeverRemoves: {
        "test_a_removed_stray_is_gone_and_the_others_stay",
        "test_removing_a_stray_that_is_not_there_is_a_success",
    },
    RemovesEveryStep: {"test_a_removed_stray_is_gone_and_the_others_stay"},
    RemovesOnce: {"test_removing_a_stray_that_is_not_there_is_a_success"},
    RemovesAnybodys: {"test_somebody_elses_pipeline_is_not_removed"},
    RemovesWhatIsRead: {"test_a_stray_that_is_read_is_not_removed"},
    TakesNothingOver: {EQUAL, LATER},
    TakesReferencesOnly: {STAYS},
    TakesWhatIsCalledSo: {"test_what_is_not_equal_is_computed", LATER},
    TakesForEver: {LATER},
    NeverForgets: {
        STAYS,
        "test_a_commit_that_is_not_there_is_no_evidence",
        "test_a_commit_that_is_not_there_has_no_manifest",
        "test_forget_removes_everything_of_the_owner_alone",
        "test_forgetting_what_is_not_there_is_a_success",
    },
    ForgetsEverybody: {STAYS, "test_forget_removes_everything_of_the_owner_alone"},
    ForgetsOnce: {"test_forgetting_what_is_not_there_is_a_success"},
    ForgetsOldCommits: {"test_a_manifest_has_every_file_of_a_commit"},
    DigestsPaths: {
        "test_a_manifest_has_every_file_of_a_commit",
        "test_a_manifest_is_what_a_look_has_the_digest_of",
    },
    ListsAnotherDigest: {"test_a_manifest_is_what_a_look_has_the_digest_of"},
    ListsNothingOfNobody: {"test_a_commit_that_is_not_there_has_no_manifest"},
    RunsStepsOnBothSides: {
        EQUAL,
        LATER,
        OF_THE_TIME,
        "test_a_step_that_is_not_asked_for_any_more_is_a_stray",
        "test_a_removed_stray_is_gone_and_the_others_stay",
        "test_removing_a_stray_that_is_not_there_is_a_success",
        "test_somebody_elses_pipeline_is_not_removed",
        "test_a_step_runs_over_its_side_and_makes_the_manifest",
        "test_a_changed_wish_processes_everything_again",
        "test_a_mended_step_runs_again",
    },
}
