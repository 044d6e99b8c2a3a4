"""Summaries, words beside things, removal of many things, and what the server finds wrong with its own store."""

import signal
import sqlite3
from datetime import timedelta

import grpc
import pytest
from pachyderm_sdk.api import metadata, pfs, pps

from tests.wire.pachd.refusals import eventually, refused


def master(repo):
    return pfs.Branch(repo=repo, name="master")


def picked(project):
    return pfs.ProjectPicker(name=project)


def repo_in(client, project, name, files=()):
    """A repo in a project, with files when they are given."""
    repo = pfs.Repo(name=name, project=pfs.Project(name=project))
    client.pfs.create_repo(repo=repo)
    if files:
        with client.pfs.commit(branch=master(repo)) as commit:
            for path, body in dict(files).items():
                commit.put_file_from_bytes(path, body)
        commit.wait()
    return repo


def pipe(client, repo, name, cmd="true", **fields):
    pipeline = pps.Pipeline(name=name, project=repo.project)
    source = pps.PfsInput(project=repo.project.name, repo=repo.name, glob="/*", name="in")
    client.pps.create_pipeline(
        pipeline=pipeline,
        input=pps.Input(pfs=source),
        transform=pps.Transform(cmd=["sh"], stdin=[cmd]),
        **fields,
    )
    return pipeline


def ended(client, pipeline):
    newest = next(iter(client.pps.list_job(pipeline=pipeline, history=-1)))
    return client.pps.inspect_job(job=newest.job, wait=True)


@pytest.fixture
def project(client, request):
    """A project of the test's own, which goes with it."""
    made = pfs.Project(name=request.node.name[:40].replace("[", "-").replace("]", ""))
    client.pfs.create_project(project=made, description="for a test")
    yield made.name
    client.pps.delete_pipelines(projects=[made], force=True)
    client.pfs.delete_project(project=made, force=True)


def test_projects_are_summed_up(client, project):
    one = repo_in(client, project, "one", {"/a": b"12345"})
    repo_in(client, project, "two", {"/a": b"123"})
    fine, bad, off = (
        pipe(client, one, name, cmd) for name, cmd in (("ok", "true"), ("bad", "exit 1"), ("off", "true"))
    )
    for pipeline in (fine, bad, off):
        ended(client, pipeline)
    client.pps.stop_pipeline(pipeline=off)
    client.pps.create_pipeline(
        pipeline=pps.Pipeline(name="none", project=one.project),
        input=pps.Input(pfs=pps.PfsInput(project=project, repo="one", glob="/", name="in")),
        transform=pps.Transform(image="anything"),
    )

    (repos,) = client.pfs.repos_summary(projects=[picked(project)]).summaries
    # Two of people, four of pipelines' outputs.
    assert (repos.project.name, repos.user_repo_count, repos.size_bytes) == (project, 6, 8)
    (found,) = client.pps.pipelines_summary(projects=[picked(project)]).summaries
    assert (found.active_pipelines, found.paused_pipelines, found.failed_pipelines) == (2, 1, 1)
    assert found.unhealthy_pipelines == 1
    assert project in {s.project.name for s in client.pps.pipelines_summary().summaries}
    assert refused(client.pfs.repos_summary, projects=[picked("nowhere")])[0] == "NOT_FOUND"


def test_a_project_is_described_with_its_defaults(client, project):
    client.pps.set_project_defaults(
        project=pfs.Project(name=project), project_defaults_json='{"createPipelineRequest": {"datumTries": 7}}'
    )
    found = client.pfs.inspect_project_v2(project=pfs.Project(name=project))
    assert found.info.project.name == project
    assert found.info.description == "for a test"
    assert found.defaults_json == '{"createPipelineRequest": {"datumTries": 7}}'


