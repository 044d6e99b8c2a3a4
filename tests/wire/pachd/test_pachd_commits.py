"""The life of commits, and the ways they are taken back."""

import threading

from pachyderm_sdk.api import pfs

from tests.wire.pachd.refusals import refused


def master(repo):
    return pfs.Branch(repo=repo, name="master")


def test_a_commit_is_started_finishing_and_finished(pachd, client):
    repo = pachd.repo()
    commit = client.pfs.start_commit(branch=master(repo), description="cdl:one")
    info = client.pfs.inspect_commit(commit=commit)
    assert (info.description, info.finishing.year, info.finished.year) == ("cdl:one", 1970, 1970)
    assert info.commit.branch is None or info.commit.branch.name == ""
    assert refused(client.pfs.start_commit, branch=master(repo))[1].endswith("has not been finished")
    client.pfs.finish_commit(commit=commit)
    info = client.pfs.inspect_commit(commit=commit, wait=pfs.CommitState.FINISHED)
    assert info.started <= info.finishing <= info.finished
    assert "has already finished" in refused(client.pfs.finish_commit, commit=commit)[1]
    assert len(commit.id) == 32
    assert commit.id[12] == "4"


def test_handles_may_name_a_branch_an_ancestor_or_a_number(pachd, client):
    repo = pachd.repo()
    made = [pachd.put(repo, {"/n": str(n).encode()}) for n in range(4)]

    def resolved(text):
        return client.pfs.inspect_commit(commit=pfs.Commit(repo=repo, id=text)).commit.id

    assert resolved("master") == made[3].id
    assert resolved("master^") == resolved("master~1") == made[2].id
    assert resolved("master^^") == resolved("master^2") == made[1].id
    assert resolved(f"{made[2].id}~2") == made[0].id
    assert resolved("master.1") == made[0].id
    assert refused(resolved, "master^9")[0] == "NOT_FOUND"
    assert refused(resolved, "nowhere")[0] == "NOT_FOUND"
    assert refused(resolved, "0" * 12 + "4" + "0" * 19)[0] == "NOT_FOUND"


def test_listing(pachd, client):
    repo = pachd.repo()
    ids = [pachd.put(repo, {"/n": str(n).encode()}).id for n in range(4)]

    def listed(**how):
        return [ids.index(c.commit.id) for c in client.pfs.list_commit(repo=repo, **how)]

    at = [pfs.Commit(repo=repo, id=key) for key in ids]
    assert listed() == [3, 2, 1, 0]
    assert listed(reverse=True) == [0, 1, 2, 3]
    assert listed(number=2) == [3, 2]
    assert listed(to=at[2]) == [2, 1, 0]
    assert listed(from_=at[0], to=at[2]) == [2, 1]
    assert listed(to=pfs.Commit(repo=repo, branch=master(repo)), number=1) == [3]
    assert listed(origin_kind=pfs.OriginKind.AUTO) == []
    assert refused(client.pfs.list_commit, repo=repo, from_=at[0])[0] == "UNKNOWN"
    assert refused(client.pfs.list_commit, repo=repo, to=at[0], reverse=True)[0] == "UNKNOWN"


