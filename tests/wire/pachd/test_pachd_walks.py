"""Who changed a path, and what depends on what, as the real SDK asks for it."""

import itertools

from pachyderm_sdk.api import pfs

from tests.wire.pachd.refusals import refused


def master(repo):
    return pfs.Branch(repo=repo, name="master")


def of_branch(repo, name="master"):
    picked = pfs.RepoPicker(name=pfs.RepoPickerRepoName(project=pfs.ProjectPicker(name="default"), name=repo.name))
    return pfs.BranchPicker(name=pfs.BranchPickerBranchName(repo=picked, name=name))


def head_of(repo):
    return pfs.CommitPicker(branch_head=of_branch(repo))


def searched(client, start, path, limit=0):
    """The ids of the commits found, and the last answer."""
    *found, last = client.pfs.find_commits(start=start, file_path=path, limit=limit)
    return [answer.found_commit.id for answer in found], last


def test_the_commits_that_changed_a_path_are_found(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1", "/dir/b": b"1"})
    second = pachd.put(repo, {"/c": b"1"})
    third = pachd.put(repo, {"/a": b"2"})
    with client.pfs.commit(branch=master(repo)) as gone:
        gone.delete_file(path="/dir/")
    last = gone.wait().commit

    found, end = searched(client, last, "/a")
    assert found == [third.id, first.id]
    assert (end.last_searched_commit.id, end.commits_searched) == (first.id, 4)
    # A deleted folder takes its files with it, and the folder itself has changed twice.
    assert searched(client, last, "dir/b")[0] == [last.id, first.id]
    assert searched(client, last, "/dir")[0] == [last.id, first.id]
    assert searched(client, second, "/a")[0] == [first.id]
    assert searched(client, last, "/never")[0] == []

    found, end = searched(client, last, "/a", limit=1)
    assert (found, end.last_searched_commit.id, end.commits_searched) == ([third.id], third.id, 2)


def test_an_open_commit_cannot_be_searched(pachd, client):
    repo = pachd.repo()
    commit = client.pfs.start_commit(branch=master(repo))
    code, text = refused(client.pfs.find_commits, start=commit, file_path="/a")
    assert (code, "has not been finished" in text) == ("UNAVAILABLE", True)
    client.pfs.finish_commit(commit=commit)


def chain(pachd, length):
    """Repos of which each depends on the one before."""
    repos = [pachd.repo() for _ in range(length)]
    for above, below in itertools.pairwise(repos):
        pachd.client.pfs.create_branch(branch=master(below), provenance=[master(above)])
    return repos


def test_provenance_is_walked_both_ways(pachd, client):
    top, middle, bottom = chain(pachd, 3)
    pachd.client.pfs.finish_commit(commit=(commit := client.pfs.start_commit(branch=master(top))))
    for repo in (middle, bottom):
        client.pfs.finish_commit(commit=pfs.Commit(repo=repo, id=commit.id), force=True)

    def repos(found):
        return [info.branch.repo.name if hasattr(info, "branch") else info.commit.repo.name for info in found]

    assert repos(client.pfs.walk_branch_provenance(start=[of_branch(bottom)])) == [middle.name, top.name]
    assert repos(client.pfs.walk_branch_subvenance(start=[of_branch(top)])) == [middle.name, bottom.name]
    above = list(client.pfs.walk_commit_provenance(start=[head_of(bottom)]))
    assert repos(above) == [middle.name, top.name]
    assert {info.commit.id for info in above} == {commit.id}
    assert repos(client.pfs.walk_commit_subvenance(start=[head_of(top)])) == [middle.name, bottom.name]
    # Limits: so many edges, so many answers for each start.
    assert repos(client.pfs.walk_branch_subvenance(start=[of_branch(top)], max_depth=1)) == [middle.name]
    assert repos(client.pfs.walk_commit_provenance(start=[head_of(bottom)], max_commits=1)) == [middle.name]
    both = [of_branch(bottom), of_branch(middle)]
    assert repos(client.pfs.walk_branch_provenance(start=both, max_branches=1)) == [middle.name, top.name]


def test_every_picker_of_a_commit(pachd, client):
    repo = pachd.repo()
    ids = [pachd.put(repo, {f"/{n}": b"1"}).id for n in range(3)]
    below = pachd.repo()
    client.pfs.create_branch(branch=master(below), provenance=[master(repo)])
    picked = of_branch(repo)
    by_id = pfs.CommitPickerCommitByGlobalId(repo=picked.name.repo, id=ids[2])

    def reached(picker):
        return [info.commit.repo.name for info in client.pfs.walk_commit_subvenance(start=[picker])]

    # Only the newest commit has something below it.
    assert reached(pfs.CommitPicker(id=by_id)) == [below.name]
    assert reached(pfs.CommitPicker(branch_root=pfs.CommitPickerBranchRoot(offset=2, branch=picked))) == [below.name]
    assert reached(pfs.CommitPicker(branch_root=pfs.CommitPickerBranchRoot(offset=0, branch=picked))) == []
    up = pfs.CommitPicker(ancestor=pfs.CommitPickerAncestorOf(offset=1, start=pfs.CommitPicker(id=by_id)))
    assert reached(up) == []
    far = pfs.CommitPicker(ancestor=pfs.CommitPickerAncestorOf(offset=9, start=pfs.CommitPicker(id=by_id)))
    assert refused(client.pfs.walk_commit_subvenance, start=[far])[0] == "NOT_FOUND"
    assert refused(client.pfs.walk_commit_subvenance, start=[pfs.CommitPicker()])[0] == "INVALID_ARGUMENT"
    assert refused(client.pfs.walk_branch_provenance, start=[of_branch(repo, "none")])[0] == "NOT_FOUND"
