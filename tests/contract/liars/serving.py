"""Serving engines that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.ports.errors import Rejected
from cdl.reconcile.modeldeployment import ServingPhase, ServingSeen
from cdl.testing.memory import MemoryServing
from cdl.testing.memory.serving import Deployed


class KnowsStrangers(MemoryServing):
    def look(self, owner):
        return super().look(owner) or ServingSeen("", "", ServingPhase.CREATING)


class DeploysOnLook(MemoryServing):
    def look(self, owner):
        seen = super().look(owner)
        if seen and seen.phase is ServingPhase.AVAILABLE:
            now = self.deployed[owner]
            now.wish = dataclasses.replace(now.wish, release=dataclasses.replace(now.wish.release, document="x"))
        return seen


class HidesTheUrl(MemoryServing):
    def look(self, owner):
        seen = super().look(owner)
        return seen and dataclasses.replace(seen, url="")


class StartsEqualWishesAnew(MemoryServing):
    def serve(self, owner, wish):
        now = self.deployed.get(owner)
        if now and now.wish.key == wish.key:
            now.phase = ServingPhase.CREATING
        super().serve(owner, wish)


class DropsTheOldFirst(MemoryServing):
    def serve(self, owner, wish):
        now = self.deployed.get(owner)
        super().serve(owner, wish)
        if now and now.wish.release.version == 1 and wish.release.version == 2:
            self.deployed[owner].answering = None


class NeverTakesOver(MemoryServing):
    def advance(self):
        before = {owner: now.answering for owner, now in self.deployed.items()}
        super().advance()
        for owner, answering in before.items():
            self.deployed[owner].answering = answering or self.deployed[owner].answering


class SaysAvailableOfTheOldOne(MemoryServing):
    def look(self, owner):
        seen, now = super().look(owner), self.deployed.get(owner)
        if seen and now.answering and seen.phase is ServingPhase.CREATING:
            return dataclasses.replace(seen, phase=ServingPhase.AVAILABLE)
        return seen


class LosesTheOldOnFailure(MemoryServing):
    def advance(self):
        super().advance()
        for now in self.deployed.values():
            if now.phase is ServingPhase.FAILED:
                now.answering = None


class FailsWithoutAWord(MemoryServing):
    def look(self, owner):
        seen = super().look(owner)
        return seen and dataclasses.replace(seen, message="")


class StaysFailed(MemoryServing):
    def serve(self, owner, wish):
        now = self.deployed.get(owner)
        if now is None or now.phase is not ServingPhase.FAILED:
            super().serve(owner, wish)


class ServesWhatNobodyApproved(MemoryServing):
    def serve(self, owner, wish):
        release = dataclasses.replace(wish.release, approved=True, attestation=wish.release.attestation or "x")
        super().serve(owner, dataclasses.replace(wish, release=release))


class BelievesAnApprovalWithoutASignature(MemoryServing):
    def serve(self, owner, wish):
        release = dataclasses.replace(wish.release, attestation=wish.release.attestation or "x")
        super().serve(owner, dataclasses.replace(wish, release=release))


class RemovesNothing(MemoryServing):
    def remove(self, owner):
        return


class RemovesTheRecordAlone(MemoryServing):
    def __init__(self):
        super().__init__()
        self.left = {}

    def remove(self, owner):
        self.left |= {owner: now for owner, now in self.deployed.items() if now.answering}
        super().remove(owner)

    def answering(self, owner):
        left: Deployed | None = self.left.get(owner)
        return super().answering(owner) or (left.answering.release.name if left else "")


class RemovesEverybody(MemoryServing):
    def remove(self, owner):
        self.deployed.clear()


class RemovesOnce(MemoryServing):
    def remove(self, owner):
        if owner not in self.deployed:
            message = f"{owner}: is not there"
            raise Rejected(message)
        super().remove(owner)


class NeverLetsGo(MemoryServing):
    def let_go(self, owner):
        return


class LetsGoByRemoving(MemoryServing):
    def let_go(self, owner):
        super().remove(owner)


class LetsGoOfWhatIsThere(MemoryServing):
    def let_go(self, owner):
        if owner not in self.deployed:
            message = f"{owner}: is not there"
            raise Rejected(message)
        super().let_go(owner)


BOUND = "test_available_is_said_only_of_the_wish_last_served"
LET_GO = "test_what_is_let_go_goes_on"
LIARS = {
    KnowsStrangers: {
        "test_letting_go_of_what_is_not_there_is_a_success",
        "test_nothing_runs_for_an_unknown_owner",
        "test_looking_changes_nothing",
        "test_remove_stops_the_owners_servers_alone",
        "test_removing_what_is_not_there_is_a_success",
    },
    DeploysOnLook: {
        "test_looking_changes_nothing",
        "test_a_second_equal_wish_changes_nothing",
    },
    HidesTheUrl: {"test_what_is_served_is_called_by_its_wish_and_answers"},
    StartsEqualWishesAnew: {"test_a_second_equal_wish_changes_nothing"},
    DropsTheOldFirst: {"test_the_old_release_answers_until_the_new_one_does"},
    NeverTakesOver: {"test_the_old_release_answers_until_the_new_one_does"},
    SaysAvailableOfTheOldOne: {BOUND},
    LosesTheOldOnFailure: {BOUND},
    FailsWithoutAWord: {BOUND},
    StaysFailed: {"test_a_failed_release_is_left_for_a_good_one"},
    ServesWhatNobodyApproved: {"test_what_nobody_has_approved_is_refused"},
    BelievesAnApprovalWithoutASignature: {"test_what_nobody_has_approved_is_refused"},
    RemovesNothing: {
        "test_remove_stops_the_owners_servers_alone",
        "test_removing_what_is_not_there_is_a_success",
    },
    RemovesTheRecordAlone: {"test_remove_stops_the_owners_servers_alone"},
    RemovesEverybody: {"test_remove_stops_the_owners_servers_alone"},
    NeverLetsGo: {LET_GO},
    LetsGoByRemoving: {LET_GO},
    LetsGoOfWhatIsThere: {"test_letting_go_of_what_is_not_there_is_a_success"},
    RemovesOnce: {"test_removing_what_is_not_there_is_a_success"},
}
