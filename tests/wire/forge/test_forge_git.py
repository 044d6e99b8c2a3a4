"""Git as a client of the forge, and the webhooks that a push leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import time

import httpx
import pytest

from tests.wire.forge.forges import commit, git, token, until

ALL = {f"{name}_events": True for name in ("push", "tag_push", "merge_requests", "note", "pipeline")}
ZERO = "0" * 40


@pytest.fixture
def hook(project, receiver):
    return project.hooks.create({"url": receiver.url, "token": "shared", "signing_token": "signing", **ALL})


def test_what_was_pushed_is_there_for_everybody_who_may_read(server, project, folder, tmp_path):
    # Too much for one request with a length: git sends it in parts, and it does not shrink.
    sha = commit(folder, "big.bin", random.Random(7).randbytes(1_600_000).hex(), "Much")
    git(folder, "push", "-q", "origin", "HEAD:refs/heads/much")
    git(tmp_path, "clone", "-q", "-b", "much", server.address(project.path_with_namespace, "reporter"), "other")
    assert git(tmp_path / "other", "rev-parse", "HEAD").stdout.strip() == sha
    assert (tmp_path / "other" / "big.bin").stat().st_size == 3_200_000
    git(tmp_path, "clone", "-q", "--depth", "1", server.address(project.path_with_namespace), "shallow")


@pytest.mark.parametrize(
    ("who", "words"),
    [("reporter", "403"), ("reader", "403"), ("nobody", "Authentication failed")],
)
def test_who_may_not_push_does_not(server, project, folder, who, words):
    commit(folder, "x", "x")
    address = server.address(project.path_with_namespace, who)
    refused = git(folder, "push", address, "HEAD:refs/heads/x", check=False)
    assert refused.returncode
    assert words in refused.stderr
    assert [b.name for b in project.branches.list(get_all=True)] == ["main"]


def test_a_private_project_is_not_there_for_strangers(server, project, tmp_path):
    url = f"{server.url}/{project.path_with_namespace}.git"
    assert git(tmp_path, "ls-remote", url, check=False).returncode
    assert httpx.get(f"{url}/info/refs?service=git-upload-pack").headers["WWW-Authenticate"].startswith("Basic")
    assert git(tmp_path, "ls-remote", server.address("team/none"), check=False).returncode
    project.visibility = "public"
    project.save()
    assert "refs/heads/main" in git(tmp_path, "ls-remote", url).stdout


def test_a_protected_branch_is_neither_pushed_forced_nor_deleted(server, project, folder):
    commit(folder, "x", "x")
    assert "protected branches" in git(folder, "push", "origin", "HEAD:main", check=False).stderr
    maintainer = server.address(project.path_with_namespace, "validator")
    git(folder, "push", "-q", maintainer, "HEAD:main")
    head = project.branches.get("main").commit["id"]
    git(folder, "reset", "-q", "--hard", "HEAD~1")
    commit(folder, "y", "y")
    assert "force push" in git(folder, "push", "-f", maintainer, "HEAD:main", check=False).stderr
    assert "delete protected" in git(folder, "push", maintainer, ":main", check=False).stderr
    assert "only push branches and tags" in git(folder, "push", maintainer, "HEAD:refs/x/y", check=False).stderr
    assert project.branches.get("main").commit["id"] == head


def test_a_push_is_told_as_gitlab_tells_it(project, folder, receiver, hook):
    base = git(folder, "rev-parse", "HEAD").stdout.strip()
    git(folder, "checkout", "-qb", "work")
    commit(folder, "a.txt", "a", "Add a")
    sha = commit(folder, "a.txt", "b", "Change a")
    git(folder, "push", "-q", "origin", "work")
    (body,) = until(lambda: receiver.taken("Push Hook"))
    assert (body["before"], body["after"], body["checkout_sha"]) == (ZERO, sha, sha)
    assert (body["ref"], body["user_username"], body["total_commits_count"]) == ("refs/heads/work", "developer", 2)
    assert [(c["title"], c["added"], c["modified"]) for c in body["commits"]] == [
        ("Add a", ["a.txt"], []),
        ("Change a", [], ["a.txt"]),
    ]
    assert body["project"]["path_with_namespace"] == project.path_with_namespace
    git(folder, "reset", "-q", "--hard", base)
    git(folder, "push", "-q", "-f", "origin", "work")
    git(folder, "push", "-q", "origin", ":work")
    told = until(lambda: len(receiver.taken("Push Hook")) == 3 and receiver.taken("Push Hook"))
    assert [(b["before"], b["after"]) for b in told[1:]] == [(sha, base), (base, ZERO)]
    assert told[2]["checkout_sha"] is None


def test_a_push_of_many_branches_is_told_to_nobody(folder, receiver, hook):
    git(folder, "push", "-q", "origin", *(f"HEAD:refs/heads/b{n}" for n in range(4)))
    git(folder, "push", "-q", "origin", "HEAD:refs/heads/last", "HEAD:refs/tags/v1")
    until(lambda: receiver.taken("Push Hook") and receiver.taken("Tag Push Hook"))
    assert [b["ref"] for b in receiver.taken("Push Hook")] == ["refs/heads/last"]
    assert [b["ref"] for b in receiver.taken("Tag Push Hook")] == ["refs/tags/v1"]


def test_a_merge_request_is_told_from_its_opening_to_its_merge(project, folder, receiver, hook, review, people):
    sha = commit(folder, "more.py", "x = 1\n")
    git(folder, "push", "-q", "origin", "work")
    seen = project.mergerequests.get(review.iid)
    seen.notes.create({"body": "Fine"})
    seen.approve(sha=sha)
    project.commits.get(sha, lazy=True).statuses.create({"state": "success", "name": "cdl/train"})
    seen.merge(sha=sha)
    told = until(lambda: len(receiver.taken("Merge Request Hook")) == 4 and receiver.taken("Merge Request Hook"))
    assert [b["object_attributes"]["action"] for b in told] == ["open", "update", "approved", "merge"]
    assert told[1]["object_attributes"]["oldrev"] == review.sha
    assert all(b["object_attributes"]["last_commit"]["id"] in {review.sha, sha} for b in told)
    (note,) = receiver.taken("Note Hook")
    assert (note["object_attributes"]["note"], note["merge_request"]["iid"]) == ("Fine", review.iid)
    assert receiver.taken("Pipeline Hook")[-1]["object_attributes"]["status"] == "success"


def test_a_message_is_signed_and_known_again(project, receiver, hook):
    project.branches.create({"branch": "signed", "ref": "main"})
    until(lambda: receiver.got)
    head, content, _ = receiver.got[0]
    assert head["X-Gitlab-Token"] == "shared"
    signed = f"{head['Webhook-Id']}.{head['Webhook-Timestamp']}.".encode() + content
    digest = base64.b64encode(hmac.new(b"signing", signed, hashlib.sha256).digest()).decode()
    assert head["Webhook-Signature"] == f"v1,{digest}"
    assert abs(time.time() - int(head["Webhook-Timestamp"])) < 60
    assert head["Idempotency-Key"] == head["Webhook-Id"]
    assert "shared" not in str(project.hooks.list(get_all=True)[0].attributes)


def test_a_receiver_that_is_not_well_hears_it_again(people, project, receiver, hook):
    receiver.refuse = 1
    project.branches.create({"branch": "again", "ref": "main"})
    until(lambda: receiver.taken("Push Hook"))
    first, second = receiver.got
    assert first[0]["Idempotency-Key"] == second[0]["Idempotency-Key"]
    path = f"/projects/{project.id}/hooks/{hook.id}/events"
    client = people("validator")
    (sent,) = until(lambda: [d for d in client.http_get(path) if d["state"] == "delivered"])
    assert (sent["attempts"], sent["response_status"]) == (2, "200")
    client.http_post(f"{path}/{sent['id']}/resend")
    until(lambda: len(receiver.taken("Push Hook")) == 2)
    assert token("validator") not in str(client.http_get(path))
