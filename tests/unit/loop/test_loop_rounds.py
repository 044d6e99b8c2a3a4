"""Releases that are served or approved are verified again now and then; between two rounds that costs no call."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from cdl.api.canonical import canonical
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState, Voided
from cdl.loop.release import AT_ONCE, NOTHING_GOES_ON, Releases
from cdl.loop.rounds import NEVER, RETRY, Rounds
from cdl.loop.verify import Witnesses, verify
from cdl.reconcile.release import Silence, State
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World

EVERY = timedelta(hours=6)
NOBODY = Silence("no repository", asked=False)


class Released(World):
    """A world with one served Release, every member of which lies where it says."""

    def __init__(self, folder):
        super().__init__(folder)
        code = {name: self.kept(name.encode()) for name in ("model", "serve")}
        archive, serve = code["model"], code["serve"] | {"entrypoint": "serve:Model"}
        self.resources.put(DataPipeline.read(pipeline_document()))
        self.resources.put(Experiment.read(experiment_document(code={"archive": archive, "serve": serve})))
        self.resources.put(ModelDeployment.read(deployment_document()))
        self.settle()
        trained = next(run for run in self.training.runs if not run.wish.evaluates)
        self.weights = f"{self.release.spec.members['checkpoint']['uri']}/weights"
        self.artifacts.contents[self.weights] = canonical([trained.owner.name, trained.key])

    def kept(self, content):
        uri = f"https://example.test/{content.decode()}.tar.gz"
        self.artifacts.contents[uri] = content
        return {"uri": uri, "sha256": hashlib.sha256(content).hexdigest()}

    @property
    def release(self):
        (found,) = self.resources.list(Release)
        return found

    @property
    def witnesses(self):
        return Witnesses(self.artifacts, self.resources, self.data, self.training, NOBODY, self.signer)

    def verified(self, rounds):
        """Make a round, write what it found, and give the condition."""
        release = self.release
        status = rounds.status(release, self.now)
        self.resources.write_status(release.key, status, release.metadata.resource_version)
        rounds.written(release, status, self.now)
        return self.release.status.condition(ConditionType.VERIFIED)


@pytest.fixture
def world(tmp_path):
    return Released(tmp_path)


@pytest.fixture
def rounds(world):
    return Rounds(world.witnesses, EVERY)


def broken(world):
    return {f.member for f in verify(world.witnesses, world.release) if f.state is not State.INTACT} - {"git"}


def test_a_release_of_a_quiet_world_is_intact(world):
    assert broken(world) == set()


def test_a_later_step_does_not_change_what_an_earlier_release_went_through(world):
    other = pipeline_document(steps=[{"name": "clean", "image": "cdl/steps:test", "cmd": ["sh", "-c", "cp in out"]}])
    world.resources.put(DataPipeline.read(other))
    world.settle()
    first = min(world.resources.list(Release), key=lambda release: release.spec.version)
    judged = verify(world.witnesses, first)
    assert {f.state for f in judged if f.member in {"data", "labels", "transforms"}} == {State.INTACT}


def test_a_round_says_when_everything_was_found_unchanged(world, rounds):
    said = world.verified(rounds)
    assert (said.status, said.reason, said.last_transition_time) == ("True", Reason.SUCCEEDED, world.now)
    assert world.release.status.verified_at == world.now
    assert world.release.status.approval.state is ApprovalState.APPROVED


@pytest.mark.parametrize(
    ("lay", "reason"),
    [
        (lambda w: w.artifacts.contents.update({w.weights: b"other weights"}), Reason.MEMBER_CHANGED),
        (lambda w: w.artifacts.contents.pop(w.weights), Reason.MEMBER_MISSING),
    ],
)
def test_a_broken_member_is_said_and_stays_said(world, rounds, lay, reason):
    before = world.verified(rounds).last_transition_time
    world.advance()
    lay(world)
    said = world.verified(rounds)
    assert (said.status, said.reason) == ("False", reason)
    assert "checkpoint weights" in said.message
    assert said.last_transition_time == world.now
    assert world.release.status.verified_at == before


def test_who_does_not_answer_is_told_but_takes_nothing_back(world, rounds):
    world.verified(rounds)
    then, world.weather["training"].down = world.now, True
    world.advance()
    said = world.verified(rounds)
    assert (said.status, said.reason) == ("Unknown", Reason.ENGINE_UNAVAILABLE)
    assert world.release.status.verified_at == then
    assert rounds.due_in(world.release, world.now) == RETRY
    world.now += RETRY
    assert world.verified(rounds).last_transition_time == then + timedelta(minutes=1)
    assert rounds.due_in(world.release, world.now) == EVERY, "a storage that is never seen from here is not asked often"


def test_who_does_not_answer_does_not_mend_what_was_found_broken(world, rounds):
    world.artifacts.contents[world.weights] = b"other weights"
    world.verified(rounds)
    world.weather["artifacts"].down = True
    assert world.verified(rounds).status == "False"


def test_what_is_not_due_costs_no_call(world, rounds):
    release, before = world.release, len(world.sky.calls)
    decided = release.status.approval.at
    assert rounds.due_in(release, decided) == EVERY
    assert rounds.due_in(release, decided + EVERY / 2) == EVERY / 2
    assert rounds.due_in(release, decided + EVERY) == timedelta()
    assert len(world.sky.calls) == before


def test_a_round_is_followed_by_an_interval(world, rounds):
    world.verified(rounds)
    assert rounds.due_in(world.release, world.now) == EVERY
    fresh = Rounds(world.witnesses, EVERY)  # after a restart the status remembers
    assert fresh.due_in(world.release, world.now) == EVERY


def test_what_nobody_may_serve_is_never_due(world, rounds):
    status = world.release.status.model_copy(
        update={"served_by": (), "approval": world.release.status.approval.model_copy(update={"state": "Pending"})}
    )
    pending = world.release.model_copy(update={"status": status})
    assert rounds.due_in(pending, world.now + 9 * EVERY) is None


def test_an_interval_of_nothing_means_never(world):
    assert Rounds(world.witnesses, NEVER).due_in(world.release, world.now + 9 * EVERY) is None


def turned(world, drive):
    """Let the operator look at the Release until there is nothing left to do at once."""
    for _ in range(9):
        again = drive.turn("default", "news-1")
        if again != AT_ONCE:
            return again
    pytest.fail("the Release is never settled")


def test_an_operator_makes_a_round_when_it_is_due_and_voids_what_is_broken(world, rounds):
    drive = Releases(world.engines, lambda: world.now, rounds=rounds)
    turned(world, drive)
    assert world.release.status.condition(ConditionType.VERIFIED) is None
    world.now += EVERY
    assert turned(world, drive) == NOTHING_GOES_ON
    assert world.release.status.verified_at == world.now
    assert world.release.approved
    world.artifacts.contents[world.weights] = b"other weights"
    turned(world, drive)
    assert world.release.approved, "it is not due yet"
    world.now += EVERY
    turned(world, drive)
    now = world.release.status
    assert (now.approval.state, now.approval.voided) == (ApprovalState.VOID, Voided.CHANGED)
    assert now.condition(ConditionType.VERIFIED).reason is Reason.MEMBER_CHANGED
    assert now.condition(ConditionType.READY).status == "True"
    writes = world.resources.writes
    turned(world, drive)
    assert world.resources.writes == writes


def test_what_was_found_is_not_lost_to_a_write_that_failed(world, rounds):
    drive = Releases(world.engines, lambda: world.now, rounds=rounds)
    turned(world, drive)
    world.artifacts.contents[world.weights] = b"other weights"
    world.now += EVERY
    store, files = world.weather["resources"], world.weather["artifacts"]
    files.crash_in, files.meanwhile = 0, lambda: setattr(store, "down", True)  # while the round reads
    drive.turn("default", "news-1")
    world.clear_up()
    assert world.release.approved
    turned(world, drive)
    assert world.release.status.approval.voided is Voided.CHANGED


def test_an_operator_that_looks_often_asks_the_engines_of_nothing(world, rounds):
    drive = Releases(world.engines, lambda: world.now, rounds=rounds)
    turned(world, drive)
    asked = [name for name in world.sky.calls if name.startswith(("read", "evidence", "hashes"))]
    for _ in range(9):
        turned(world, drive)
    assert asked == [name for name in world.sky.calls if name.startswith(("read", "evidence", "hashes"))] == []
