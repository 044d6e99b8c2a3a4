"""Label stores that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.api.canonical import digest
from cdl.api.v1alpha1.datapipeline import Side
from cdl.reconcile.datapipeline import LabelRow
from cdl.testing.memory import MemoryLabels


class KnowsStrangers(MemoryLabels):
    def newest(self, owner):
        return super().newest(owner) or next((s[-1][0].version for s in self.sets.values() if s), "")


class GivesTheNewestInstead(MemoryLabels):
    def stored(self, owner, version):
        return super().stored(owner, version) or super().stored(owner, super().newest(owner))


class ForgetsWhoSaidSo(MemoryLabels):
    def stored(self, owner, version):
        found = super().stored(owner, version)
        return found and dataclasses.replace(
            found, rows={s: tuple(LabelRow(r.item, r.label) for r in rows) for s, rows in found.rows.items()}
        )


class KeepsTheFirst(MemoryLabels):
    def newest(self, owner):
        return self.sets[owner][0][0].version if self.sets.get(owner) else ""


class TakesEverythingTwice(MemoryLabels):
    def store(self, owner, dataset, source, rows, at):
        sets = self.sets[owner]
        if not sets or sets[-1][0].version != dataset.version:
            return super().store(owner, dataset, source, rows, at)
        last = sets[-1]
        sets[-1] = (last[0].model_copy(update={"version": digest("nothing")}), *last[1:])
        super().store(owner, dataset, source, rows, at)
        sets[-2] = last
        return None


class ForgetsOldVersions(MemoryLabels):
    def stored(self, owner, version):
        return super().stored(owner, version) if version == super().newest(owner) else None


class TellsTheLastSpell(MemoryLabels):
    def history(self, owner, item):
        return super().history(owner, item)[-1:]


class TellsTheReadingOfToday(MemoryLabels):
    def history(self, owner, item):
        commit = f"train-{len(self.sets.get(owner, ()))}"
        return tuple(dataclasses.replace(s, commit=commit) for s in super().history(owner, item))


class LooksAtLabelsAlone(MemoryLabels):
    """Who said so is kept as it was the first time."""

    def store(self, owner, dataset, source, rows, at):
        before = super().stored(owner, super().newest(owner))
        known = {(s, r.item, r.label): r for s, given in (before.rows if before else {}).items() for r in given}
        same = {s: [known.get((s, r.item, r.label), r) for r in given] for s, given in rows.items()}
        super().store(owner, dataset, source, same, at)


class ClosesGaps(MemoryLabels):
    def history(self, owner, item):
        spells = super().history(owner, item)
        if len({(s.label, s.annotator, s.side) for s in spells}) < len(spells):
            return (dataclasses.replace(spells[0], until=spells[-1].until),)
        return spells


class KnowsTrainAlone(MemoryLabels):
    def history(self, owner, item):
        return tuple(s for s in super().history(owner, item) if s.side is Side.TRAIN)


class MixesNamespaces(MemoryLabels):
    def store(self, owner, dataset, source, rows, at):
        super().store(dataclasses.replace(owner, namespace="default"), dataset, source, rows, at)


class SkipsWhatIsEmpty(MemoryLabels):
    def store(self, owner, dataset, source, rows, at):
        if any(rows.values()):
            super().store(owner, dataset, source, rows, at)


UNKNOWN = "test_nothing_is_known_of_what_was_never_stored"
LETTER = "test_what_was_stored_is_there_to_the_letter"
NEWEST = "test_the_last_stored_is_the_newest"
TWICE = "test_storing_the_newest_again_changes_nothing"
KEEPS = "test_a_version_keeps_its_labels_whatever_comes_later"
HISTORY = "test_a_history_tells_each_label_and_where_it_was_read"
ANNOTATOR = "test_another_annotator_is_another_spell"
GAP = "test_what_went_and_comes_back_has_a_gap"
APART = "test_sides_and_owners_are_apart"
EMPTY = "test_a_version_without_labels_ends_them_all"

LIARS = {
    KnowsStrangers: {UNKNOWN},
    GivesTheNewestInstead: {UNKNOWN},
    ForgetsWhoSaidSo: {LETTER},
    KeepsTheFirst: {NEWEST, EMPTY},
    TakesEverythingTwice: {TWICE},
    ForgetsOldVersions: {KEEPS, GAP},
    TellsTheLastSpell: {HISTORY, ANNOTATOR, GAP, APART},
    TellsTheReadingOfToday: {HISTORY},
    LooksAtLabelsAlone: {ANNOTATOR},
    ClosesGaps: {GAP},
    KnowsTrainAlone: {APART},
    MixesNamespaces: {APART},
    SkipsWhatIsEmpty: {EMPTY},
}
