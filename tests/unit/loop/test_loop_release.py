"""A note left on a Release ends in its status, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.loop.release import AT_ONCE, NOTHING_GOES_ON, RETRY, Releases
from cdl.ports.errors import Conflict, Unavailable
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_BY
from cdl.testing.builders import release_document
from cdl.testing.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def put(world, **annotations):
    document = release_document()
    document["metadata"]["annotations"] = annotations
    return world.resources.put(Release.read(document))


def test_a_note_becomes_the_platforms_word(world):
    made = put(world)
    drive = Releases(world.engines, lambda: world.now)
    assert drive.turn("default", "news-1") == AT_ONCE  # what it was made from is signed first
    assert drive.turn("default", "news-1") == NOTHING_GOES_ON
    put(world, **{APPROVED_DIGEST: made.spec.digest, DECIDED_BY: "maria"})
    drive.turn("default", "news-1")
    (now,) = world.resources.list(Release)
    assert now.approved
    assert now.status.approval.by == "maria"
    assert now.status.condition(ConditionType.APPROVED).reason is Reason.APPROVED_BY_PERSON
    writes = world.resources.writes
    drive.turn("default", "news-1")
    assert world.resources.writes == writes


def test_a_release_that_is_gone_is_not_looked_at_again(world):
    assert Releases(world.engines, lambda: world.now).turn("default", "news-1") is None


class Stormy:
    """A store that fails its first read."""

    def __init__(self, store, error):
        self.store, self.errors = store, [error]

    def get(self, *place):
        if self.errors:
            raise self.errors.pop()
        return self.store.get(*place)

    def list(self, *what):
        return self.store.list(*what)

    def write_status(self, *told):
        self.store.write_status(*told)


@pytest.mark.parametrize(
    ("error", "again"), [(Conflict("somebody was faster"), AT_ONCE), (Unavailable("nobody answers"), RETRY)]
)
def test_what_goes_wrong_is_tried_again(world, error, again):
    made = put(world)
    put(world, **{APPROVED_DIGEST: made.spec.digest})
    drive = Releases(replace(world.engines, resources=Stormy(world.resources, error)), lambda: world.now)
    assert drive.turn("default", "news-1") == again
    assert [drive.turn("default", "news-1") for _ in range(3)] == [AT_ONCE, AT_ONCE, NOTHING_GOES_ON]
    assert world.resources.list(Release)[0].status.approval.state is ApprovalState.APPROVED
