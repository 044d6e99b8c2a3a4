"""Several requests as one: transactions, file sets, and branches that trigger each other."""

import signal

import pytest
from pachyderm_sdk.api import pfs, pps, transaction
from pachyderm_sdk.errors import InvalidTransactionOperation

from tests.wire.pachd.refusals import refused

COPY = "cp -r /pfs/*/* /pfs/out/"


def master(repo):
    return pfs.Branch(repo=repo, name="master")


def add(path, body):
    return pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=body))


def heads(client, repo, name):
    return client.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=name)).head.id


def crossed(server, left, right, name):
    arms = [pps.Input(pfs=pps.PfsInput(repo=r.name, glob="/", name=n)) for r, n in ((left, "l"), (right, "r"))]
    pipeline = pps.Pipeline(name=name)
    transform = pps.Transform(cmd=["sh"], stdin=['cp -r "$CDL_PFS_ROOT"/[lr]/* /pfs/out/'])
    server.client.pps.create_pipeline(pipeline=pipeline, input=pps.Input(cross=arms), transform=transform)
    return pipeline


# -- transactions ------------------------------------------------------------------------------------------------------


def test_two_inputs_moved_together_make_one_job(pachd, client):
    left, right = pachd.repo(), pachd.repo()
    pipeline = crossed(pachd, left, right, f"both-{left.name}")
    pachd.job(pipeline)
    before = len(list(client.pps.list_job(pipeline=pipeline)))
    with client.transaction.transaction() as opened:
        one = client.pfs.start_commit(branch=master(left))
        two = client.pfs.start_commit(branch=master(right))
        with pytest.raises(InvalidTransactionOperation):
            client.pfs.put_file_from_bytes(commit=one, path="/a", data=b"1")
    # The set has the transaction's id, as the answers said before anything was done.
    assert (one.id, two.id) == (opened.id, opened.id)
    for commit, path in ((one, "/a"), (two, "/b")):
        client.pfs.put_file_from_bytes(commit=commit, path=path, data=b"1")
        client.pfs.finish_commit(commit=commit)
    job = pachd.job(pipeline)
    assert (job.job.id, pps.JobState(job.state).name) == (opened.id, "JOB_SUCCESS")
    assert len(list(client.pps.list_job(pipeline=pipeline))) == before + 1
    assert pachd.output(pipeline) == {"/a": b"1", "/b": b"1"}
    assert not client.transaction.transaction_exists(opened)


def test_nothing_is_done_before_the_end_and_nothing_when_it_is_dropped(pachd, client):
    repo = pachd.repo()
    fresh = pfs.Repo(name=f"fresh-{repo.name}")
    opened = client.transaction.start_transaction()
    try:
        client.pfs.create_repo(repo=fresh)
        client.pfs.create_branch(branch=master(fresh))
        assert not client.pfs.repo_exists(fresh)
        # What cannot be done is said at once, and does not spoil what was said before.
        assert refused(client.pfs.create_repo, repo=repo)[0] == "ALREADY_EXISTS"
        info = client.transaction.inspect_transaction(transaction=opened)
        assert [bool(r.create_repo) for r in info.requests] == [True, False]
        assert opened.id in {t.transaction.id for t in client.transaction.list_transaction().transaction_info}
        client.transaction.delete_transaction(transaction=opened)
    finally:
        client.transaction_id = None
    assert not client.pfs.repo_exists(fresh)
    assert refused(client.transaction.finish_transaction, transaction=opened) == (
        "NOT_FOUND",
        f"transaction {opened.id} not found",
    )


def test_what_has_become_impossible_fails_whole(pachd, client):
    one, two = (pfs.Repo(name=f"{word}-{pachd.repo().name}") for word in ("one", "two"))
    opened = client.transaction.start_transaction()
    client.pfs.create_repo(repo=one)
    client.pfs.create_repo(repo=two)
    client.transaction_id = None
    client.pfs.create_repo(repo=two)  # somebody was faster
    assert refused(client.transaction.finish_transaction, transaction=opened)[0] == "ALREADY_EXISTS"
    assert not client.pfs.repo_exists(one)
    client.pfs.delete_repo(repo=two)
    info = client.transaction.finish_transaction(transaction=opened)
    assert len(info.responses) == 2
    assert client.pfs.repo_exists(one)
    assert client.pfs.repo_exists(two)


