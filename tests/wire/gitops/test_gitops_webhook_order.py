"""Webhooks in the wrong order, twice and too late: what a webhook tells is never taken from it, git is asked."""

import json
import time

import pytest

from cdl.gitops.webhook import listening
from cdl.reconcile.gitops import State
from tests.unit.gitops.gitops_rig import follower as made
from tests.wire.gitops.test_gitops_webhook import PUSH, TOKEN, knock, signature


@pytest.fixture
def follower(tmp_path):
    follower = made(tmp_path)
    yield follower
    follower.store.close()


def told(commit):
    """What GitLab tells of a push."""
    return json.dumps({"object_kind": "push", "ref": "refs/heads/main", "after": commit}).encode()


def epochs(follower, old, new):
    follower.origin.change("resources/experiment.yaml", f"epochs: {old}", f"epochs: {new}")
    return follower.origin.push()


def test_whatever_order_webhooks_come_in_the_newest_commit_is_applied_once(follower):
    first = follower.origin.push()
    second = epochs(follower, 4, 5)
    third = epochs(follower, 5, 6)
    looks = []
    with listening("127.0.0.1", 0, TOKEN, lambda: looks.append(follower.look())) as port:
        for commit in (third, first, second, first, third, second):
            assert knock(port, {"X-Gitlab-Token": TOKEN, **PUSH}, told(commit))[0] == 202
    assert [(look.state, look.last_applied) for look in looks] == [(State.APPLIED, third)] * 6
    assert [bool(look.changes) for look in looks] == [True, False, False, False, False, False]
    (experiment,) = follower.store.documents("Experiment")
    assert experiment["spec"]["config"]["hyperparameters"]["epochs"] == 6


def test_a_webhook_that_comes_an_hour_late_takes_nothing_back(follower):
    first = follower.origin.push()
    late = signature("msg_9", int(time.time()) - 3600, body=told(first))
    second = epochs(follower, 4, 5)
    follower.look()
    looks = []
    with listening("127.0.0.1", 0, TOKEN, lambda: looks.append(follower.look())) as port:
        assert knock(port, late | PUSH, told(first))[0] == 401
        assert looks == []
        assert knock(port, {"X-Gitlab-Token": TOKEN, **PUSH}, told(first))[0] == 202
    assert [(look.last_applied, look.changes) for look in looks] == [(second, ())]
