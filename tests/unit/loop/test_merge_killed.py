"""A death at every call of the chain: push, train, tell, approve, merge, adopt, serve, revert happen once each.

Operator and reporter work side by side on one forge. Which calls there are is found out by running: whoever comes by a
call in a part of the story in which nobody died at it yet dies there, before it or after it. What applies commits dies
in tests/unit/gitops.
"""

from contextlib import contextmanager

import pytest

from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.gitops.scene import Target
from cdl.loop.release import Releases
from cdl.reconcile.gitops import State
from cdl.testing.weather import Crash, Weather
from tests.unit.gitops.reporting_rig import HOME, PROJECT, Followed

REVIEWED = {"approval": {"policy": "MergeRequest"}}
ROUNDS = 60
QUIET = 4
"""Rounds in which nothing is written, after which nothing will be."""
ENOUGH = 20
"""Times the story is played: each time it comes by fewer calls at which nobody died."""


class Deadly(Weather):
    """Each call has a moment before it acts and one after it; at either of them whoever calls may die."""

    def __init__(self, engine, dies):
        super().__init__()
        self._engine, self._dies = engine, dies

    @contextmanager
    def call(self, name):
        if self._dies(f"{self._engine}: {name}", "before"):
            raise Crash
        yield
        if self._dies(f"{self._engine}: {name}", "after"):
            raise Crash


class Chain:
    """A project from its first merge request to a revert."""

    def __init__(self, folder, victims, *, calm=False):
        self.followed = Followed(folder)
        self.world, self.forge = self.followed.world, self.followed.forge
        sha = self.forge.push("main")
        self.followed.main = Target(PROJECT, HOME, sha, State.APPLIED, f"{sha[:12]} is applied: 0 resources", ())
        self._victims, self._calm = victims, calm
        """Where somebody died: part of the story, call, before or after."""
        self._part, self._awake = "", False
        self.deaths = 0
        self.met = set()
        self.approved, self.served = {}, []
        for name in self.world.weather:
            getattr(self.world, name).weather = Deadly(name, self._dies)

    def _dies(self, call, when):
        point = (self._part, call, when)
        if not self._awake:
            return False
        self.met.add(point)
        if self._calm or point in self._victims:
            return False
        self._victims.add(point)
        return True

    # --- who works, and who sees it ---

    def work(self, part):
        """Let operator and reporter work until nothing moves; who dies is started again and knows nothing."""
        self._part = part
        quiet = 0
        for _ in range(ROUNDS):
            before = (self.world.resources.writes, self.told())
            while not self._round():
                self.deaths += 1
                self.world.restart()
                self.followed.reporter = self.followed.again()
                self._see()
            self._see()
            self.world.advance()
            self.followed.now += 60
            quiet = quiet + 1 if (self.world.resources.writes, self.told()) == before else 0
            if quiet == QUIET:
                return
        pytest.fail(f"{part}: still at work after {ROUNDS} rounds")

    def _round(self):
        """Everybody looks once; False: somebody died on the way."""
        keys = self.world.keys()
        self._awake = True
        try:
            for key in keys:
                self.world.turn(key)
            releases = Releases(self.world.engines, lambda: self.world.now)
            for release in self.world.resources.list(Release):
                releases.turn(release.metadata.namespace, release.metadata.name)
            self.followed.reporter.beat(self.followed.scene)
        except Crash:
            return False
        finally:
            self._awake = False
        return True

    def _see(self):
        for release in self.world.resources.list(Release):
            approval = release.status.approval
            if approval.state is ApprovalState.APPROVED:
                said = f"{release.key} by !{approval.merge_request.number}"
                self.approved.setdefault(said, set()).add(approval.model_dump_json())
        deployment = self.world.resources.get(ModelDeployment, HOME, "news")
        name = deployment.status.release if deployment else ""
        if name and name not in self.served[-1:]:
            self.served.append(name)

    # --- what people do ---

    def turn(self, branch, learning_rate):
        """Propose, agree and merge a change."""
        seen = self.followed.propose(branch, learning_rate=learning_rate, **REVIEWED)
        self.work(f"{branch} proposed")
        self.forge.reviews[seen.number].approvals["validator"] = seen.sha
        self.work(f"{branch} approved")
        sha = self.forge.merge(seen.number, seen.sha)
        target = self.followed.previews.pop(seen.number)
        for key in target.inventory:
            self.world.resources.delete(key)
        self.followed.follow(sha, learning_rate=learning_rate, **REVIEWED)
        self.work(f"{branch} merged")

    def play(self):
        self.turn("first", 0.2)
        self.turn("better", 0.1)
        self.turn("back", 0.2)
        return self

    # --- what came of it ---

    def told(self):
        """What the forge says: the notes of each merge request, how often a name was said, and its state."""
        notes = {number: [note.body for note in review.notes] for number, review in self.forge.reviews.items()}
        states = {sha: {name: one.state for name, one in said.items()} for sha, said in self.forge.said.items()}
        return notes, states

    def left(self):
        """What is there in the end, apart from when it came to be."""
        notes, states = self.told()
        headlines = {number: [body.splitlines()[1] for body in bodies] for number, bodies in notes.items()}
        approvals = {key: len(said) for key, said in self.approved.items()}
        releases = {str(one.key): one.spec.digest for one in self.world.resources.list(Release)}
        runs = sorted((str(run.owner), run.wish.evaluates) for run in self.world.training.runs)
        return headlines, states, approvals, releases, runs, self.served


def test_nobody_died_and_everything_happened_once(tmp_path):
    chain = Chain(tmp_path, set(), calm=True).play()
    headlines, states, approvals, releases, runs, served = chain.left()
    assert chain.deaths == 0
    assert [len(notes) for notes in headlines.values()] == [1, 1, 1]
    assert all(states[review.seen.sha] for review in chain.forge.reviews.values())
    assert set(approvals.values()) == {1}
    assert len(approvals) == len(releases) + 1 == 6, "what a revert brings back is approved again, by the revert"
    assert len(served) == 3
    assert served[0] == served[2] != served[1]
    assert all("production" not in owner for owner, _ in runs)


def test_a_death_at_every_call_changes_nothing_of_it(tmp_path_factory):
    calm = Chain(tmp_path_factory.mktemp("calm"), set(), calm=True).play()
    expected, victims = calm.left(), set()
    for _ in range(ENOUGH):
        chain = Chain(tmp_path_factory.mktemp("killed"), victims).play()
        assert chain.left() == expected
        if not chain.deaths:
            break
    else:
        pytest.fail("there is always another call")
    assert calm.met <= victims
    called = {call.partition(":")[0] for _, call, _ in victims}
    assert called >= {"resources", "training", "serving", "artifacts", "ledger", "forge", "data"}
