"""The names of fields, against GitLab's published description of its API (OpenAPI and manual of version 18)."""

from __future__ import annotations

import pytest

from tests.wire.forge.forges import until
from tests.wire.forge.test_forge_git import ALL


def words(text):
    return set(text.split())


PERSON = words("id username name state avatar_url web_url")
COMMIT = words(
    "id short_id created_at parent_ids title message author_name author_email authored_date committer_name"
    " committer_email committed_date trailers extended_trailers web_url"
)
STATUS = words(
    "id sha ref status name target_url description created_at started_at finished_at allow_failure coverage"
    " pipeline_id author"
)
DIFF = words(
    "diff collapsed too_large new_path old_path a_mode b_mode new_file renamed_file deleted_file generated_file"
)
NOTE = words(
    "id type body author created_at updated_at system noteable_id noteable_type project_id resolvable confidential"
    " internal imported imported_from noteable_iid commands_changes"
)
REVIEW = words(
    "id iid project_id title description state created_at updated_at target_branch source_branch upvotes downvotes"
    " author assignee assignees reviewers source_project_id target_project_id labels draft work_in_progress milestone"
    " merge_when_pipeline_succeeds merge_status detailed_merge_status sha merge_commit_sha squash_commit_sha"
    " user_notes_count discussion_locked should_remove_source_branch force_remove_source_branch web_url references"
    " time_stats squash merged_by merge_user merged_at closed_by closed_at task_completion_status has_conflicts"
    " blocking_discussions_resolved prepared_at reference"
)
REVIEW_ALONE = words(
    "subscribed changes_count pipeline head_pipeline diff_refs merge_error diverged_commits_count user"
)
REVIEW_ALONE |= {"first_contribution"}
APPROVALS = words(
    "id iid project_id title description state created_at updated_at merge_status approvals_required approvals_left"
    " approved_by"
)
RULE = words(
    "id name rule_type eligible_approvers approvals_required users groups contains_hidden_groups approved_by"
    " source_rule approved overridden"
)
HOOK = words(
    "id url created_at push_events tag_push_events merge_requests_events repository_update_events"
    " enable_ssl_verification alert_status disabled_until url_variables push_events_branch_filter project_id"
    " issues_events confidential_issues_events note_events confidential_note_events pipeline_events wiki_page_events"
    " deployment_events job_events releases_events"
)
PIPELINE = words("id iid project_id sha ref status source created_at updated_at web_url name")
PIPELINE_ALONE = words("before_sha tag yaml_errors user started_at finished_at committed_at duration detailed_status")
FILE = words(
    "file_name file_path size encoding content_sha256 ref blob_id commit_id last_commit_id execute_filemode content"
)
COMPARE = words("commit commits diffs compare_timeout compare_same_ref web_url")
BRANCH = words("name commit merged protected developers_can_push developers_can_merge can_push default web_url")
PROTECTION = words("id name push_access_levels merge_access_levels unprotect_access_levels allow_force_push")
DEPLOYMENT = words("id iid ref sha created_at updated_at status user environment deployable")
ENVIRONMENT = words("id name slug external_url created_at updated_at state tier")
VARIABLE = words("variable_type key value hidden protected masked raw environment_scope description")
PROJECT = words(
    "id description name name_with_namespace path path_with_namespace created_at default_branch ssh_url_to_repo"
    " http_url_to_repo web_url readme_url avatar_url last_activity_at namespace archived visibility creator_id"
    " merge_method permissions empty_repo _links only_allow_merge_if_pipeline_succeeds approvals_before_merge"
)
PUSH = words(
    "object_kind event_name before after ref ref_protected checkout_sha user_id user_name user_username user_email"
    " user_avatar project_id project repository commits total_commits_count"
)
EVENT_PROJECT = words(
    "id name description web_url avatar_url git_ssh_url git_http_url namespace visibility_level path_with_namespace"
    " default_branch homepage url ssh_url http_url"
)
EVENT_REVIEW = words(
    "id iid target_branch source_branch source_project_id author_id assignee_ids assignee_id reviewer_ids title"
    " created_at updated_at milestone_id state_id state blocking_discussions_resolved work_in_progress draft"
    " merge_status target_project_id description url source target last_commit labels action detailed_merge_status"
)
EVENT_NOTE = words(
    "id note noteable_type author_id created_at updated_at project_id attachment line_code commit_id noteable_id"
    " system st_diff action url"
)
EVENT_PIPELINE = words(
    "id iid name ref tag sha before_sha source status stages created_at finished_at duration variables url"
)


