"""Forges that break one promise each."""

from __future__ import annotations

import dataclasses

from cdl.ports.errors import Conflict, NotPermitted, Rejected
from cdl.ports.forge import CommitState
from cdl.testing.memory import MemoryForge
from cdl.testing.memory.forge import US, Note


class ForgetsWhatElseWasSaid(MemoryForge):
    def set_status(self, sha, name, state, description="", url=""):
        super().set_status(sha, name, state, description, url)
        self.said[sha] = {name: self.said[sha][name]}


class DropsTheAddress(MemoryForge):
    def set_status(self, sha, name, state, description="", url=""):
        super().set_status(sha, name, state, description)


class WritesEverySameWordAgain(MemoryForge):
    def set_status(self, sha, name, state, description="", url=""):
        self.said.get(sha, {}).pop(name, None)
        super().set_status(sha, name, state, description, url)


class LeavesWhatEndedEnded(MemoryForge):
    def set_status(self, sha, name, state, description="", url=""):
        known = self.said.get(sha, {}).get(name)
        if known is None or known.state in {CommitState.RUNNING, CommitState.PENDING}:
            super().set_status(sha, name, state, description, url)


class TakesRunningBack(MemoryForge):
    def set_status(self, sha, name, state, description="", url=""):
        if state is CommitState.PENDING:
            self.said[sha].pop(name, None)
        super().set_status(sha, name, state, description, url)


class SpeaksOfWhatIsNotThere(MemoryForge):
    def _commit(self, sha):
        return self.said.setdefault(sha, {})


class FindsTheOldestFirst(MemoryForge):
    def merge_request_of(self, name):
        mine = [r.seen for r in self.reviews.values() if name in {r.seen.source, r.seen.merged_as, *r.commits}]
        return min(mine, key=lambda seen: seen.number, default=None)


class FindsSomethingAlways(MemoryForge):
    def merge_request_of(self, name):
        return super().merge_request_of(name) or next((r.seen for r in self.reviews.values()), None)


class KnowsOnlyHeads(MemoryForge):
    def merge_request_of(self, name):
        mine = [r.seen for r in self.reviews.values() if name in {r.seen.source, r.seen.merged_as, r.seen.sha}]
        return max(mine, key=lambda seen: (seen.merged_as == name, seen.open, seen.number), default=None)


class PrefersOpenToWhatMadeIt(MemoryForge):
    def merge_request_of(self, name):
        mine = [r.seen for r in self.reviews.values() if name in {r.seen.source, r.seen.merged_as, *r.commits}]
        return max(mine, key=lambda seen: (seen.open, seen.number), default=None)


class ListsWhatIsClosed(MemoryForge):
    def open_merge_requests(self, target):
        return tuple(r.seen for r in self.reviews.values() if r.seen.target == target)


class ListsEveryTarget(MemoryForge):
    def open_merge_requests(self, target):
        return tuple(r.seen for r in self.reviews.values() if r.seen.open)


class LeavesDraftsOut(MemoryForge):
    def open_merge_requests(self, target):
        drafts = {r.seen.number for r in self.reviews.values() if r.draft}
        return tuple(seen for seen in super().open_merge_requests(target) if seen.number not in drafts)


class NamesEveryRule(MemoryForge):
    def _roles(self, who):
        return super()._roles(who) | set(self.rules)


class KnowsNoLevels(MemoryForge):
    def _roles(self, who):
        return super()._roles(who) & set(self.rules)


class KeepsOneFileAName(MemoryForge):
    def attach(self, name, content):
        said = super().attach(name, content)
        self.files = dict.fromkeys(self.files, content)
        return said


class TakesFilesOfAnySize(MemoryForge):
    def attach(self, name, content):
        return super().attach(name, content[:100])


class ApprovesWhateverIsThere(MemoryForge):
    def approvals(self, number):
        head = self.reviews[number].seen.sha
        return tuple(dataclasses.replace(found, sha=head) for found in super().approvals(number))


class ForgetsNoApproval(MemoryForge):
    def __init__(self):
        super().__init__()
        self.ever = {}

    def approvals(self, number):
        self.ever |= {(number, found.who): found for found in super().approvals(number)}
        return tuple(found for (of, _), found in self.ever.items() if of == number)


