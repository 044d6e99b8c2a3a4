"""What was acknowledged is there after a kill -9, and is told of exactly as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import gitlab
import pytest
import requests

from tests.wire.forge.forges import commit, git, until, users


@pytest.fixture
def made(own_server, tmp_path):
    """A project and a clone on a forge that may be killed."""
    with own_server.client() as client:
        fields = {"name": "cdl", "namespace_path": "team", "initialize_with_readme": True}
        project = client.projects.create(fields)
        git(tmp_path, "clone", "-q", own_server.address("team/cdl"), "clone")
        yield own_server, project, tmp_path / "clone"


def test_what_was_acknowledged_is_there(made):
    server, project, folder = made
    git(folder, "checkout", "-qb", "work")
    acknowledged = []

    def speak():
        try:
            while True:
                sha = commit(folder, "n", str(len(acknowledged)))
                if git(folder, "push", "-q", "origin", "work", check=False).returncode:
                    return
                if not acknowledged:
                    project.mergerequests.create({"source_branch": "work", "target_branch": "main", "title": "It"})
                note = project.mergerequests.get(1, lazy=True).notes.create({"body": sha})
                acknowledged.append((sha, note.id))
        except (gitlab.GitlabError, requests.RequestException):
            return

    thread = threading.Thread(target=speak)
    thread.start()
    until(lambda: len(acknowledged) >= 3)
    server.kill()
    thread.join()
    server.start()
    with server.client() as client:
        again = client.projects.get("team/cdl")
        seen = again.mergerequests.get(1)
        head = again.branches.get("work").commit["id"]
        kept = {commit.id for commit in again.commits.list(ref_name="work", get_all=True)}
        assert {sha for sha, _ in acknowledged} <= kept
        notes = {note.id: note.body for note in seen.notes.list(get_all=True)}
        assert {number: notes.get(number) for _, number in acknowledged} == {n: sha for sha, n in acknowledged}
        assert (seen.sha, seen.diffs.list(get_all=True)[0].head_commit_sha) == (head, head)


def test_a_push_that_nobody_was_left_to_tell_of_is_told_after_the_start(made, receiver):
    server, project, folder = made
    project.hooks.create({"url": receiver.url, "push_events": True, "merge_requests_events": True})
    git(folder, "checkout", "-qb", "work")
    commit(folder, "a", "a")
    git(folder, "push", "-q", "origin", "work")
    project.mergerequests.create({"source_branch": "work", "target_branch": "main", "title": "It"})
    until(lambda: len(receiver.got) == 2)
    server.kill()
    # The refs moved and the server died before it had said so: the same as moving them while it is away.
    sha = commit(folder, "b", "b")
    git(folder, "push", "-q", str(server.data / "repositories" / f"{project.id}.git"), "work")
    server.start()
    # What was told and not yet written down as told is told again, under the same key: twice is not once too few.
    until(lambda: "update" in [b["object_attributes"]["action"] for b in receiver.taken("Merge Request Hook")])
    assert receiver.taken("Push Hook")[-1]["after"] == sha
    assert len({head["Idempotency-Key"] for head, _, _ in receiver.got}) == 4
    with server.client() as client:
        assert client.projects.get("team/cdl").mergerequests.get(1).sha == sha


def test_a_message_that_was_not_sent_goes_out_after_the_start(made, receiver):
    server, project, _ = made
    receiver.refuse = 1
    project.hooks.create({"url": receiver.url, "push_events": True})
    project.branches.create({"branch": "b", "ref": "main"})
    until(lambda: receiver.got)
    server.kill()
    server.start()
    assert until(lambda: receiver.taken("Push Hook"))[0]["ref"] == "refs/heads/b"


def test_two_forges_do_not_share_a_folder(own_server, tmp_path):
    people = tmp_path / "users.json"
    command = [sys.executable, "-m", "cdl.embedded.forge", "--port", "0", "--users", str(people)]

    def said(data, text):
        people.write_text(text)
        words = [*command, "--data", str(data)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        return done.stderr

    assert "in use by another forge" in said(own_server.data, json.dumps(users()))
    assert "a list called users" in said(tmp_path / "other", "users: []")
    wrong = {"users": [{"username": "a", "role": "king"}]}
    assert "allowed are guest" in said(tmp_path / "other", json.dumps(wrong))
