"""A machine plays a team: it pushes, approves, takes back, merges, closes and reverts while the operator dies.

A Release is approved by a merge request at most once, at the head that a person of the role who is no author agreed to.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, Voided
from cdl.testing.weather import Crash
from tests.unit.loop.merge_rig import MAIN, Town, preview

PEOPLE = {"developer": "owner", "dana": "owner", "vera": "maintainer", "bob": "developer", "eve": None}
"""Who may what in the project; the first two write code."""
AUTHORS = ("developer", "dana")
RATES = (0.1, 0.2)
WHO = st.sampled_from([*sorted(PEOPLE), "vera", "vera", "vera"])
WHICH = st.integers(0, 2)


class Team(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.town = Town(Path(self.folder.name))
        self.town.forge.levels = {who: level for who, level in PEOPLE.items() if level}
        self.agreed = set()
        """Each merge request, head and person, where the person might and the head was one."""
        self.decided = {}
        self.taken = set()

    def teardown(self):
        try:
            self.town.world.clear_up()
            self.town.settle()
            self.seen()
            self.holds()
        finally:
            self.folder.cleanup()

    def spec(self, rate):
        return {"config": {"hyperparameters": {"learning_rate": rate}}}

    def review(self, which):
        reviews = self.town.forge.reviews
        return reviews[sorted(reviews)[which % len(reviews)]] if reviews else None

    # --- what people do ---

    @initialize(rate=st.sampled_from(RATES))
    def begin(self, rate):
        self.propose(rate, "developer")
        self.work(12)  # its release is there and waits

    @rule(rate=st.sampled_from(RATES), who=st.sampled_from(AUTHORS))
    def propose(self, rate, who):
        if len(self.town.forge.reviews) < 3:
            self.town.propose(f"branch-{len(self.town.forge.reviews)}", who, **self.spec(rate))

    @rule(which=WHICH, rate=st.sampled_from((*RATES, None, None)), who=st.sampled_from(AUTHORS))
    def push(self, which, rate, who):
        """Change the spec, or something that no resource tells of."""
        review = self.review(which)
        if review.seen.open:
            spec = self.spec(rate) if rate else self.town.said[review.seen.sha]
            sha = self.town.commit(review.seen.source, who, **spec)
            if rate:
                self.town.apply(preview(review.seen.number), sha)

    @rule(which=WHICH, who=WHO)
    def approve(self, which, who):
        seen = self.review(which).seen
        self.town.approve(seen.number, who)
        written = set(self.review(which).commits.values()) | {self.review(which).author}
        if PEOPLE[who] in {"maintainer", "owner"} and who not in written | {"developer"}:
            self.agreed.add((seen.number, seen.sha, who))

    @rule(which=WHICH, who=WHO)
    def take_back(self, which, who):
        self.review(which).approvals.pop(who, None)

    @precondition(lambda self: not self.town.world.weather["forge"].down)
    @rule(which=WHICH)
    def merge(self, which):
        review = self.review(which)
        if review.seen.open:
            self.town.merge(review.seen.number)
            self.town.drop(preview(review.seen.number))

    @rule(which=WHICH, open_again=st.booleans())
    def close(self, which, open_again):
        review = self.review(which)
        if not review.seen.merged_as:
            review.seen = review.seen.__class__(**{**fields(review.seen), "open": open_again})

    # --- what happens to the operator ---

    @rule(rounds=st.integers(1, 8))
    def work(self, rounds):
        self.town.settle_for(rounds)

    @rule(moment=st.integers(0, 80))
    def die(self, moment):
        world = self.town.world
        world.sky.crash_in = moment
        try:
            self.town.settle_for(3)
        except Crash:
            world.restart()
        world.sky.crash_in = None

    @rule()
    def lose_the_forge(self):
        self.town.world.weather["forge"].down = True

    @precondition(lambda self: self.town.world.weather["forge"].down)
    @rule()
    def find_the_forge(self):
        self.town.world.weather["forge"].down = False

    # --- what holds ---

    @invariant()
    def seen(self):
        for release in self.town.world.resources.list(Release):
            approval = release.status.approval
            if approval.voided is Voided.TAKEN_BACK:  # what was taken back may be given again
                self.taken -= {one for one in self.taken if one[0] == release.key}
            if approval.state is not ApprovalState.APPROVED or self.decided.get(release.key) == approval:
                continue
            self.decided[release.key] = approval
            backed = approval.merge_request
            once = (release.key, backed.number, backed.sha)
            assert once not in self.taken, "approved a second time by what had approved it before"
            self.taken.add(once)
            assert (backed.number, backed.sha, approval.by) in self.agreed
            review = self.town.forge.reviews[backed.number]
            assert backed.sha == review.seen.sha
            assert approval.by in review.approvals
            assert review.seen.open or review.seen.merged_as
            assert approval.attestation

    def holds(self):
        """In the end what an open merge request has approved, it holds still: at its head, by who agrees now."""
        for release in self.town.world.resources.list(Release):
            backed = release.status.approval.merge_request
            review = self.town.forge.reviews[backed.number] if release.approved else None
            preview_is_there = review and self.town.experiment(release.metadata.namespace)
            if preview_is_there and backed.open and review.seen.open:
                assert backed.sha == review.seen.sha
                assert {(backed.number, backed.sha, who) for who in review.approvals} & self.agreed

    @invariant()
    def nothing_is_trained_twice_in_production(self):
        """Where the candidate was there before it was merged, production trains nothing."""
        runs = Counter(r.key for r in self.town.trained(MAIN) if not r.wish.evaluates)
        assert not {key: times for key, times in runs.items() if times > 1}


def fields(seen):
    return {name: getattr(seen, name) for name in seen.__dataclass_fields__}


Team.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTeam = Team.TestCase
