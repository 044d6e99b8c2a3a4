"""What following merge requests costs: one run for each head that wants another, whoever knocks how often."""

import threading

import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1 import Release
from cdl.gitops.watch import Bell, watch_previews
from cdl.testing.memory import archive
from cdl.testing.world import NEWS, World
from tests.unit.gitops.test_gitops_previews import proposed

EXPERIMENT = Key("Experiment", "tiny-mr-1", "tiny")


@pytest.fixture
def world(previewed, tmp_path):
    """Engines in memory that work on what is followed."""
    made = World(tmp_path / "engines")
    made.resources = previewed.follower.store
    made.sources.places["file://notes.tar.gz"] = archive(NEWS)
    made.restart()
    return made


def turns(world, rounds=12):
    for _ in range(rounds):
        keys = world.keys()
        for key in keys:
            world.turn(key)
        world.advance()


def runs(world):
    """How often each run of the preview was made."""
    return sorted(count for (owner, _), count in world.training.created.items() if owner == EXPERIMENT)


def rung(previewed, times):
    """Ring as often, from many at once, while the merge requests are watched; give how many looks that were."""
    looks, bell, first = [], Bell(), threading.Event()

    def seen(outcome):
        looks.append(outcome)
        first.set()

    watching = threading.Thread(target=watch_previews, args=(previewed.again(), bell, 600.0, lambda _: None, seen))
    watching.start()
    assert first.wait(30)
    ringing = [threading.Thread(target=lambda: [bell.ring() for _ in range(times // 10)]) for _ in range(10)]
    for one in ringing:
        one.start()
    for one in ringing:
        one.join()
    bell.end()
    watching.join(60)
    return len(looks)


def test_two_hundred_knocks_at_each_head_are_one_run_a_head(previewed, world):
    number, _ = proposed(previewed)
    for trials in (4, 5, 6):
        previewed.follower.origin.change("resources/experiment.yaml", "max_trials: 3", f"max_trials: {trials}")
        previewed.change(number, sha=previewed.follower.origin.branch("wider"))
        assert rung(previewed, 200) < 20
        turns(world)
    assert runs(world) == [1] * 6  # one that trains and one that measures for each head
    assert len(previewed.follower.store.list(Release, "tiny-mr-1")) == 3


def test_a_head_that_wants_nothing_else_runs_nothing_else(previewed, world):
    number, _ = proposed(previewed)
    previewed.look()
    turns(world)
    before = dict(world.training.created)
    origin = previewed.follower.origin
    origin.change("resources/experiment.yaml", "max_trials: 3", "max_trials: 4")
    origin.write("README.md", "read me\n")
    previewed.change(number, sha=origin.branch("wider"))
    previewed.look()
    turns(world)
    assert dict(world.training.created) == before


def test_closed_while_it_trains_the_run_is_ended_and_the_record_stays(previewed, world):
    number, _ = proposed(previewed)
    previewed.look()
    turns(world)
    (released,) = previewed.follower.store.list(Release, "tiny-mr-1")
    previewed.follower.origin.change("resources/experiment.yaml", "max_trials: 3", "max_trials: 9")
    previewed.change(number, sha=previewed.follower.origin.branch("wider"))
    previewed.look()
    turns(world, 2)
    assert "Running" in {run.phase.name.title() for run in world.training.runs}
    previewed.change(number, open=False)
    previewed.look()
    turns(world)
    assert "Experiment" not in previewed.there().get("tiny-mr-1", [])
    assert previewed.follower.store.list(Release, "tiny-mr-1") == (released,)
    assert not {run.phase.name.title() for run in world.training.runs} & {"Queued", "Running"}
