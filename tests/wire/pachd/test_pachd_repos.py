"""Projects, repos, branches and the cluster, as the real SDK sees them."""

import pachyderm_sdk
import pytest
from pachyderm_sdk.api import pfs, pps
from pachyderm_sdk.errors import AuthServiceNotActivated

from tests.wire.pachd.refusals import refused


def test_it_says_which_version_it_speaks(client):
    version = client.get_version()
    assert (version.major, version.minor, version.micro) == (2, 12, 2)


def test_a_client_of_another_version_is_warned(client, monkeypatch):
    cluster = client.admin.inspect_cluster()
    assert len(cluster.id) == 32
    assert list(cluster.warnings) == []
    monkeypatch.setattr(pachyderm_sdk, "__version__", "2.3.0")
    assert "2.3" in client.admin.inspect_cluster().warnings[0]


def test_auth_is_off_in_the_words_that_the_sdk_knows(client):
    with pytest.raises(AuthServiceNotActivated):
        client.auth.who_am_i()


def test_what_is_not_offered_says_its_name(client):
    assert refused(client.pps.run_pipeline, pipeline=pps.Pipeline(name="any")) == (
        "UNIMPLEMENTED",
        "pps_v2.API/RunPipeline is not offered by the embedded pachd",
    )
    code, text = refused(client.pfs.check_storage)
    assert (code, text) == ("UNIMPLEMENTED", "pfs_v2.API/CheckStorage is not offered by the embedded pachd")


def test_projects(pachd, client):
    project = pfs.Project(name="news")
    client.pfs.create_project(project=project, description="first")
    assert refused(client.pfs.create_project, project=project)[0] == "ALREADY_EXISTS"
    client.pfs.create_project(project=project, description="second", update=True)
    assert client.pfs.inspect_project(project=project).description == "second"
    repo = pfs.Repo(name="paper", project=project)
    client.pfs.create_repo(repo=repo)
    assert client.pfs.repo_exists(repo)
    assert not client.pfs.repo_exists(pfs.Repo(name="paper"))
    assert {p.project.name for p in client.pfs.list_project()} >= {"default", "news"}
    assert "1 repos" in refused(client.pfs.delete_project, project=project)[1]
    client.pfs.delete_project(project=project, force=True)
    assert not client.pfs.project_exists(project)
    assert not client.pfs.repo_exists(repo)
    assert refused(client.pfs.create_repo, repo=repo) == ("NOT_FOUND", "project news not found")


def test_repos(client):
    repo = pfs.Repo(name="images")
    client.pfs.create_repo(repo=repo, description="pictures")
    assert refused(client.pfs.create_repo, repo=repo) == ("ALREADY_EXISTS", "repo default/images already exists")
    client.pfs.create_repo(repo=repo, description="all pictures", update=True)
    info = client.pfs.inspect_repo(repo=repo)
    assert (info.description, info.repo.type, info.repo.project.name) == ("all pictures", "user", "default")
    assert info.created.year > 2000
    assert "images" in [r.repo.name for r in client.pfs.list_repo(type="user")]
    assert client.pfs.delete_repo(repo=repo).deleted
    assert refused(client.pfs.inspect_repo, repo=repo) == ("NOT_FOUND", "repo default/images not found")
    assert not client.pfs.delete_repo(repo=repo).deleted


def test_a_name_with_a_slash_is_refused(client):
    assert "is not allowed" in refused(client.pfs.create_repo, repo=pfs.Repo(name="a/b"))[1]


def test_branches_carry_their_provenance(pachd, client):
    raw, clean = pachd.repo(), pachd.repo()
    source, target = pfs.Branch(repo=raw, name="master"), pfs.Branch(repo=clean, name="master")
    client.pfs.create_branch(branch=target, provenance=[source])
    info = client.pfs.inspect_branch(branch=target)
    assert [b.repo.name for b in info.direct_provenance] == [raw.name]
    assert [b.repo.name for b in client.pfs.inspect_branch(branch=source).subvenance] == [clean.name]
    code, text = refused(client.pfs.delete_branch, branch=source)
    assert (code, "depends on it" in text) == ("UNKNOWN", True)
    assert "depends on it" in refused(client.pfs.delete_repo, repo=raw)[1]
    assert "cannot start a commit on an output branch" in refused(client.pfs.start_commit, branch=target)[1]
    client.pfs.delete_branch(branch=target)
    assert not client.pfs.branch_exists(target)
    client.pfs.delete_branch(branch=source)


def test_two_branches_of_one_repo_cannot_meet_downstream(pachd, client):
    raw, clean = pachd.repo(), pachd.repo()
    both = [pfs.Branch(repo=raw, name=name) for name in ("one", "two")]
    text = refused(client.pfs.create_branch, branch=pfs.Branch(repo=clean, name="master"), provenance=both)[1]
    assert "multiple branches from the same repo" in text
    assert not client.pfs.branch_exists(pfs.Branch(repo=clean, name="master"))


def test_a_branch_cannot_depend_on_itself(pachd, client):
    one, two = (pfs.Branch(repo=pachd.repo(), name="master") for _ in range(2))
    client.pfs.create_branch(branch=two, provenance=[one])
    assert refused(client.pfs.create_branch, branch=one, provenance=[two])[0] == "UNKNOWN"
    assert client.pfs.inspect_branch(branch=one).direct_provenance == []


def test_a_started_commit_reaches_everything_downstream_at_once(pachd, client):
    one, two, three = (pfs.Branch(repo=pachd.repo(), name="master") for _ in range(3))
    client.pfs.create_branch(branch=two, provenance=[one])
    client.pfs.create_branch(branch=three, provenance=[two])
    for branch in (two, three):
        client.pfs.finish_commit(commit=pfs.Commit(repo=branch.repo, branch=branch), force=True)
    commit = client.pfs.start_commit(branch=one)
    heads = [client.pfs.inspect_branch(branch=b).head.id for b in (one, two, three)]
    assert heads == [commit.id] * 3
    found = list(client.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=commit.id)))
    assert [c.commit.repo.name for c in found] == [one.repo.name, two.repo.name, three.repo.name]
    assert [c.branch.name for c in found[1].direct_provenance] == ["master"]
    client.pfs.finish_commit(commit=commit)


def test_a_branch_points_where_it_is_told(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1"})
    pachd.put(repo, {"/a": b"2"})
    stable = pfs.Branch(repo=repo, name="stable")
    client.pfs.create_branch(branch=stable, head=first)
    assert client.pfs.inspect_branch(branch=stable).head.id == first.id
    assert pachd.read(pfs.Commit(repo=repo, branch=stable)) == {"/a": b"1"}
