"""What the forge answers to python-gitlab: files, commits, lists in pages, statuses, and no in GitLab's words."""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile

import gitlab
import httpx
import pytest

from tests.wire.forge.forges import token


def refusal(call, *words, **named):
    with pytest.raises(gitlab.GitlabError) as caught:
        call(*words, **named)
    return caught.value.response_code, str(caught.value.error_message)


def commit(project, branch="main", message="Change", **files):
    known = {entry["path"] for entry in project.repository_tree(ref="main", recursive=True, get_all=True)}
    actions = [
        {"action": "update" if path in known else "create", "file_path": path, "content": content}
        for path, content in files.items()
    ]
    return project.commits.create({"branch": branch, "commit_message": message, "actions": actions})


def test_a_project_is_found_by_number_and_by_path(people, project):
    client = people("developer")
    assert client.projects.get(project.path_with_namespace).id == project.id
    assert client.projects.get(project.id).path_with_namespace == project.path_with_namespace
    assert project.id in [found.id for found in client.projects.list(get_all=True)]
    assert refusal(client.projects.get, "team/none") == (404, "404 Project Not Found")
    fields = {"name": project.name, "namespace_path": "team"}
    assert refusal(client.projects.create, fields)[0] == 400


def test_a_commit_does_all_its_actions_or_none(project):
    commit(project, **{"a b/ü.txt": "one", "run": "x"})
    content = {"content": base64.b64encode(b"\x00two").decode(), "encoding": "base64"}
    actions = [
        {"action": "update", "file_path": "a b/ü.txt", **content},
        {"action": "move", "previous_path": "run", "file_path": "bin/run"},
        {"action": "chmod", "file_path": "bin/run", "execute_filemode": True},
        {"action": "create", "file_path": "new", "content": "n"},
    ]
    made = project.commits.create({"branch": "main", "commit_message": "All", "actions": actions})
    assert made.stats["additions"] >= 1
    found = {entry["path"]: entry["mode"] for entry in project.repository_tree(recursive=True, get_all=True)}
    assert (found["bin/run"], found["new"], "run" in found) == ("100755", "100644", False)
    assert project.files.get("a b/ü.txt", "main").decode() == b"\x00two"
    assert project.files.raw("a b/ü.txt", ref="main") == b"\x00two"
    wrong = [{"action": "create", "file_path": "other", "content": ""}, {"action": "delete", "file_path": "none"}]
    fields = {"branch": "main", "commit_message": "No", "actions": wrong}
    assert refusal(project.commits.create, fields) == (400, "A file with this name doesn't exist")
    assert project.commits.list(get_all=True)[0].id == made.id


@pytest.mark.parametrize("path", ["../x", ".git/config", "a//b", "/etc/x", "", "a\0b", ".GIT/hooks/x"])
def test_a_file_lies_where_files_may(project, path):
    actions = [{"action": "create", "file_path": path, "content": "x"}]
    assert refusal(project.commits.create, {"branch": "main", "commit_message": "x", "actions": actions})[0] == 400


def test_a_number_that_no_database_holds_is_not_found(server):
    headers = {"PRIVATE-TOKEN": token("validator")}
    for number in ("9" * 40, "²", "-1"):
        assert httpx.get(f"{server.url}/api/v4/projects/{number}", headers=headers).status_code == 404
    assert httpx.get(f"{server.url}/api/v4/users/{'9' * 40}", headers=headers).status_code == 400
    assert httpx.get(f"{server.url}/api/v4/nothing", headers=headers).json() == {"message": "404 Not found"}
    assert httpx.patch(f"{server.url}/api/v4/projects", headers=headers).status_code == 405
    nul = httpx.get(f"{server.url}/api/v4/projects?search=a%00b", headers=headers)
    assert (nul.status_code, "null byte" in nul.text) == (400, True)


@pytest.mark.parametrize("ref", ["--output=x", "none", "-", "main..", "@{u}"])
def test_a_name_that_leads_nowhere_is_not_found(project, ref):
    assert refusal(project.repository_tree, ref=ref)[0] == 404
    assert refusal(project.commits.get, ref)[0] == 404


