"""What every Forge must keep; subclass it, give it a forge and people, and run it with pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.ports.forge import CommitState, CommitStatus

if TYPE_CHECKING:
    from cdl.ports.forge import Forge, MergeRequest

NOWHERE = "0123456789" * 4
RUNNING, SUCCESS, FAILED = CommitState.RUNNING, CommitState.SUCCESS, CommitState.FAILED


class ForgeContract:
    """One test a promise of `cdl.ports.forge`; what people do is done by the methods before the tests."""

    too_large = 11 << 20
    """Bytes of a file that the forge does not take."""

    @pytest.fixture
    def engine(self) -> Forge:
        """Give the forge under test; a subclass knows which."""
        raise NotImplementedError

    def pushed(self, engine: Forge, branch: str, author: str = "developer") -> str:
        """Have somebody push a new commit to a branch, and give it."""
        raise NotImplementedError

    def proposed(
        self, engine: Forge, branch: str, sha: str, *, draft: bool = False, target: str = "main"
    ) -> MergeRequest:
        """Have the developer ask to merge a branch."""
        raise NotImplementedError

    def ruled(self, engine: Forge, name: str, *people: str) -> None:
        """Have the project count, by a rule of this name, the approvals of these people."""
        raise NotImplementedError

    def shown(self, engine: Forge, markdown: str) -> bytes:
        """Give what somebody gets who follows this Markdown in a note of the project."""
        raise NotImplementedError

    def approved(self, engine: Forge, number: int, *, back: bool = False) -> None:
        """Have the validator agree to what is there now, or take that back."""
        raise NotImplementedError

    def say(self, engine: Forge, number: int, body: str, *, ours: bool = False) -> None:
        """Have the validator say something, or ourselves a second time."""
        raise NotImplementedError

    def heard(self, engine: Forge, number: int) -> list[str]:
        """Give all that anybody said, oldest first."""
        raise NotImplementedError

    def closed(self, engine: Forge, number: int) -> None:
        """Have somebody close it without merging."""
        raise NotImplementedError

    def forbid(self, engine: Forge) -> None:
        """Let nobody merge into main any more."""
        raise NotImplementedError

    def lose_reply(self, engine: Forge) -> None:
        """Let the next thing that is written be done, and nobody be told."""
        raise NotImplementedError

    def writes(self, engine: Forge, sha: str, name: str) -> int:
        """Say how many statuses of that name the forge keeps of a commit, old ones too."""
        raise NotImplementedError

    def review(self, engine: Forge, branch: str) -> MergeRequest:
        """Push a branch and ask to merge it."""
        return self.proposed(engine, branch, self.pushed(engine, branch))

    def test_a_commit_says_what_it_was_told(self, engine: Forge) -> None:
        """One status a name, the last one."""
        sha = self.pushed(engine, "said")
        engine.set_status(sha, "cdl/train", RUNNING, "2 of 8 trials", "https://cdl.test/train")
        engine.set_status(sha, "cdl/data", SUCCESS)
        engine.set_status(sha, "cdl/train", FAILED, "no trial ended well", "https://cdl.test/logs")
        told = CommitStatus("cdl/train", FAILED, "no trial ended well", "https://cdl.test/logs")
        assert set(engine.statuses(sha)) == {told, CommitStatus("cdl/data", SUCCESS)}

    def test_the_same_twice_is_a_success_and_written_once(self, engine: Forge) -> None:
        """While it goes on as when it has ended."""
        sha = self.pushed(engine, "twice")
        for state in (RUNNING, SUCCESS):
            for _ in range(2):
                engine.set_status(sha, "cdl/train", state, "as before")
        assert self.writes(engine, sha, "cdl/train") <= 2
        assert [status.state for status in engine.statuses(sha)] == [SUCCESS]

    def test_what_ended_begins_again(self, engine: Forge) -> None:
        """A run that is repeated is told of under its name; running is not taken back to pending."""
        sha = self.pushed(engine, "again")
        for state in (FAILED, RUNNING, CommitState.PENDING):
            engine.set_status(sha, "cdl/train", state)
        assert [status.state for status in engine.statuses(sha)] == [RUNNING]

    def test_no_commit_no_status(self, engine: Forge) -> None:
        """Nothing is said of what is not there."""
        with pytest.raises(Conflict):
            engine.set_status(NOWHERE, "cdl/train", RUNNING)
        with pytest.raises(Conflict):
            engine.statuses(NOWHERE)

    def test_a_merge_request_is_found_by_branch_and_by_commit(self, engine: Forge) -> None:
        """The open one before the closed one; none where there is none."""
        old = self.review(engine, "found")
        self.closed(engine, old.number)
        seen = engine.merge_request_of("found")
        assert seen is not None
        assert (seen.number, seen.open, seen.merged_as) == (old.number, False, "")
        sha = self.pushed(engine, "found")
        new = self.proposed(engine, "found", sha)
        for name in ("found", sha):
            assert engine.merge_request_of(name) == new
        assert (new.source, new.target, new.sha, new.open) == ("found", "main", sha, True)
        assert new.url
        assert engine.merge_request_of("nowhere") is None
        assert engine.merge_request_of(NOWHERE) is None

    def test_every_commit_of_a_merge_request_leads_to_it(self, engine: Forge) -> None:
        """Not its head alone; and what merging it made, even while somebody asks to merge that elsewhere."""
        first = self.pushed(engine, "grown")
        number = self.proposed(engine, "grown", first).number
        head = self.pushed(engine, "grown")
        for sha in (first, head):
            found = engine.merge_request_of(sha)
            assert found is not None
            assert (found.number, found.sha) == (number, head)
        commit = engine.merge(number, head)
        self.pushed(engine, "stable")
        self.proposed(engine, "main", commit, target="stable")
        made = engine.merge_request_of(commit)
        assert made is not None
        assert (made.number, made.merged_as) == (number, commit)

    def test_open_merge_requests_are_those_into_the_branch_at_their_heads(self, engine: Forge) -> None:
        """Drafts too; none that is closed, merged, or goes elsewhere."""
        assert engine.open_merge_requests("main") == ()
        merged, closed = self.review(engine, "one"), self.review(engine, "two")
        engine.merge(merged.number, merged.sha)
        self.closed(engine, closed.number)
        self.pushed(engine, "stable")
        self.proposed(engine, "stray", self.pushed(engine, "stray"), target="stable")
        draft = self.proposed(engine, "three", self.pushed(engine, "three"), draft=True)
        last = self.review(engine, "four")
        head = self.pushed(engine, "three")
        found = [(seen.number, seen.sha, seen.open, seen.fork) for seen in engine.open_merge_requests("main")]
        assert found == [(draft.number, head, True, False), (last.number, last.sha, True, False)]

    def test_an_approval_says_by_which_rules_and_as_what(self, engine: Forge) -> None:
        """The names of the rules that count it, and every level up to the person's own."""
        self.ruled(engine, "model-validators", "validator")
        self.ruled(engine, "data-stewards", "developer")
        seen = self.review(engine, "ruled")
        self.approved(engine, seen.number)
        (found,) = engine.approvals(seen.number)
        assert found.roles == {"model-validators", "guest", "reporter", "developer", "maintainer"}

    def test_an_approval_is_of_the_commit_that_was_there(self, engine: Forge) -> None:
        """What is pushed afterwards was not agreed to."""
        seen = self.review(engine, "agreed")
        assert engine.approvals(seen.number) == ()
        self.approved(engine, seen.number)
        self.pushed(engine, "agreed")
        found = [(a.who, a.sha) for a in engine.approvals(seen.number)]
        assert found == [("validator", seen.sha)]

    def test_what_is_taken_back_is_no_approval(self, engine: Forge) -> None:
        """And given again it is one of what is there then."""
        seen = self.review(engine, "back")
        self.approved(engine, seen.number)
        assert len(engine.approvals(seen.number)) == 1
        self.approved(engine, seen.number, back=True)
        assert engine.approvals(seen.number) == ()
        sha = self.pushed(engine, "back")
        self.approved(engine, seen.number)
        assert [a.sha for a in engine.approvals(seen.number)] == [sha]

    def test_who_wrote_a_commit_is_an_author(self, engine: Forge) -> None:
        """Whoever opened it, and whoever pushed into it: an approval of either is no second pair of eyes."""
        seen = self.review(engine, "written")
        self.approved(engine, seen.number)
        (approval,) = engine.approvals(seen.number)
        before = engine.authors(seen.number)
        assert "developer" in before
        assert not approval.is_by(before)
        self.pushed(engine, "written", author="validator")
        assert approval.is_by(engine.authors(seen.number))

    def test_a_note_is_written_once_and_changed_where_it_stands(self, engine: Forge) -> None:
        """One a key, even after a reply that was lost."""
        number = self.review(engine, "noted").number
        self.lose_reply(engine)
        with pytest.raises(Unavailable):
            engine.note(number, "report", "first")
        assert engine.note(number, "report", "second | third")
        engine.note(number, "plan", "other")
        engine.note(number, "report", "**last**")
        said = self.heard(engine, number)
        assert [body.splitlines()[-1] for body in said] == ["**last**", "other"]

    def test_a_note_of_somebody_else_is_left_alone(self, engine: Forge) -> None:
        """Even one that carries our key."""
        number = self.review(engine, "stranger").number
        engine.note(number, "report", "ours")
        (body,) = self.heard(engine, number)
        self.say(engine, number, body.replace("ours", "theirs"))
        engine.note(number, "report", "ours again")
        assert [said.splitlines()[-1] for said in self.heard(engine, number)] == ["ours again", "theirs"]

    def test_what_was_doubled_is_made_one(self, engine: Forge) -> None:
        """Two of us may have spoken at once."""
        number = self.review(engine, "doubled").number
        engine.note(number, "report", "one")
        (body,) = self.heard(engine, number)
        self.say(engine, number, body, ours=True)
        engine.note(number, "report", "two")
        assert [said.splitlines()[-1] for said in self.heard(engine, number)] == ["two"]

    def test_a_file_is_shown_as_it_was_given(self, engine: Forge) -> None:
        """Each call keeps one of its own; a picture stands in the note, not behind a link."""
        pictures = [b"\x89PNG\r\n\x1a\n one", b"\x89PNG\r\n\x1a\n two"]
        said = [engine.attach("roc curve.png", content) for content in pictures]
        assert [self.shown(engine, markdown) for markdown in said] == pictures
        assert all(markdown.startswith("![") for markdown in said)
        with pytest.raises(Rejected):
            engine.attach("film.png", bytes(self.too_large))

    def test_what_is_merged_is_merged_once(self, engine: Forge) -> None:
        """Again is a success and gives the same commit, which leads back to the merge request."""
        seen = self.review(engine, "merged")
        self.lose_reply(engine)
        with pytest.raises(Unavailable):
            engine.merge(seen.number, seen.sha)
        commit = engine.merge(seen.number, seen.sha)
        assert commit == engine.merge(seen.number, seen.sha)
        found = engine.merge_request_of(commit)
        assert found is not None
        assert (found.number, found.open, found.merged_as) == (seen.number, False, commit)

    def test_only_the_commit_that_was_looked_at_is_merged(self, engine: Forge) -> None:
        """Somebody may have pushed in between."""
        seen = self.review(engine, "moved")
        self.pushed(engine, "moved")
        with pytest.raises(Conflict):
            engine.merge(seen.number, seen.sha)
        now = engine.merge_request_of("moved")
        assert now is not None
        assert now.open

    def test_a_draft_is_not_merged(self, engine: Forge) -> None:
        """It says itself that it is not to be."""
        sha = self.pushed(engine, "draft")
        seen = self.proposed(engine, "draft", sha, draft=True)
        with pytest.raises(Rejected):
            engine.merge(seen.number, sha)

    def test_who_may_not_merge_is_told_so(self, engine: Forge) -> None:
        """A person must change a right."""
        seen = self.review(engine, "forbidden")
        self.forbid(engine)
        with pytest.raises(NotPermitted):
            engine.merge(seen.number, seen.sha)