def test_a_repo_cannot_have_two_commits_in_one_transaction(pachd, client):
    repo = pachd.repo()
    start = transaction.TransactionRequest(start_commit=pfs.StartCommitRequest(branch=master(repo)))
    finish = transaction.TransactionRequest(finish_commit=pfs.FinishCommitRequest(commit=pachd.head(repo)))
    code, text = refused(client.transaction.batch_transaction, requests=[start, finish, start])
    assert (code, "inconsistent dependencies" in text) == ("UNKNOWN", True)
    info = client.transaction.batch_transaction(requests=[start, finish])
    assert info.responses[0].commit.id == info.transaction.id == heads(client, repo, "master")
    assert client.pfs.wait_commit(pachd.head(repo)).error == ""
    empty = transaction.TransactionRequest()
    assert refused(client.transaction.batch_transaction, requests=[empty])[0] == "UNIMPLEMENTED"


def test_a_whole_pipeline_comes_in_one_transaction(pachd, client):
    raw = pfs.Repo(name=f"raw-{pachd.repo().name}")
    name = f"p-{raw.name}"
    with client.transaction.transaction() as opened:
        client.pfs.create_repo(repo=raw)
        commit = client.pfs.start_commit(branch=master(raw))
        client.pps.create_pipeline(
            pipeline=pps.Pipeline(name=name),
            input=pps.Input(pfs=pps.PfsInput(repo=raw.name, glob="/*", name="in")),
            transform=pps.Transform(cmd=["sh"], stdin=["cp /pfs/in/* /pfs/out/"]),
        )
    client.pfs.put_file_from_bytes(commit=commit, path="/a", data=b"1")
    client.pfs.finish_commit(commit=commit)
    job = pachd.job(pps.Pipeline(name=name))
    assert (job.job.id, pps.JobState(job.state).name) == (opened.id, "JOB_SUCCESS")
    assert pachd.output(pps.Pipeline(name=name)) == {"/a": b"1"}


def test_an_open_transaction_survives_a_kill(own_pachd):
    server = own_pachd()
    opened = server.client.transaction.start_transaction()
    server.client.pfs.create_repo(repo=pfs.Repo(name="later"))
    server.end(signal.SIGKILL)
    server = own_pachd()
    assert not server.client.pfs.repo_exists(pfs.Repo(name="later"))
    server.client.transaction.finish_transaction(transaction=opened)
    assert server.client.pfs.repo_exists(pfs.Repo(name="later"))
    assert server.client.transaction.list_transaction().transaction_info == []


# -- file sets ---------------------------------------------------------------------------------------------------------


def test_a_file_set_is_added_to_an_open_commit(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/old": b"0", "/kept": b"k"})
    delete = pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path="/old"))
    first = client.pfs.create_file_set(iter([delete, add("/a", b"1"), add("/a", b"2")])).file_set_id
    second = client.pfs.create_file_set(iter([add("/big", b"x" * 400_000)])).file_set_id
    whole = client.pfs.compose_file_set(file_set_ids=[first, second], ttl_seconds=60).file_set_id
    client.pfs.renew_file_set(file_set_id=whole, ttl_seconds=120)
    with client.pfs.commit(branch=master(repo)) as commit:
        client.pfs.add_file_set(commit=commit, file_set_id=whole)
    commit.wait()
    assert pachd.read(commit) == {"/kept": b"k", "/a": b"12", "/big": b"x" * 400_000}
    assert "already finished" in refused(client.pfs.add_file_set, commit=commit, file_set_id=whole)[1]
    assert refused(client.pfs.renew_file_set, file_set_id="0" * 32, ttl_seconds=1)[0] == "NOT_FOUND"
    assert "1 to 1800" in refused(client.pfs.renew_file_set, file_set_id=whole, ttl_seconds=9999)[1]
    target = pfs.ModifyFileRequest(set_commit=commit)
    assert "set_commit" in refused(client.pfs.create_file_set, iter([target]))[1]


def test_a_file_set_is_made_of_a_commit(pachd, client):
    repo, other = pachd.repo(), pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    commit = pachd.put(repo, {"/b": b"2"})
    kinds = pfs.GetFileSetRequestFileSetType
    for kind, found in ((kinds.TOTAL, {"/a": b"1", "/b": b"2"}), (kinds.DIFF, {"/b": b"2"})):
        key = client.pfs.get_file_set(commit=commit, type=kind).file_set_id
        branch = pfs.Branch(repo=other, name=f"b{int(kind)}")
        with client.pfs.commit(branch=branch) as made:
            client.pfs.add_file_set(commit=made, file_set_id=key)
        made.wait()
        assert pachd.read(made) == found