class KnowsOnlyWhoOpenedIt(MemoryForge):
    def authors(self, number):
        return frozenset({self.reviews[number].author})


class CallsApproversAuthors(MemoryForge):
    def authors(self, number):
        return super().authors(number) | self.reviews[number].approvals.keys()


class WritesANoteEachTime(MemoryForge):
    def note(self, number, key, body):
        review = self.reviews[number]
        with self.weather.call("note"):
            review.notes.append(Note(US, f"<!-- {key} -->\n{body}"))
        return review.seen.url


class TakesAnybodysNote(MemoryForge):
    def note(self, number, key, body):
        for note in self.reviews[number].notes:
            note.who = US
        return super().note(number, key, body)


class LeavesDoubles(MemoryForge):
    def note(self, number, key, body):
        notes = list(self.reviews[number].notes)
        address = super().note(number, key, body)
        gone = [note for note in notes if note not in self.reviews[number].notes]
        self.reviews[number].notes += gone
        return address


class MergesOnce(MemoryForge):
    def merge(self, number, sha):
        if self.reviews[number].seen.merged_as:
            message = "it is merged already"
            raise Rejected(message)
        return super().merge(number, sha)


class MergesWhateverIsThere(MemoryForge):
    def merge(self, number, sha):
        return super().merge(number, self.reviews[number].seen.sha)


class MergesDrafts(MemoryForge):
    def merge(self, number, sha):
        self.reviews[number].draft = False
        return super().merge(number, sha)


class CallsEveryRefusalAConflict(MemoryForge):
    def merge(self, number, sha):
        try:
            return super().merge(number, sha)
        except NotPermitted as error:
            raise Conflict(str(error)) from error


DOUBLED = "test_what_was_doubled_is_made_one"
STRANGER = "test_a_note_of_somebody_else_is_left_alone"
HELD = "test_every_commit_of_a_merge_request_leads_to_it"
OPEN = "test_open_merge_requests_are_those_into_the_branch_at_their_heads"
ROLES = "test_an_approval_says_by_which_rules_and_as_what"
SHOWN = "test_a_file_is_shown_as_it_was_given"
FOUND = "test_a_merge_request_is_found_by_branch_and_by_commit"
LIARS = {
    ForgetsWhatElseWasSaid: {"test_a_commit_says_what_it_was_told"},
    DropsTheAddress: {"test_a_commit_says_what_it_was_told"},
    WritesEverySameWordAgain: {"test_the_same_twice_is_a_success_and_written_once", "test_what_ended_begins_again"},
    LeavesWhatEndedEnded: {"test_what_ended_begins_again"},
    TakesRunningBack: {"test_what_ended_begins_again"},
    SpeaksOfWhatIsNotThere: {"test_no_commit_no_status"},
    FindsTheOldestFirst: {FOUND},
    FindsSomethingAlways: {FOUND},
    KnowsOnlyHeads: {HELD},
    PrefersOpenToWhatMadeIt: {HELD},
    ListsWhatIsClosed: {OPEN},
    ListsEveryTarget: {OPEN},
    LeavesDraftsOut: {OPEN},
    NamesEveryRule: {ROLES},
    KnowsNoLevels: {ROLES},
    KeepsOneFileAName: {SHOWN},
    TakesFilesOfAnySize: {SHOWN},
    ApprovesWhateverIsThere: {"test_an_approval_is_of_the_commit_that_was_there"},
    ForgetsNoApproval: {"test_what_is_taken_back_is_no_approval"},
    KnowsOnlyWhoOpenedIt: {"test_who_wrote_a_commit_is_an_author"},
    CallsApproversAuthors: {"test_who_wrote_a_commit_is_an_author"},
    WritesANoteEachTime: {"test_a_note_is_written_once_and_changed_where_it_stands", STRANGER, DOUBLED},
    TakesAnybodysNote: {STRANGER},
    LeavesDoubles: {DOUBLED},
    MergesOnce: {"test_what_is_merged_is_merged_once"},
    MergesWhateverIsThere: {"test_only_the_commit_that_was_looked_at_is_merged"},
    MergesDrafts: {"test_a_draft_is_not_merged"},
    CallsEveryRefusalAConflict: {"test_who_may_not_merge_is_told_so"},
}
