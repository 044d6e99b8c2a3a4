"""Whoever follows merge requests may die at every call, before it or after it: the next look gets everything right."""

import json
import shutil
from dataclasses import replace

import pytest

from cdl.api.meta import REVISION_ANNOTATION
from cdl.cli.following import renderer
from cdl.gitops.previews import Followed, Means, Previews
from cdl.gitops.record import Record
from cdl.gitops.subject import Subject
from cdl.local import LocalStore
from cdl.reconcile.gitops import Policy
from cdl.settings import Settings
from cdl.testing.memory import MemoryForge
from tests.unit.gitops.gitops_rig import NAME, PROJECT
from tests.unit.gitops.test_gitops_killed import Deadly, KilledError

MAIN, FIRST, SECOND, THIRD = (letter * 40 for letter in "abcd")


class Commits:
    """A repository in memory: what each commit holds, and which came before it."""

    def __init__(self, folder):
        self.folder = folder
        self.parents = {}

    def commit(self, sha, parent, trials, without=""):
        tree = self.folder / sha
        shutil.copytree(PROJECT, tree, ignore=shutil.ignore_patterns("__pycache__"))
        experiment = tree / "resources" / "experiment.yaml"
        experiment.write_text(experiment.read_text().replace("max_trials: 3", f"max_trials: {trials}"))
        if without:
            (tree / "resources" / without).unlink()
        self.parents[sha] = parent

    def head(self, branch):
        return MAIN

    def fetch(self, commit):
        assert commit in self.parents

    def descends(self, commit, earlier):
        while commit and commit != earlier:
            commit = self.parents[commit]
        return bool(commit)

    def steps(self, commit, since):
        return ()

    def authors(self, commit, path, since=""):
        return ("grace@example.org",)

    def committed(self, commit):
        return 0.0

    def export(self, commit, path, place):
        shutil.copytree(self.folder / commit, place)


class Played:
    """Two merge requests are opened; one is given another head, the other is closed; then it is reopened."""

    def __init__(self, folder, deadly):
        self.folder, self.deadly = folder, deadly
        self.repository, self.forge = Commits(folder / "commits"), MemoryForge()
        self.repository.commit(MAIN, "", 3)
        self.repository.commit(FIRST, MAIN, 4)
        self.repository.commit(SECOND, FIRST, 5, without="datapipeline.yaml")
        self.repository.commit(THIRD, MAIN, 6)
        self.rooms = set()
        (folder / "home").mkdir()
        self.store = LocalStore(folder / "home" / "resources.db", "cdl-gitops")

    def previews(self, deadly):
        main = Subject("main", ".", Policy(NAME), "production", "team/tiny")
        blank = Record(project=NAME, repository="memory", branch="main", path=".")
        means = Means(
            deadly.before(self.forge),
            deadly.before(self.repository),
            deadly.before(self.store),
            renderer(Settings(home=self.folder / "home")),
            self.folder / "home" / "gitops" / NAME,
            lambda: "2026-01-01T00:00:00Z",
            deadly.before(self.rooms).add,
        )
        return Previews(Followed(main, blank), means)

    def steps(self):
        first, third = (self.forge.propose(name, sha).number for name, sha in (("one", FIRST), ("two", THIRD)))
        yield
        self.change(first, sha=SECOND)
        self.change(third, open=False)
        yield
        self.change(third, open=True)
        yield

    def change(self, number, **more):
        review = self.forge.reviews[number]
        review.seen = replace(review.seen, **more)

    def story(self):
        """Give how often it was killed and how many calls there were."""
        kills = calls = 0
        for _ in self.steps():
            self.deadly.count = 0
            try:
                self.previews(self.deadly).look()
            except KilledError:
                kills += 1
            calls = max(calls, self.deadly.count)
            outcome = self.previews(Deadly()).look()
            assert outcome.fault == ""
            before = self.store.changed_since(0)
            assert self.previews(Deadly()).look().changes == ()
            assert self.store.changed_since(0) == before
        return kills, calls

    def left(self):
        """What is there, whichever home its code lies in, and where there is a room for it."""
        home = (self.folder / "home").as_uri()
        found = {
            (d["kind"], d["metadata"]["namespace"]): (
                json.dumps(d["spec"]).replace(home, ""),
                d["metadata"]["annotations"][REVISION_ANNOTATION],
            )
            for d in self.store.documents()
        }
        folders = sorted(p.name for p in (self.folder / "home" / "gitops" / NAME / "previews").glob("[0-9]*"))
        return found, sorted(self.rooms), folders


def played(place, at, after):
    one = Played(place, Deadly(at=at, after=after))
    kills, calls = one.story()
    left = one.left()
    one.store.close()
    return left, kills, calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_leaves_the_previews_of_what_is_open(tmp_path_factory, after):
    undisturbed, kills, calls = played(tmp_path_factory.mktemp("calm"), -1, after)
    assert kills == 0
    assert set(undisturbed[0]) == {
        ("Experiment", "tiny-mr-1"),
        ("DataPipeline", "tiny-mr-2"),
        ("Experiment", "tiny-mr-2"),
    }
    assert calls > 20
    for at in range(calls):
        left, kills, _ = played(tmp_path_factory.mktemp("killed"), at, after)
        assert kills, f"nobody was killed at call {at}"
        assert left == undisturbed, f"killed at call {at}"
