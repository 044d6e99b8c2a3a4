"""Collectors that break one promise each."""

from __future__ import annotations

import contextlib
import hashlib

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.datapipeline import SourceSeen
from cdl.testing.memory import MemorySources


class FetchesOnLook(MemorySources):
    def look(self, sources):
        for source in sources:
            with contextlib.suppress(Rejected, Unavailable):
                self.collect(source)
        return super().look(sources)


class DigestsTheName(MemorySources):
    def look(self, sources):
        return tuple(
            SourceSeen(s.name, hashlib.sha256(s.name.encode()).hexdigest() if s.digest else None)
            for s in super().look(sources)
        )


class FetchesEveryTime(MemorySources):
    def collect(self, source, due=None):
        self._kept.pop((source.uri, source.sha256), None)
        super().collect(source, due)


class IgnoresDueTimes(MemorySources):
    def collect(self, source, due=None):
        super().collect(source)


class ForgetsForWhen(MemorySources):
    def look(self, sources):
        return tuple(SourceSeen(s.name, s.digest) for s in super().look(sources))


class KeepsADueTimeTwice(MemorySources):
    def collect(self, source, due=None):
        if due is not None:
            self._due.pop((source.uri, source.sha256), None)
        super().collect(source, due)


class GivesUpWhatItHas(MemorySources):
    def collect(self, source, due=None):
        if due is not None:
            self._kept.pop((source.uri, source.sha256), None)
        super().collect(source, due)


class IgnoresChecksums(MemorySources):
    def _fetch(self, source, uri):
        return super()._fetch(source.model_copy(update={"sha256": None}), uri)


class KeepsWhatIsWrong(MemorySources):
    def collect(self, source, due=None):
        try:
            super().collect(source, due)
        except Rejected:
            if source.uri in self.places:
                self._kept[source.uri, source.sha256] = self.places[source.uri]
            raise


class HidesWhatItFound(MemorySources):
    def collect(self, source, due=None):
        try:
            super().collect(source, due)
        except Rejected as error:
            message = f"source {source.name}: wrong"
            raise Rejected(message, Reason.SOURCE_UNUSABLE) from error


class HopesForMissingFiles(MemorySources):
    def collect(self, source, due=None):
        if source.uri not in self.places and source.uri not in self.silent:
            message = f"source {source.name}: perhaps later"
            raise Unavailable(message)
        super().collect(source, due)


class GivesUpOnSilence(MemorySources):
    def collect(self, source, due=None):
        try:
            super().collect(source, due)
        except Unavailable as error:
            raise Rejected(str(error), Reason.SOURCE_UNUSABLE) from error


class IgnoresMirrors(MemorySources):
    def collect(self, source, due=None):
        if source.mirrors and source.uri in self.silent:
            message = "nobody answers"
            raise Unavailable(message)
        super().collect(source, due)


class KeepsTheTop(MemorySources):
    def _files(self, source):
        return super()._files(source.model_copy(update={"strip": 0}))


class IgnoresSides(MemorySources):
    def lay_out(self, sources, split, side):
        if split is None:
            side = Side.TRAIN
        return super().lay_out(sources, split, side)


class LosesOne(MemorySources):
    def lay_out(self, sources, split, side):
        made = super().lay_out(sources, split, side)
        if split is not None:
            min(p for p in made.rglob("*") if p.is_file()).unlink()
        return made


class SplitsByChance(MemorySources):
    def lay_out(self, sources, split, side):
        if split is not None and side is Side.TEST:
            split = split.model_copy(update={"seed": split.seed + len(self.fetched) - 1})
            self.fetched.append("again")
        return super().lay_out(sources, split, side)


class IgnoresTheSeed(MemorySources):
    def lay_out(self, sources, split, side):
        return super().lay_out(sources, split and split.model_copy(update={"seed": 1}), side)


class SplitsByName(MemorySources):
    def lay_out(self, sources, split, side):
        if split is None:
            return super().lay_out(sources, split, side)
        parts = [super(SplitsByName, self).lay_out(sources, split, each) for each in Side]
        made = self._folder / f"by-name-{next(self._numbers)}"
        for part in parts:
            for path in (p for p in part.rglob("*") if p.is_file()):
                name = path.relative_to(part)
                point = hashlib.sha256(f"{split.seed}:{name}".encode()).digest()[0] / 256
                if (point < split.test) is (side is Side.TEST):
                    (made / name).parent.mkdir(parents=True, exist_ok=True)
                    (made / name).write_bytes(path.read_bytes())
        return made


class TakesBrokenArchives(MemorySources):
    def lay_out(self, sources, split, side):
        try:
            return super().lay_out(sources, split, side)
        except Rejected:
            return self._folder


LIARS = {
    FetchesOnLook: {"test_looking_fetches_nothing", "test_a_collected_source_is_at_hand_with_its_digest"},
    DigestsTheName: {
        "test_a_due_time_is_kept_once",
        "test_a_fetch_that_fails_leaves_what_is_at_hand",
        "test_what_is_due_is_fetched_again",
        "test_a_collected_source_is_at_hand_with_its_digest",
        "test_collecting_again_changes_nothing",
        "test_mirrors_come_after_the_place_itself",
    },
    FetchesEveryTime: {
        "test_a_due_time_is_kept_once",
        "test_a_fetch_that_fails_leaves_what_is_at_hand",
        "test_what_is_due_is_fetched_again",
        "test_collecting_again_changes_nothing",
    },
    IgnoresDueTimes: {
        "test_what_is_due_is_fetched_again",
        "test_a_due_time_is_kept_once",
        "test_a_fetch_that_fails_leaves_what_is_at_hand",
    },
    ForgetsForWhen: {"test_what_is_due_is_fetched_again", "test_a_due_time_is_kept_once"},
    KeepsADueTimeTwice: {"test_a_due_time_is_kept_once"},
    GivesUpWhatItHas: {"test_a_fetch_that_fails_leaves_what_is_at_hand", "test_a_due_time_is_kept_once"},
    IgnoresChecksums: {"test_a_wrong_checksum_is_rejected_and_not_kept"},
    KeepsWhatIsWrong: {"test_a_wrong_checksum_is_rejected_and_not_kept"},
    HidesWhatItFound: {"test_a_wrong_checksum_is_rejected_and_not_kept"},
    HopesForMissingFiles: {
        "test_a_fetch_that_fails_leaves_what_is_at_hand",
        "test_a_missing_source_is_rejected",
        "test_collecting_again_changes_nothing",
    },
    GivesUpOnSilence: {"test_a_silent_place_is_unavailable"},
    IgnoresMirrors: {"test_mirrors_come_after_the_place_itself"},
    KeepsTheTop: {"test_a_side_is_laid_out_as_it_is"},
    IgnoresSides: {"test_a_side_is_laid_out_as_it_is"},
    LosesOne: {"test_a_split_puts_every_file_on_exactly_one_side"},
    SplitsByChance: {"test_the_same_split_gives_the_same_sides"},
    IgnoresTheSeed: {"test_the_same_split_gives_the_same_sides"},
    SplitsByName: {"test_equal_contents_never_lie_on_both_sides"},
    TakesBrokenArchives: {"test_a_broken_archive_is_rejected"},
}
