"""`cdl gitops` tells a forge, as a process: statuses, one note, killed and started again, and no secret in either."""

import signal
import time

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1 import Experiment
from cdl.local import LocalStore
from cdl.reconcile.summary import settled, stalled
from tests.wire.forge.forges import ForgeServer, token, until
from tests.wire.gitops.test_gitops_reviews import Following, Team

SPACE = "tiny-mr-1"


@pytest.fixture
def team(tmp_path):
    forge = ForgeServer(tmp_path / "forge" / "state").start()
    following = Following(tmp_path, f"{forge.url}/team/tiny.git", forge.url)
    team = Team(forge, tmp_path, following)
    yield team
    team.client.session.close()
    if following.process is not None and following.process.poll() is None:
        following.process.kill()
        following.process.wait(30)
    forge.stop()


def notes(team):
    found = team.project.mergerequests.get(1).notes.list(get_all=True)
    return [note.body for note in found if note.body.startswith("<!-- cdl:note")]


def statuses(team, sha):
    found = team.project.commits.get(sha).statuses.list(get_all=True)
    assert len({status.name for status in found}) == len(found)
    return {status.name: status for status in found}


def fails(team, message):
    """What an operator would say."""
    store = LocalStore(team.following.home / "resources.db")
    try:
        found = store.get(Experiment, SPACE, "tiny")
        conditions = settled((stalled(Reason.RUN_FAILED, message),), found.metadata.generation, Reason.SUCCEEDED)
        status = found.status.model_copy(
            update={"conditions": conditions, "observed_generation": found.metadata.generation}
        )
        store.write_status(found.key, status, found.metadata.resource_version)
    finally:
        store.close()


def test_a_merge_request_is_told_by_the_program(team):
    following = team.following.start()
    following.until("production", team.main)
    sha = team.trials("wider", 4)
    team.proposed("wider")
    following.until(SPACE, sha)
    until(lambda: len(statuses(team, sha)) == 3)
    assert {status.status for status in statuses(team, team.main).values()} == {"success", "pending"}
    assert statuses(team, sha)[f"cdl/sync/{SPACE}"].status == "success"
    secret = token("platform")
    began = time.monotonic()
    fails(team, f"@all run 3: cannot log in at https://bot:hunter2canary@registry.example with {secret} <!-- -->")
    until(lambda: statuses(team, sha)[f"cdl/{SPACE}/Experiment/tiny"].status == "failed")
    print(f"\nfrom what an operator wrote to the status: {time.monotonic() - began:.2f} s")
    until(lambda: "### Experiment `tiny` failed" in notes(team)[0])
    (before,) = notes(team)
    assert "@all" not in before
    for canary in (secret, "hunter2canary"):
        assert canary not in before
        assert canary not in repr([status.description for status in statuses(team, sha).values()])
    written = len(team.project.commits.get(sha).statuses.list(get_all=True, all=True))
    following.end(signal.SIGKILL)
    following.start()
    time.sleep(3)  # three beats, in which nothing may be told
    assert notes(team) == [before]
    assert len(team.project.commits.get(sha).statuses.list(get_all=True, all=True)) == written
    assert following.end() == 0
