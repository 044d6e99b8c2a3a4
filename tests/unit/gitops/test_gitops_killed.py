"""Whoever follows may die at every call, before it or after it: the next one ends at the same resources, once."""

import json
import os

import pytest

from cdl.gitops.git import Address
from cdl.gitops.mirror import Mirror
from cdl.reconcile.gitops import State
from tests.unit.gitops import gitops_rig

CALLS = {"head", "fetch", "descends", "authors", "export", "list", "documents", "apply", "change", "delete"}
CALLS |= {"open_merge_requests", "add", "steps"}


class KilledError(BaseException):
    """As a kill -9: nobody catches it, nothing is tidied up after."""


class Deadly:
    """Counts calls of what it stands before; one of them is the last, before or after it was done."""

    def __init__(self, *, at=-1, after=False):
        self.at, self.after, self.count = at, after, 0

    def before(self, behind):
        deadly = self

        class Proxy:
            def __getattr__(self, name):
                found = getattr(behind, name)
                if name not in CALLS:
                    return found

                def call(*words, **more):
                    mine, deadly.count = deadly.count, deadly.count + 1
                    if mine == deadly.at and not deadly.after:
                        raise KilledError
                    answer = found(*words, **more)
                    if mine == deadly.at:
                        raise KilledError
                    return answer

                return call

        return Proxy()


def through(follower, deadly):
    mirror = Mirror(follower.place / "mirror.git", Address.of(follower.origin.url), dict(os.environ))
    return follower.look(mirror=deadly.before(mirror), store=deadly.before(follower.store))


def history(follower):
    """Three resources; then one changes, one leaves, one comes."""
    follower.origin.push()
    yield
    follower.origin.change("resources/experiment.yaml", "max_trials: 3", "max_trials: 4")
    deployment = follower.origin.work / "resources" / "modeldeployment.yaml"
    follower.origin.write("resources/second.yaml", deployment.read_text().replace("{name: tiny}\n", "{name: second}\n"))
    deployment.unlink()
    follower.origin.push()
    yield


def resources(follower):
    """What is there and how often it changed, whichever home its code lies in."""
    home = follower.home.as_uri()
    return {
        (d["kind"], d["metadata"]["name"]): (d["metadata"]["generation"], json.dumps(d["spec"]).replace(home, ""))
        for d in follower.store.documents()
    }


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_changes_nothing_in_the_end(tmp_path_factory, after):
    def played(at):
        """Give what is there in the end, how often it was killed, and how many calls there were."""
        one = gitops_rig.follower(tmp_path_factory.mktemp("killed"))
        kills = calls = 0
        for _ in history(one):
            deadly = Deadly(at=at, after=after)
            try:
                through(one, deadly)
            except KilledError:
                kills += 1
            calls = max(calls, deadly.count)
            record = one.look()
            assert record.state is State.APPLIED
            version = one.store.changed_since(0)
            assert one.look().changes == ()
            assert one.store.changed_since(0) == version
        found = resources(one)
        one.store.close()
        return found, kills, calls

    undisturbed, kills, calls = played(-1)
    assert kills == 0
    assert calls > 8
    for at in range(calls):
        found, kills, _ = played(at)
        assert kills, f"nobody was killed at call {at}"
        assert found == undisturbed, f"killed at call {at}"
