"""A forge that is killed again and again while it is told things: each is there once in the end."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from functools import partial

import pytest

from cdl.engines.gitlab import GitLabForge
from cdl.ports.errors import Unavailable
from cdl.ports.forge import CommitState
from tests.wire.forge.forges import ForgeServer, token

KILLS = 4


@pytest.fixture
def server(tmp_path):
    started = ForgeServer(tmp_path / "state").start()
    yield started
    assert started.stop() == 0


def test_what_a_dying_forge_is_told_is_there_once(server):
    chance = random.Random(7)
    with server.client("developer") as client:
        project = client.projects.create({"name": "p", "namespace_path": "team", "initialize_with_readme": True})
        fields = {"branch": "work", "start_branch": "main", "commit_message": "Work"}
        sha = project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]}).id
        project.mergerequests.create({"source_branch": "work", "target_branch": "main", "title": "It"})
    forge = GitLabForge(server.url, token("platform"), "team/p", seconds=5)
    steps = [partial(forge.set_status, sha, "cdl/train", CommitState.RUNNING)]
    steps += [partial(forge.note, 1, "report", f"{number} of 8 trials") for number in range(8)]
    steps += [partial(forge.set_status, sha, "cdl/train", CommitState.SUCCESS), partial(forge.merge, 1, sha)]
    done = []

    def tell():
        for step in steps:
            while True:
                with contextlib.suppress(Unavailable):
                    done.append(step())
                    break
                time.sleep(0.02)

    thread = threading.Thread(target=tell)
    thread.start()
    for _ in range(KILLS):
        thread.join(chance.uniform(0.05, 0.4))
        server.kill()
        server.start()
    thread.join(60)
    forge._gitlab.session.close()
    assert len(done) == len(steps)
    with server.client() as client:
        project = client.projects.get("team/p")
        review = project.mergerequests.get(1)
        told = project.commits.get(sha, lazy=True).statuses.list(get_all=True, all=True)
        assert [(status.name, status.status) for status in told] == [("cdl/train", "success")]
        said = [note.body for note in review.notes.list(get_all=True, sort="asc")]
        assert [body.splitlines()[-1] for body in said] == ["7 of 8 trials", "merged"]
        assert (review.state, review.merge_commit_sha) == ("merged", done[-1])
        merges = [commit for commit in project.commits.list(get_all=True) if len(commit.parent_ids) > 1]
        assert [commit.id for commit in merges] == [done[-1]]