def test_lists_come_in_pages(project):
    for number in range(5):
        commit(project, a=str(number), message=f"Number {number}")
    listed = project.commits.list(per_page=2, iterator=True)
    assert [c.title for c in listed] == [*(f"Number {n}" for n in (4, 3, 2, 1, 0)), "Initial commit"]
    assert (listed.total, listed.total_pages) == (6, 3)
    assert [c.title for c in project.commits.list(per_page=2, page=2, get_all=False)] == ["Number 2", "Number 1"]


def test_two_commits_are_compared_and_packed(project):
    before, after = project.commits.list(get_all=True)[0].id, commit(project, **{"data.csv": "1\n2\n"}).id
    compared = project.repository_compare(before, after)
    assert [c["id"] for c in compared["commits"]] == [after]
    (change,) = compared["diffs"]
    assert (change["new_path"], change["new_file"]) == ("data.csv", True)
    assert change["diff"] == "@@ -0,0 +1,2 @@\n+1\n+2\n"
    assert project.commits.get(after).diff(get_all=True) == [change]
    with tarfile.open(fileobj=io.BytesIO(project.repository_archive(sha=after, format="tar.gz"))) as packed:
        assert any(name.endswith(f"{after}/data.csv") for name in packed.getnames())


def test_a_revert_takes_back_what_a_merge_brought(people, project, review):
    merged = project.mergerequests.get(review.iid)
    merged.merge()
    assert project.files.raw("model.py", ref="main")
    taken_back = project.commits.get(merged.merge_commit_sha).revert("main")
    assert taken_back["title"].startswith("Revert")
    assert refusal(project.files.raw, "model.py", ref="main")[0] == 404


def test_a_status_goes_only_where_gitlab_lets_it(project):
    sha = project.commits.list(get_all=True)[0].id
    told = project.commits.get(sha, lazy=True).statuses

    def say(state, **more):
        return told.create({"state": state, "name": "cdl/train", **more})

    say("pending")
    say("running", target_url="https://cdl.test/x", description="2 of 8")
    for state, event in (("running", "run"), ("pending", "enqueue")):
        code, said = refusal(say, state)
        assert (code, f"via :{event} from :running" in said) == (400, True)
    say("failed")
    say("success")
    (seen,) = told.list(get_all=True)
    assert (seen.status, seen.author["username"]) == ("success", "validator")
    assert [s.status for s in told.list(get_all=True, all=True)] == ["failed", "success"]
    assert refusal(say, "splendid") == (400, "state does not have a valid value")
    assert project.pipelines.list(sha=sha, get_all=True)[0].status == "success"
    assert refusal(project.commits.get("0" * 40, lazy=True).statuses.create, {"state": "success"})[0] == 404


def test_a_pipeline_waits_for_somebody_to_say_what_became_of_it(people, project):
    pipeline = project.pipelines.create({"ref": "main", "variables": [{"key": "A", "value": "b"}]})
    assert pipeline.status == "pending"
    client = people("validator")
    path = f"/projects/{project.id}/pipelines/{pipeline.id}/jobs"
    begun = client.http_post(path, post_data={"name": "train", "state": "running", "trace": "epoch 1\n"})
    assert project.pipelines.get(pipeline.id).status == "running"
    with gitlab.Gitlab(client.url, job_token=begun["token"]) as job:
        assert job.projects.get(project.id).id == project.id
        lazy = job.projects.get(project.id, lazy=True)
        sha = pipeline.sha
        assert refusal(lazy.commits.get(sha, lazy=True).statuses.create, {"state": "success"})[0] == 403
        client.http_post(path, post_data={"name": "train", "state": "success", "trace": "done\n"})
        assert refusal(job.projects.get, project.id)[0] == 401
    assert project.pipelines.get(pipeline.id).status == "success"
    (seen,) = pipeline.jobs.list(get_all=True)
    assert project.jobs.get(seen.id).trace() == b"epoch 1\ndone\n"