@pytest.fixture
def told(project, receiver):
    """A hook that hears of everything, made before anything happens."""
    return project.hooks.create({"url": receiver.url, **ALL})


def test_answers_have_gitlabs_fields(told, people, project, review):
    seen = project.mergerequests.get(review.iid)
    commit = project.commits.get(review.sha)
    status = commit.statuses.create({"state": "success", "name": "cdl/train"})
    note = seen.notes.create({"body": "x"})
    pipeline = project.pipelines.list(sha=review.sha, get_all=True)[0]
    fields = {"environment": "production", "sha": review.sha, "ref": "work", "tag": False, "status": "success"}
    deployment = project.deployments.create(fields)
    found = {
        "person": (PERSON, status.author),
        "commit": (COMMIT | {"stats", "status", "project_id", "last_pipeline"}, commit.attributes),
        "commits": (COMMIT, project.commits.list(get_all=True)[0].attributes),
        "file": (FILE, project.files.get("README.md", "main").attributes),
        "compare": (COMPARE, project.repository_compare("main", "work")),
        "branch": (BRANCH, project.branches.get("main").attributes),
        "protection": (PROTECTION, project.protectedbranches.get("main").attributes),
        "review": (REVIEW | REVIEW_ALONE, seen.attributes),
        "reviews": (REVIEW, project.mergerequests.list(get_all=True)[0].attributes),
        "note": (NOTE, note.attributes),
        "approvals": (APPROVALS, seen.approvals.get().attributes),
        "rule": (RULE, seen.approval_state.get().rules[0]),
        "hook": (HOOK, told.attributes),
        "pipelines": (PIPELINE, pipeline.attributes),
        "pipeline": (PIPELINE | PIPELINE_ALONE, project.pipelines.get(pipeline.id).attributes),
        "deployment": (DEPLOYMENT, deployment.attributes),
        "environment": (ENVIRONMENT, project.environments.list(get_all=True)[0].attributes),
        "variable": (VARIABLE, project.variables.create({"key": "A", "value": "b"}).attributes),
        "project": (PROJECT, project.attributes),
    }
    assert {name: wanted - set(given) for name, (wanted, given) in found.items() if wanted - set(given)} == {}


def test_what_is_described_in_full_has_no_field_more(project, review):
    commit = project.commits.get(review.sha)
    # python-gitlab adds the fields of the address that it asked by.
    status = set(commit.statuses.create({"state": "success"}).attributes) - {"commit_id"}
    assert (status, set(commit.diff(get_all=True)[0])) == (STATUS | ({"project_id"} & status), DIFF)
    assert set(project.commits.list(get_all=True)[0].attributes) - {"project_id"} == COMMIT
    kept = set(project.mergerequests.list(get_all=True)[0].attributes)
    assert kept == REVIEW


def test_messages_have_gitlabs_fields(told, receiver, project, review):
    project.commits.get(review.sha, lazy=True).statuses.create({"state": "success"})
    project.mergerequests.get(review.iid).notes.create({"body": "x"})
    until(lambda: receiver.taken("Note Hook"))
    bodies = {
        kind: until(lambda kind=kind: receiver.taken(f"{kind} Hook"))[0] for kind in ("Merge Request", "Pipeline")
    }
    (note,) = receiver.taken("Note Hook")
    found = {
        "review": (EVENT_REVIEW, bodies["Merge Request"]["object_attributes"]),
        "project": (EVENT_PROJECT, bodies["Merge Request"]["project"]),
        "note": (EVENT_NOTE, note["object_attributes"]),
        "pipeline": (EVENT_PIPELINE, bodies["Pipeline"]["object_attributes"]),
        "pipeline's": (words("merge_request user project commit builds"), bodies["Pipeline"]),
    }
    project.branches.create({"branch": "told", "ref": "main"})
    found["push"] = (PUSH, until(lambda: receiver.taken("Push Hook"))[-1])
    assert {name: wanted - set(given) for name, (wanted, given) in found.items() if wanted - set(given)} == {}
