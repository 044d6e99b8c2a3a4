"""Raw pipelines that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.reconcile.datapipeline import RawSeen
from cdl.testing.memory import MemoryRaw

RUNS = "test_a_pipeline_runs_and_is_told_of"
EQUAL = "test_an_equal_wish_runs_nothing"
CHANGED = "test_a_changed_wish_runs_again"
OTHERS = "test_somebody_elses_pipeline_is_left_alone"
READERS = "test_readers_come_first_and_go_first"
FORGET = "test_forget_removes_everything_of_the_owner_alone"


class KnowsStrangers(MemoryRaw):
    def look(self, owner):
        return super().look(owner) or (RawSeen("stranger", ""),)


class ReadsNothing(MemoryRaw):
    def look(self, owner):
        return tuple(dataclasses.replace(found, reads=()) for found in super().look(owner))


class RunsEqualWishes(MemoryRaw):
    def ensure(self, owner, wish):
        self.pipelines.pop((owner.namespace, wish.name), None)
        super().ensure(owner, wish)


class NeverMends(MemoryRaw):
    def ensure(self, owner, wish):
        if self._owned(owner, wish.name) is None:
            super().ensure(owner, wish)


class TakesAnybodys(MemoryRaw):
    def _owned(self, owner, name):
        return self.pipelines.get((owner.namespace, name))


class NamesTheReadFirst(MemoryRaw):
    def look(self, owner):
        return super().look(owner)[::-1]


class ForgetsEverybody(MemoryRaw):
    def forget(self, owner):
        self.pipelines.clear()


LIARS = {
    KnowsStrangers: {"test_an_unknown_owner_has_none", OTHERS, READERS, FORGET},
    ReadsNothing: {RUNS},
    RunsEqualWishes: {EQUAL, OTHERS},
    NeverMends: {CHANGED},
    TakesAnybodys: {OTHERS},
    NamesTheReadFirst: {READERS},
    ForgetsEverybody: {FORGET},
}
