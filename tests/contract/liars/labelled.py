"""Engines of people's labels that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.ports.errors import PortError
from cdl.testing.memory import MemoryLabelled

NOBODY = "test_nobody_has_labels_at_first"
ANSWERS = "test_answers_are_one_commit_whose_files_are_the_table_alone"
FILES = "test_labelled_files_lie_where_they_are_wanted"
AGAIN = "test_the_same_once_more_changes_nothing"
MOVED = "test_another_label_moves_a_file_and_leaves_the_rest"
LOST = "test_a_file_that_is_not_there_is_refused"
FORGET = "test_everything_goes_with_the_owners_data"


class MakesLabelsByLooking(MemoryLabelled):
    def look(self, owner):
        if not self.commits(owner, f"{owner.name}-labels"):
            self.keep(owner, "made", b"")
        return super().look(owner)


class CommitsEachTime(MemoryLabelled):
    def keep(self, owner, key, table):
        self.data.beside(owner, f"{owner.name}-labels").clear()
        super().keep(owner, key, table)


class ArrangesEachTime(MemoryLabelled):
    def arrange(self, owner, wanted):
        self.data.beside(owner, f"{owner.name}-{wanted.side}_labelled").clear()
        super().arrange(owner, wanted)


class LeavesTheNoteOut(MemoryLabelled):
    def arrange(self, owner, wanted):
        super().arrange(owner, dataclasses.replace(wanted, note=b""))


class MovesNothing(MemoryLabelled):
    def arrange(self, owner, wanted):
        if not super().look(owner).arranged:
            super().arrange(owner, wanted)


class TakesWhatIsThere(MemoryLabelled):
    def arrange(self, owner, wanted):
        try:
            super().arrange(owner, wanted)
        except PortError:
            super()._written(owner, f"{owner.name}-{wanted.side}_labelled", wanted.key, {}, ())


class ForgetsNothing(MemoryLabelled):
    def __init__(self):
        super().__init__()
        self.data.forget = lambda _: None


LIARS = {
    MakesLabelsByLooking: {NOBODY, FORGET},
    CommitsEachTime: {ANSWERS},
    ArrangesEachTime: {AGAIN, MOVED},
    LeavesTheNoteOut: {FILES},
    MovesNothing: {MOVED},
    TakesWhatIsThere: {LOST},
    ForgetsNothing: {FORGET},
}