def test_a_subscription_replays_and_then_follows(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1"})
    stream = client.pfs.subscribe_commit(repo=repo, branch="master", state=pfs.CommitState.FINISHED)
    seen, two = [], threading.Event()

    def listen():
        for info in stream:
            seen.append((info.commit.id, info.finished.year > 1970))
            if len(seen) == 2:
                two.set()
                return

    listener = threading.Thread(target=listen)
    listener.start()
    second = pachd.put(repo, {"/a": b"2"})
    assert two.wait(20)
    listener.join()
    assert seen == [(first.id, True), (second.id, True)]


def test_what_an_errored_commit_held_is_not_passed_on(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/good": b"1"})
    bad = client.pfs.start_commit(branch=master(repo))
    client.pfs.put_file_from_bytes(commit=bad, path="/bad", data=b"2")
    client.pfs.finish_commit(commit=bad, error="abandoned")
    assert client.pfs.wait_commit(bad).error == "abandoned"
    assert pachd.read(bad) == {"/good": b"1", "/bad": b"2"}
    after = pachd.put(repo, {"/more": b"3"})
    assert pachd.read(after) == {"/good": b"1", "/more": b"3"}


def test_clearing_empties_an_open_commit(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/kept": b"1"})
    commit = client.pfs.start_commit(branch=master(repo))
    client.pfs.put_file_from_bytes(commit=commit, path="/gone", data=b"2")
    client.pfs.clear_commit(commit=commit)
    client.pfs.finish_commit(commit=commit)
    assert "has already finished" in refused(client.pfs.clear_commit, commit=commit)[1]
    client.pfs.wait_commit(commit)
    assert pachd.read(commit) == {"/kept": b"1"}


def test_dropping_takes_content_back(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1"})
    second = pachd.put(repo, {"/b": b"2"})
    assert "cannot drop a commit that has children" in refused(client.pfs.drop_commit, commit=first)[1]
    client.pfs.drop_commit(commit=second)
    assert not client.pfs.commit_exists(second)
    assert client.pfs.inspect_branch(branch=master(repo)).head.id == first.id
    assert pachd.read(pachd.head(repo)) == {"/a": b"1"}
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=first.id))
    head = client.pfs.inspect_branch(branch=master(repo)).head
    assert head.id not in {first.id, second.id}
    assert pachd.read(head) == {}


def test_squashing_keeps_content_with_the_child(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1"})
    second = pachd.put(repo, {"/b": b"2"})
    assert "cannot squash a commit that has no children" in refused(client.pfs.squash_commit, commit=second)[1]
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=first.id))
    assert not client.pfs.commit_exists(first)
    assert pachd.read(second) == {"/a": b"1", "/b": b"2"}
    assert [c.commit.id for c in client.pfs.list_commit(repo=repo)] == [second.id]
    code, text = refused(client.pfs.squash_commit_set, commit_set=pfs.CommitSet(id=first.id))
    assert (code, "no commits found for commitset" in text) == ("NOT_FOUND", True)


def test_waiting_for_a_commit_that_is_dropped_ends(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    commit = client.pfs.start_commit(branch=master(repo))
    outcome = []

    def wait():
        outcome.append(refused(client.pfs.inspect_commit, commit=commit, wait=pfs.CommitState.FINISHED))

    waiter = threading.Thread(target=wait)
    waiter.start()
    client.pfs.drop_commit(commit=commit)
    waiter.join(20)
    # The waiter may come before the drop or after it: both are told that the commit is not there.
    assert outcome[0][0] == "NOT_FOUND"


def test_one_write_is_one_commit(pachd, client):
    repo = pachd.repo()
    target = pfs.Commit(branch=master(repo))
    add = pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"1"))
    client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=target), add]))
    only = list(client.pfs.list_commit(repo=repo))
    assert len(only) == 1
    client.pfs.wait_commit(only[0].commit)
    assert pachd.read(only[0].commit) == {"/a": b"1"}
    opened = client.pfs.start_commit(branch=master(repo))
    client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=target), add]))
    assert pachd.read(opened) == {"/a": b"11"}
    client.pfs.finish_commit(commit=opened)
    assert len(list(client.pfs.list_commit(repo=repo))) == 2


def test_a_refused_write_leaves_nothing(pachd, client):
    repo = pachd.repo()
    target = pfs.Commit(branch=master(repo))
    stream = [
        pfs.ModifyFileRequest(set_commit=target),
        pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/fine", raw=b"1" * 400_000)),
        pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/not*fine", raw=b"1")),
    ]
    code, text = refused(client.pfs.modify_file, iter(stream))
    assert (code, "'*'" in text) == ("UNKNOWN", True)
    assert list(client.pfs.list_commit(repo=repo)) == []
    assert list((pachd.folder / "incoming").iterdir()) == []
    assert "set_commit" in refused(client.pfs.modify_file, iter(stream[1:2]))[1]


def test_content_passes_through_several_squashed_commits(pachd, client):
    one, two, both = (pachd.repo() for _ in range(3))
    client.pfs.create_branch(branch=master(both), provenance=[master(one), master(two)])

    def write(path):
        """Write into the open commit downstream and close it, as a pipeline would."""
        head = client.pfs.inspect_branch(branch=master(both)).head
        client.pfs.put_file_from_bytes(commit=head, path=path, data=b"1")
        client.pfs.finish_commit(commit=head, force=True)
        client.pfs.wait_commit(head)
        return head

    write("/0")
    first = pachd.put(one, {"/a": b"1"})
    write("/1")
    pachd.put(two, {"/b": b"1"})
    write("/2")
    pachd.put(one, {"/c": b"1"})
    last = write("/3")
    # Both middle commits depend on `first`, and go with it.
    client.pfs.squash_commit(commit=first, recursive=True)
    assert len(list(client.pfs.list_commit(repo=both))) == 2
    assert sorted(pachd.read(last)) == ["/0", "/1", "/2", "/3"]
    assert pachd.read(pachd.head(one)) == {"/a": b"1", "/c": b"1"}