def test_a_file_set_survives_a_kill_and_the_sweep(own_pachd):
    server = own_pachd()
    repo, gone = server.repo("sets"), server.repo("gone")
    server.put(gone, {"/x": b"x"})
    key = server.client.pfs.create_file_set(iter([add("/s", b"small"), add("/b", b"y" * 400_000)])).file_set_id
    server.client.pfs.delete_repo(repo=gone)  # leaves garbage for the next start
    server.end(signal.SIGKILL)
    server = own_pachd()
    with server.client.pfs.commit(branch=master(repo)) as commit:
        server.client.pfs.add_file_set(commit=commit, file_set_id=key)
    commit.wait()
    assert server.read(commit) == {"/s": b"small", "/b": b"y" * 400_000}


# -- triggers ----------------------------------------------------------------------------------------------------------


def triggered(client, repo, name, **how):
    client.pfs.create_branch(branch=pfs.Branch(repo=repo, name=name), trigger=pfs.Trigger(**how))


def test_a_branch_follows_after_so_many_commits(pachd, client):
    repo = pachd.repo()
    triggered(client, repo, "stable", branch="master", commits=2)
    triggered(client, repo, "chained", branch="stable", commits=1)
    start = heads(client, repo, "stable")
    pachd.put(repo, {"/1": b"1"})
    assert heads(client, repo, "stable") == start
    second = pachd.put(repo, {"/2": b"2"})
    assert heads(client, repo, "stable") == heads(client, repo, "chained") == second.id
    pachd.put(repo, {"/3": b"3"})
    assert heads(client, repo, "stable") == second.id
    info = client.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name="stable"))
    assert (info.trigger.branch, info.trigger.commits) == ("master", 2)
    assert "triggered by it" in refused(client.pfs.delete_branch, branch=pfs.Branch(repo=repo, name="stable"))[1]


def test_size_and_all(pachd, client):
    repo = pachd.repo()
    triggered(client, repo, "large", branch="master", size="1K")
    triggered(client, repo, "either", branch="master", size="1K", commits=1)
    triggered(client, repo, "both", branch="master", size="1K", commits=2, all=True)
    first = pachd.put(repo, {"/1": b"x" * 999})
    assert heads(client, repo, "large") != first.id
    assert heads(client, repo, "either") == first.id
    second = pachd.put(repo, {"/2": b"x"})
    assert heads(client, repo, "large") == heads(client, repo, "both") == second.id
    bad = pachd.put(repo, {"/a": b"x" * 2000, "/a/b": b"1"})  # a commit with an error moves nothing
    assert client.pfs.wait_commit(bad).error
    assert heads(client, repo, "large") == second.id


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"commits": 1}, "trigger.branch is empty"),
        ({"branch": "t", "commits": 1}, "loop"),
        ({"branch": "master", "size": "much"}, "'much'"),
        ({"branch": "master", "rate_limit_spec": "often"}, "'often'"),
        ({"branch": "master", "cron_spec": "@daily", "commits": 1}, "cannot be used together"),
        ({"branch": "master", "commits": -1}, "cannot be negative"),
    ],
)
def test_a_trigger_that_cannot_be_is_refused(pachd, client, how, says):
    code, text = refused(triggered, client, pachd.repo(), "t", **how)
    assert (code, says in text) == ("UNKNOWN", True), text


def test_a_trigger_has_no_provenance_and_no_loop(pachd, client):
    repo = pachd.repo()
    triggered(client, repo, "a", branch="b", commits=1)
    assert "loop" in refused(triggered, client, repo, "b", branch="a", commits=1)[1]
    provenance = [master(pachd.repo())]
    branch = pfs.Branch(repo=repo, name="c")
    trigger = pfs.Trigger(branch="master", commits=1)
    both = refused(client.pfs.create_branch, branch=branch, trigger=trigger, provenance=provenance)
    assert "both provenance and a trigger" in both[1]


def test_a_pipeline_waits_for_its_trigger(pachd, client):
    repo = pachd.repo()
    pipeline = pps.Pipeline(name=f"waits-{repo.name}")
    source = pps.PfsInput(repo=repo.name, glob="/*", name="in", trigger=pfs.Trigger(commits=2))
    client.pps.create_pipeline(
        pipeline=pipeline,
        input=pps.Input(pfs=source),
        transform=pps.Transform(cmd=["sh"], stdin=["cp /pfs/in/* /pfs/out/"]),
    )
    pachd.put(repo, {"/a": b"1"})
    assert len(list(client.pps.list_job(pipeline=pipeline))) == 1  # the one of its creation
    second = pachd.put(repo, {"/b": b"2"})
    job = pachd.job(pipeline)
    assert job.data_total == 2
    assert job.job.id != second.id  # a trigger fires in a set of its own
    branch = pfs.Branch(repo=repo, name=f"{pipeline.name}-trigger-1")
    assert client.pfs.inspect_branch(branch=branch).head.id == second.id
    client.pps.delete_pipeline(pipeline=pipeline)
    assert not client.pfs.branch_exists(branch)
