"""Whoever tells the forge may die at every call: in the end there is one note, one status a name, the same words."""

import copy
import shutil

import pytest

from cdl.gitops.recalled import Memory
from cdl.testing.weather import Crash
from tests.unit.gitops.reporting_rig import HOME, Followed


def opened(followed):
    """A merge request that nobody told anything of."""
    followed.propose(learning_rate=0.05)


def trained(followed):
    """One that was told of at its first moment, and waits for a person by now."""
    opened(followed)
    followed.beat(times=2)
    followed.settle()


def merged(followed):
    """One that is merged, and production has settled."""
    trained(followed)
    followed.beat(times=2)
    sha = followed.forge.merge(1, followed.previews[1].sha)
    followed.close(1)
    followed.follow(sha, learning_rate=0.05)
    followed.settle()


def closed(followed):
    """One that is closed."""
    trained(followed)
    followed.beat(times=2)
    review = followed.forge.reviews[1]
    review.seen = type(review.seen)(**{**{f: getattr(review.seen, f) for f in review.seen.__slots__}, "open": False})
    followed.close(1)


def told(forge):
    """What the forge says: every note, and every status of every commit."""
    said = {sha: {(s.name, s.state, s.description, s.url) for s in told.values()} for sha, told in forge.said.items()}
    return [note.body for note in forge.reviews[1].notes], said


def beats(followed, reporter):
    for _ in range(3):
        followed.now += 1
        reporter.beat(followed.scene)


@pytest.mark.parametrize("stage", [opened, trained, merged, closed])
def test_killed_at_every_call_it_ends_as_if_nothing_had_been(tmp_path, stage):
    followed = Followed(tmp_path)
    followed.push_main()
    followed.settle()
    followed.approve(HOME, "news-1")
    stage(followed)
    forge, kept = copy.deepcopy(followed.forge), tmp_path / "told"
    kept.mkdir(exist_ok=True)
    shutil.copytree(kept, tmp_path / "before")
    beats(followed, followed.reporter)
    expected = told(followed.forge)
    assert len(expected[0]) == 1
    moments = 0
    for moment in range(500):
        died = copy.deepcopy(forge)
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "again")
        died.weather.crash_in = moment
        try:
            beats(followed, followed.again(died, "again"))
        except Crash:
            moments += 1
        else:
            break
        beats(followed, followed.again(died, "again"))
        assert told(died) == expected
    assert moments >= 6


def test_of_what_cannot_be_read_nothing_was_told(tmp_path):
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "1.json").write_text("{")
    (folder / "pictures.json").write_text("[]")
    memory = Memory(folder)
    assert (memory.told, memory.pictures) == ({}, {})
