"""Merge requests: who may what, which commit was agreed to, what is merged."""

from __future__ import annotations

import gitlab
import pytest

from tests.wire.forge.forges import commit, git
from tests.wire.forge.test_forge_api import refusal


@pytest.fixture
def of_validator(project, review):
    return project.mergerequests.get(review.iid)


def test_a_merge_request_says_what_it_would_change(people, project, review):
    assert (review.state, review.detailed_merge_status, review.draft) == ("opened", "mergeable", False)
    assert [c.title for c in review.commits()] == ["Widen the layer"]
    assert [c["new_path"] for c in review.changes()["changes"]] == ["model.py"]
    (version,) = review.diffs.list(get_all=True)
    assert version.head_commit_sha == review.sha
    assert [d["new_path"] for d in review.diffs.get(version.id).diffs] == ["model.py"]
    listed = project.commits.get(review.sha, lazy=True).merge_requests()
    assert [found["iid"] for found in listed] == [review.iid]
    same = {"source_branch": "work", "target_branch": "main", "title": "Again"}
    code, said = refusal(project.mergerequests.create, same)
    assert (code, "already exists" in said) == (409, True)


def test_only_somebody_else_approves_and_only_what_they_saw(people, of_validator, review):
    assert refusal(review.approve)[0] == 401
    assert refusal(of_validator.approve, sha="0" * 40)[0] == 409
    of_validator.approve(sha=review.sha)
    assert refusal(of_validator.approve)[0] == 401
    (given,) = review.approvals.get().approved_by
    assert given["user"]["username"] == "validator"
    (rule,) = review.approval_state.get().rules
    assert [user["username"] for user in rule["approved_by"]] == ["validator"]
    of_validator.unapprove()
    assert review.approvals.get().approved_by == []


def test_a_push_takes_approvals_back_where_the_project_says_so(project, folder, of_validator, review):
    project.approvals.update(new_data={"reset_approvals_on_push": True, "approvals_before_merge": 1})
    assert refusal(of_validator.merge)[0] == 405
    of_validator.approve()
    commit(folder, "more.py", "x = 1\n")
    git(folder, "push", "-q", "origin", "work")
    now = project.mergerequests.get(review.iid)
    assert now.detailed_merge_status == "not_approved"
    assert len(now.diffs.list(get_all=True)) == 2


def test_a_merge_is_of_the_commit_that_was_looked_at(project, folder, of_validator, review):
    assert refusal(review.merge)[0] == 401  # a developer may not merge into what is protected
    commit(folder, "more.py", "x = 1\n")
    git(folder, "push", "-q", "origin", "work")
    assert refusal(of_validator.merge, sha=review.sha)[0] == 409
    assert of_validator.merge(sha=git(folder, "rev-parse", "HEAD").stdout.strip())["state"] == "merged"
    merged = project.mergerequests.get(review.iid)
    assert (merged.state, merged.merged_by["username"]) == ("merged", "validator")
    made = project.commits.get(merged.merge_commit_sha)
    assert len(made.parent_ids) == 2
    assert project.branches.get("main").commit["id"] == made.id
    assert refusal(merged.merge)[0] == 405


def test_what_does_not_go_together_is_not_merged(project, folder, of_validator, review):
    fields = {"branch": "main", "commit_message": "Other"}
    fields["actions"] = [{"action": "create", "file_path": "model.py", "content": "units = 1\n"}]
    project.commits.create(fields)
    assert project.mergerequests.get(review.iid).detailed_merge_status == "conflict"
    assert refusal(of_validator.merge)[0] == 422


def test_a_draft_is_not_merged_until_it_says_so(project, of_validator):
    of_validator.title = "Draft: not yet"
    of_validator.save()
    assert of_validator.draft
    assert refusal(of_validator.merge)[0] == 405
    of_validator.title = "Now"
    of_validator.save()
    of_validator.merge(squash=True)
    assert project.mergerequests.get(of_validator.iid).squash_commit_sha


def test_what_is_merged_by_hand_is_seen_to_be_merged(server, project, folder, review):
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "work", "-m", "By hand")
    git(folder, "push", "-q", server.address(project.path_with_namespace, "validator"), "main")
    seen = project.mergerequests.get(review.iid)
    assert (seen.state, seen.merge_commit_sha) == ("merged", git(folder, "rev-parse", "HEAD").stdout.strip())


def test_closed_and_opened_again(project, of_validator):
    of_validator.state_event = "close"
    of_validator.save()
    assert refusal(of_validator.merge)[0] == 405
    of_validator.state_event = "reopen"
    of_validator.save()
    assert project.mergerequests.list(state="opened", get_all=True)[0].iid == of_validator.iid


def test_notes_are_changed_by_who_wrote_them(people, project, review, of_validator):
    note = of_validator.notes.create({"body": "One"})
    with pytest.raises(gitlab.GitlabUpdateError):
        review.notes.update(note.id, {"body": "Not yours"})
    of_validator.notes.update(note.id, {"body": "Two"})
    assert [n.body for n in review.notes.list(get_all=True, sort="asc") if not n.system] == ["Two"]
    assert refusal(of_validator.notes.create, {"body": " "})[0] == 400
    thread = review.discussions.create({"body": "Why?"})
    thread.notes.create({"body": "Because."})
    review.discussions.update(thread.id, {"resolved": True})
    (again,) = [d for d in review.discussions.list(get_all=True) if not d.individual_note]
    assert [n["resolved"] for n in again.attributes["notes"]] == [True, True]
    of_validator.notes.delete(note.id)
    assert refusal(of_validator.notes.get, note.id)[0] == 404


def test_a_rule_of_the_project_counts_the_approvals_of_its_people(people, project, of_validator, review):
    someone = {user.username: user.id for user in project.members_all.list(get_all=True)}
    fields = {"name": "model-validators", "approvals_required": 1, "user_ids": [someone["validator"]]}
    made = project.approvalrules.create(fields)
    project.approvalrules.create({"name": "stewards", "approvals_required": 1, "usernames": ["platform"]})
    assert refusal(project.approvalrules.create, fields)[0] == 400
    lazily = people("developer").projects.get(project.id, lazy=True)
    assert refusal(lazily.approvalrules.create, fields | {"name": "own"})[0] == 403
    of_validator.approve(sha=review.sha)
    counted = {rule["name"]: [u["username"] for u in rule["approved_by"]] for rule in review.approval_state.get().rules}
    assert counted == {"model-validators": ["validator"], "stewards": []}
    made.delete()
    assert [rule["name"] for rule in review.approval_state.get().rules] == ["stewards"]
