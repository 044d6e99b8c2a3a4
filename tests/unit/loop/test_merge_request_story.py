"""From a merge request to production: who approves it approves what it showed, and nothing is trained twice."""

from __future__ import annotations

import pytest

from cdl.api.conditions import ConditionType

from .merge_rig import MAIN, Town, preview


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


def test_what_was_approved_is_what_is_promoted(town):
    request = town.propose("tune")
    town.settle()
    assert town.says(preview(1))[0] == "WaitingForApproval"
    town.approve(1)
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]

    town.merge(1)
    town.settle()
    assert town.trained(MAIN) == []
    [candidate], [promoted] = town.releases(preview(1)), town.releases(MAIN)
    assert town.approvals(MAIN) == [("news-1", "validator")]
    backed = promoted.status.approval.merge_request
    assert (backed.number, backed.sha, backed.url) == (1, request.sha, request.url)
    ours, theirs = promoted.spec.members, candidate.spec.members
    apart = {name for name in ours if ours[name] != theirs[name]}
    assert apart == {"git", "data"}
    assert ours["data"]["version"] == theirs["data"]["version"]
    assert ours["git"]["adoptedFrom"] == {
        "namespace": preview(1),
        "name": "news-1",
        "digest": candidate.spec.digest,
        "trainedOn": {side: theirs["data"][side] for side in ("train", "test")},
    }
    status = town.experiment().status
    assert town.says(kind=ConditionType.TRAINED) == (
        "Adopted",
        f"adopts release news-1 of namespace {preview(1)} instead of training",
    )
    assert status.evaluation.metrics == {"accuracy": 0.9}
    assert status.evaluation.gates[0].passed
    assert status.best_trial.id == 1
    assert status.checkpoint.uuid == theirs["checkpoint"]["uuid"]
    assert status.release == "news-1"