def test_words_are_kept_beside_things(own_pachd):
    server = own_pachd()
    client, repo = server.client, server.repo("words")
    commit = server.put(repo, {"/a": b"1"})
    pipeline = server.pipeline(repo, "true", name="worded")
    server.job(pipeline)
    of_repo = pfs.RepoPicker(name=pfs.RepoPickerRepoName(project=picked("default"), name="words"))
    of_branch = pfs.BranchPicker(name=pfs.BranchPickerBranchName(repo=of_repo, name="master"))
    of_commit = pfs.CommitPicker(id=pfs.CommitPickerCommitByGlobalId(repo=of_repo, id=commit.id))
    of_pipeline = pps.PipelinePicker(name=pps.PipelinePickerPipelineName(project=picked("default"), name="worded"))
    targets = [
        {"project": picked("default")},
        {"repo": of_repo},
        {"branch": of_branch},
        {"commit": of_commit},
        {"pipeline": of_pipeline},
        {"cluster": metadata.ClusterPicker()},
    ]
    add = metadata.EditAddKey(key="who", value="someone")
    client.metadata.edit_metadata(edits=[metadata.Edit(**target, add_key=add) for target in targets])

    def told(client):
        return [
            client.pfs.inspect_project(project=pfs.Project(name="default")).metadata,
            client.pfs.inspect_repo(repo=repo).metadata,
            client.pfs.inspect_branch(branch=master(repo)).metadata,
            client.pfs.inspect_commit(commit=commit).metadata,
            client.pps.inspect_pipeline(pipeline=pipeline).metadata,
            client.admin.inspect_cluster().metadata,
        ]

    assert told(client) == [{"who": "someone"}] * 6
    server.end(signal.SIGKILL)
    client = own_pachd().client
    assert told(client) == [{"who": "someone"}] * 6

    edits = [
        metadata.Edit(repo=of_repo, edit_key=metadata.EditEditKey(key="who", value="else")),
        metadata.Edit(branch=of_branch, delete_key=metadata.EditDeleteKey(key="who")),
        metadata.Edit(commit=of_commit, replace=metadata.EditReplace(replacement={"x": "1", "y": "2"})),
    ]
    client.metadata.edit_metadata(edits=edits)
    assert told(client)[1:4] == [{"who": "else"}, {}, {"x": "1", "y": "2"}]
    # One edit that cannot be made refuses them all.
    last = metadata.Edit(repo=of_repo, add_key=metadata.EditAddKey(key="who", value="again"))
    text = refused(
        client.metadata.edit_metadata,
        edits=[metadata.Edit(cluster=metadata.ClusterPicker(), delete_key=metadata.EditDeleteKey(key="who")), last],
    )[1]
    assert text == 'edit #1: add_key target key "who" already exists; use edit_key instead'
    assert told(client)[5] == {"who": "someone"}
    # What goes takes its words with it.
    client.pfs.delete_repo(repo=repo, force=True)
    client.pfs.create_repo(repo=repo)
    assert client.pfs.inspect_repo(repo=repo).metadata == {}


def test_an_edit_that_names_nothing_is_refused(client):
    add = metadata.EditAddKey(key="a", value="b")
    assert refused(client.metadata.edit_metadata, edits=[metadata.Edit(add_key=add)])[0] == "INVALID_ARGUMENT"
    cluster = metadata.ClusterPicker()
    assert refused(client.metadata.edit_metadata, edits=[metadata.Edit(cluster=cluster)])[0] == "INVALID_ARGUMENT"
    empty = metadata.Edit(cluster=cluster, add_key=metadata.EditAddKey(value="b"))
    assert "key is empty" in refused(client.metadata.edit_metadata, edits=[empty])[1]
    gone = metadata.Edit(project=picked("nowhere"), add_key=add)
    assert refused(client.metadata.edit_metadata, edits=[gone])[0] == "NOT_FOUND"


def test_the_repos_of_a_project_go_at_once(client, project):
    # The older depends on the newer: neither order of deletion would do, one by one.
    old, new = repo_in(client, project, "old"), repo_in(client, project, "new", {"/a": b"1"})
    client.pfs.create_branch(branch=master(old), provenance=[master(new)])
    repo_in(client, project, "kept", {"/a": b"1"})
    pipeline = pipe(client, pfs.Repo(name="kept", project=pfs.Project(name=project)), "pipe")
    mine = pfs.Project(name=project)
    # A pipeline outside of what goes keeps its input.
    assert "depends on it" in refused(client.pfs.delete_repos, projects=[mine])[1]
    client.pps.delete_pipeline(pipeline=pipeline)
    gone = client.pfs.delete_repos(projects=[mine]).repos
    assert sorted(repo.name for repo in gone) == ["kept", "new", "old"]
    assert [r.repo.name for r in client.pfs.list_repo(projects=[mine])] == []
    assert client.pfs.delete_repos().repos == []


