"""Engines whose pulse breaks one promise each."""

from __future__ import annotations

import itertools

from cdl.testing.memory import MemoryData, MemoryServing, MemoryTraining


class NeverChanges:
    def beat(self):
        return dict.fromkeys(super().beat(), "all is well")


class AlwaysChanges:
    beats = itertools.count()

    def beat(self):
        return {owner: f"{text} {next(self.beats)}" for owner, text in super().beat().items()}


class SharesOneText:
    def beat(self):
        found = super().beat()
        return dict.fromkeys(found, str(sorted(found.items())))


class NamesWhomItWasAskedFor:
    def __init__(self):
        super().__init__()
        self.asked = []

    def look(self, owner, *rest):
        self.asked.append(owner)
        return super().look(owner, *rest)

    def beat(self):
        return dict.fromkeys(self.asked, "asked for") | super().beat()


class NeverForgets:
    def __init__(self):
        super().__init__()
        self.known = {}

    def beat(self):
        self.known |= super().beat()
        return dict(self.known)


def liars(engine):
    """Each lie, told by one engine."""
    changes = "test_whatever_a_look_sees_differently_changes_the_text"
    stays = "test_the_text_stays_while_nothing_changes"
    named = "test_who_is_forgotten_is_named_no_more"
    nobody = "test_nobody_is_named_of_whom_nothing_is_held"
    told = {
        NeverChanges: {changes},
        AlwaysChanges: {stays, named},
        SharesOneText: {stays, named},
        NamesWhomItWasAskedFor: {nobody, named},
        NeverForgets: {named},
    }
    return {type(f"{lie.__name__}Of{engine.__name__}", (lie, engine), {}): refused for lie, refused in told.items()}


DATA_LIARS, TRAINING_LIARS, SERVING_LIARS = (liars(engine) for engine in (MemoryData, MemoryTraining, MemoryServing))