def test_a_job_leaves_files_behind(people, project):
    pipeline = project.pipelines.create({"ref": "main"})
    client = people("validator")
    path = f"/projects/{project.id}/pipelines/{pipeline.id}/jobs"
    begun = client.http_post(path, post_data={"name": "train", "state": "running"})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("out/report.json", "{}")
    url = f"{client.api_url}/projects/{project.id}/jobs/{begun['id']}/artifacts"
    files = {"file": ("artifacts.zip", packed.getvalue())}
    assert httpx.post(url, files=files, headers={"PRIVATE-TOKEN": token("developer")}).status_code == 403
    assert httpx.post(url, files={"file": ("x", b"x")}, headers={"JOB-TOKEN": begun["token"]}).status_code == 400
    assert httpx.post(url, files=files, headers={"JOB-TOKEN": begun["token"]}).status_code == 201
    job = project.jobs.get(begun["id"], lazy=True)
    assert job.artifact("out/report.json") == b"{}"
    assert job.artifacts() == packed.getvalue()
    assert refusal(job.artifact, "../x")[0] == 404


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("train:\n  script: [cdl apply]\n  rules: [!reference [.a, rules]]\n", ""),
        ("include: [{local: x.yml}]\n", ""),
        (".hidden: {script: [x]}\n", "at least one visible job"),
        ("train: {stage: test}\n", "should implement the script"),
        ("a: [\n", "Invalid configuration format"),
    ],
)
def test_a_pipelines_file_is_read(project, content, error):
    found = project.ci_lint.create({"content": content})
    assert found.valid is (not error)
    assert error in "".join(found.errors)


def test_variables_environments_and_deployments(project):
    project.variables.create({"key": "TOKEN", "value": "v", "masked": True})
    assert refusal(project.variables.create, {"key": "TOKEN", "value": "w"})[0] == 400
    project.variables.update("TOKEN", {"value": "w"})
    assert project.variables.get("TOKEN").value == "w"
    sha = project.commits.list(get_all=True)[0].id
    fields = {"environment": "production", "sha": sha, "ref": "main", "tag": False, "status": "running"}
    deployment = project.deployments.create(fields)
    deployment.status = "success"
    deployment.save()
    (where,) = project.environments.list(name="production", get_all=True)
    assert project.environments.get(where.id).last_deployment["status"] == "success"
    assert [d.sha for d in project.deployments.list(environment="production", get_all=True)] == [sha]


def test_who_may_not_is_told_so_in_gitlabs_words(server, people, project):
    url = f"{server.url}/api/v4/projects/{project.id}"
    answers = {
        (401, "401 Unauthorized"): {"PRIVATE-TOKEN": "glpat-nobody-has-this"},
        (404, "404 Project Not Found"): {},
        (200, None): {"Authorization": f"Bearer {token('reporter')}"},
    }
    for (code, said), headers in answers.items():
        answer = httpx.get(url, headers=headers)
        assert (answer.status_code, answer.json().get("message")) == (code, said)
    as_guest, as_reporter, as_reader = (people(who).projects.get(project.id) for who in ("guest", "reporter", "reader"))
    assert refusal(as_guest.repository_tree)[0] == 403
    assert refusal(as_reporter.branches.create, {"branch": "b", "ref": "main"})[0] == 403
    code, said = refusal(as_reader.branches.create, {"branch": "b", "ref": "main"})
    assert (code, said) == (403, "insufficient_scope")
    assert refusal(people("developer").projects.get(project.id).hooks.list, get_all=True)[0] == 403
    missing = httpx.post(f"{url}/merge_requests", json={}, headers={"PRIVATE-TOKEN": token("developer")})
    assert (missing.status_code, missing.json()) == (400, {"error": "title is missing"})
    broken = httpx.post(f"{url}/merge_requests", content=b"{", headers={"PRIVATE-TOKEN": token("developer")})
    assert broken.status_code == 400


def test_a_protected_branch_is_written_to_by_who_may(people, project):
    as_developer = people("developer").projects.get(project.id)
    fields = {"branch": "main", "commit_message": "x"}
    fields["actions"] = [{"action": "create", "file_path": "x", "content": "x"}]
    assert refusal(as_developer.commits.create, fields)[0] == 403
    as_developer.commits.create(fields | {"branch": "free", "start_branch": "main"})
    project.protectedbranches.create({"name": "release/*", "push_access_level": 0, "merge_access_level": 40})
    assert refusal(project.branches.create, {"branch": "release/1", "ref": "main"})[0] == 403
    assert refusal(project.branches.delete, "main")[0] == 400
    project.protectedbranches.delete("release/*")
    project.branches.create({"branch": "release/1", "ref": "main"})