def test_the_pipelines_of_a_project_go_at_once(client, project):
    raw = repo_in(client, project, "raw", {"/a": b"1"})
    first = pipe(client, raw, "first")
    pipe(client, pfs.Repo(name="first", project=raw.project), "second")
    outside = repo_in(client, "default", f"outside-{project}"[:50])
    client.pfs.create_branch(branch=master(outside), provenance=[master(pfs.Repo(name="second", project=raw.project))])
    mine = pfs.Project(name=project)
    assert "depends on it" in refused(client.pps.delete_pipelines, projects=[mine])[1]
    assert not client.pps.inspect_pipeline(pipeline=first).stopped  # all or none
    client.pfs.delete_repo(repo=outside, force=True)
    gone = client.pps.delete_pipelines(projects=[mine]).pipelines
    assert sorted(p.name for p in gone) == ["first", "second"]
    assert [r.repo.name for r in client.pfs.list_repo(projects=[mine])] == ["raw"]


def test_workers_that_run_for_too_long_are_told(client, project, tmp_path):
    gate = tmp_path / "gate"
    raw = repo_in(client, project, "raw", {"/a": b"1"})
    wait = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    limited = {"autoscaling": True, "maximum_expected_uptime": timedelta(milliseconds=1)}
    slow = pipe(client, raw, "slow", wait, **limited)
    pipe(client, raw, "fine", "true")
    eventually(lambda: list(client.pps.check_status(project=pfs.Project(name=project))))
    (alert,) = client.pps.check_status(project=pfs.Project(name=project))
    assert alert.pipeline.name == "slow"
    assert "exceeded maximum uptime" in alert.alerts[0]
    assert "slow" in {found.pipeline.name for found in client.pps.check_status(all=True)}
    gate.touch()
    ended(client, slow)
    assert list(client.pps.check_status(project=pfs.Project(name=project))) == []


# -- fsck -------------------------------------------------------------------------------------------------------------


def faults(client, **which):
    return [answer.error for answer in client.pfs.fsck(**which)]


def test_a_sound_store_has_no_faults(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1", "/big": b"2" * 400_000})
    pipeline = pachd.pipeline(repo, "cp /pfs/in/* /pfs/out/")
    job = pachd.job(pipeline)
    assert faults(client) == []
    # The SDK's own method loses the target of one commit on the way.
    with grpc.insecure_channel(pachd.address.removeprefix("grpc://")) as channel:
        ask = channel.unary_stream(
            "/pfs_v2.API/Fsck",
            request_serializer=pfs.FsckRequest.SerializeToString,
            response_deserializer=pfs.FsckResponse.FromString,
        )
        assert list(ask(pfs.FsckRequest(zombie_target=job.output_commit))) == []
        gone = pfs.Commit(repo=repo, id="0" * 12 + "4" + "0" * 19)
        assert refused(ask, pfs.FsckRequest(zombie_target=gone))[0] == "NOT_FOUND"
    assert faults(client, zombie_all=True) == []


def test_what_was_changed_behind_the_servers_back_is_found(own_pachd):
    server = own_pachd()
    repo = server.repo("broken")
    server.put(repo, {"/small": b"small", "/big": b"2" * 400_000})
    pipeline = server.pipeline(repo, "cp /pfs/in/* /pfs/out/", name="copies")
    server.job(pipeline)
    (big,) = [path for path in (server.folder / "large").rglob("*") if path.is_file()]
    server.end()

    big.chmod(0o644)
    big.write_bytes(b"3" * 400_000)
    with sqlite3.connect(server.folder / "pachd.sqlite") as db:
        db.execute("UPDATE blobs SET body = ? WHERE body = ?", (b"SMALL", b"small"))
        db.execute("DELETE FROM datums WHERE path = '/small'")
        master_of = "SELECT id FROM branches WHERE repo = (SELECT id FROM repos WHERE name = 'broken')"
        output = "SELECT id FROM commits WHERE repo = (SELECT id FROM repos WHERE name = 'copies' AND type = 'user')"
        db.execute(f"UPDATE branches SET head = ({output}) WHERE id IN ({master_of})")
    db.close()
    server = own_pachd()
    found = faults(server.client)
    assert sum("has been changed in the store" in text for text in found) == 2
    assert any("head of branch default/broken@master lies in another repo" in text for text in found)
    (zombie,) = faults(server.client, zombie_all=True)
    assert "which should have been deleted" in zombie
    big.unlink()
    assert any("No such file" in text for text in faults(server.client))
