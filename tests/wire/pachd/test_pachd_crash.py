"""What survives kill -9, a full disk, and what is left running: nothing."""

import ctypes
import os
import signal
import sqlite3
import threading
import time

import grpc
import psutil
import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import eventually, refused

BIG = os.urandom(400_000)


def master(repo):
    return pfs.Branch(repo=repo, name="master")


def marked(mark):
    """Every living process that carries a mark in its arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_what_was_acknowledged_survives(own_pachd):
    server = own_pachd()
    repo = server.repo("kept")
    commit = server.client.pfs.start_commit(branch=master(repo), description="cdl:key")
    server.client.pfs.put_file_from_bytes(commit=commit, path="/small", data=b"1")
    server.client.pfs.put_file_from_bytes(commit=commit, path="/big", data=BIG)
    server.client.pfs.finish_commit(commit=commit)
    server.end(signal.SIGKILL)

    server = own_pachd()
    # It may have died before the commit was finished: the new server finishes it.
    info = server.client.pfs.inspect_commit(commit=commit, wait=pfs.CommitState.FINISHED)
    assert (info.error, info.description) == ("", "cdl:key")
    assert server.read(commit) == {"/small": b"1", "/big": BIG}


def test_an_open_commit_stays_open_and_a_broken_stream_leaves_nothing(own_pachd):
    server = own_pachd()
    repo = server.repo("open")
    commit = server.client.pfs.start_commit(branch=master(repo))
    server.client.pfs.put_file_from_bytes(commit=commit, path="/kept", data=b"1")
    sent = threading.Event()

    def stream():
        yield pfs.ModifyFileRequest(set_commit=commit)
        for number in range(30):
            yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/lost{number}", raw=BIG))
        sent.set()
        time.sleep(0.2)
        server.process.kill()
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/last", raw=b"1"))

    with pytest.raises((grpc.RpcError, ConnectionError)):
        server.client.pfs.modify_file(stream())
    assert sent.is_set()
    server.end(signal.SIGKILL)

    server = own_pachd()
    assert "has not been finished" in refused(server.client.pfs.start_commit, branch=master(repo))[1]
    assert server.read(commit) == {"/kept": b"1"}
    server.client.pfs.finish_commit(commit=commit, error="abandoned")
    server.client.pfs.wait_commit(commit)
    assert list((server.folder / "incoming").iterdir()) == []


def test_every_acknowledged_write_is_there_however_often_it_dies(own_pachd):
    server = own_pachd()
    repo = server.repo("often")
    acknowledged = []

    def write_on(client):
        target = pfs.Commit(branch=master(repo))
        while True:
            path = f"/{len(acknowledged)}"
            body = str(len(acknowledged)).encode()
            add = pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=body))
            delete = pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=path))
            try:
                client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=target), delete, add]))
            except (grpc.RpcError, ConnectionError, ValueError):
                return
            acknowledged.append(body)

    for _ in range(3):
        before = len(acknowledged)
        writer = threading.Thread(target=write_on, args=(server.client,))
        writer.start()
        eventually(lambda before=before: len(acknowledged) > before + 5)
        server.process.kill()
        writer.join()
        server.end(signal.SIGKILL)
        server = own_pachd()
    head = server.client.pfs.inspect_commit(commit=server.head(repo), wait=pfs.CommitState.FINISHED).commit
    found = server.read(head)
    # The last write of each life may have landed without an answer; nothing else may differ.
    assert {f"/{n}": body for n, body in enumerate(acknowledged)}.items() <= found.items()
    assert len(found) - len(acknowledged) in {0, 1}


def test_a_long_history_is_read_back_from_where_it_was_written_down(own_pachd):
    server = own_pachd()
    repo = server.repo("long")
    target = pfs.Commit(branch=master(repo))
    for number in range(70):
        add = pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{number}", raw=str(number).encode()))
        server.client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=target), add]))
    server.client.pfs.inspect_commit(commit=server.head(repo), wait=pfs.CommitState.FINISHED)
    server.end(signal.SIGKILL)
    with sqlite3.connect(server.folder / "pachd.sqlite") as db:
        assert db.execute("SELECT count(*) FROM snapshots").fetchone() == (1,)
    db.close()

    server = own_pachd()
    head = server.client.pfs.inspect_commit(commit=server.head(repo), wait=pfs.CommitState.FINISHED).commit
    assert server.read(head) == {f"/{n}": str(n).encode() for n in range(70)}


def test_a_job_in_flight_resumes_and_nothing_is_done_twice(own_pachd, tmp_path):
    server = own_pachd("--workers", "1")
    repo = server.repo("work")
    server.put(repo, {f"/{n}": str(n).encode() for n in range(6)})
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    script = (
        'f=$(ls /pfs/in); echo $f >> "$RUNS"; echo out >> /pfs/out/$f; '
        'if [ $(wc -l < "$RUNS") -ge 4 ]; then while [ ! -e "$GATE" ]; do sleep 0.02; done; fi'
    )
    pipeline = server.pipeline(repo, script, name="resumes", env={"RUNS": str(runs), "GATE": str(gate)})
    lower = server.pipeline(pfs.Repo(name="resumes"), "cp /pfs/in/* /pfs/out/", name="below")
    job = server.job(pipeline, wait=False).job
    eventually(lambda: server.job(pipeline, wait=False).data_processed == 3 and len(runs.read_text().split()) == 4)
    server.end(signal.SIGKILL)
    gate.touch()

    server = own_pachd("--workers", "1")
    done = server.client.pps.inspect_job(job=job, wait=True)
    assert (pps.JobState(done.state).name, done.data_processed, done.data_total) == ("JOB_SUCCESS", 6, 6)
    assert done.restart == 1
    assert server.output(pipeline) == {f"/{n}": b"out\n" for n in range(6)}
    # Three datums were done before the crash and stay done; one was interrupted and ran again.
    assert len(runs.read_text().split()) == 7
    server.job(lower)
    assert server.output(lower) == {f"/{n}": b"out\n" for n in range(6)}
    assert list((server.folder / "scratch").rglob("*out*")) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_server(own_pachd, number, tmp_path):
    server = own_pachd()
    repo = server.repo("procs")
    server.put(repo, {"/a": b"1"})
    mark = f"{tmp_path.name}-{os.getpid()}"
    nap = f"import time; time.sleep(600)  # {mark}"
    server.pipeline(
        repo,
        'python3 -c "$NAP" & setsid -f python3 -c "$NAP"; (setsid python3 -c "$NAP" &) ; python3 -c "$NAP"',
        name="naps",
        env={"NAP": nap},
    )
    eventually(lambda: len(marked(mark)) >= 4)
    status = server.end(number)
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    eventually(lambda: marked(mark) == [])
    assert marked(str(server.folder)) == []


def test_what_a_datum_leaves_running_is_killed_with_it(own_pachd, tmp_path):
    server = own_pachd()
    repo = server.repo("strays")
    server.put(repo, {"/a": b"1"})
    mark = f"{tmp_path.name}-{os.getpid()}"
    script = 'python3 -c "$NAP" & setsid -f python3 -c "$NAP"; echo done > /pfs/out/done'
    pipeline = server.pipeline(repo, script, name="strays-p", env={"NAP": f"import time; time.sleep(600)  # {mark}"})
    assert pps.JobState(server.job(pipeline).state).name == "JOB_SUCCESS"
    eventually(lambda: marked(mark) == [])


def test_the_nursery_may_die(own_pachd, tmp_path):
    server = own_pachd()
    repo = server.repo("nursery")
    server.put(repo, {"/a": b"1"})
    gate = tmp_path / "gate"
    mark = f"{tmp_path.name}-{os.getpid()}"
    nap = f"import pathlib, time; pathlib.Path('{gate}').touch(); time.sleep(600)  # {mark}"
    script = 'if [ -e "$GATE" ]; then echo fine > /pfs/out/fine; else python3 -c "$NAP"; fi'
    pipeline = server.pipeline(repo, script, name="nursery-p", env={"GATE": str(gate), "NAP": nap})
    eventually(gate.exists)
    nursery = next(
        p for p in psutil.Process(server.process.pid).children() if any("nursery.py" in word for word in p.cmdline())
    )
    nursery.kill()
    assert pps.JobState(server.job(pipeline).state).name == "JOB_SUCCESS"
    assert server.output(pipeline) == {"/fine": b"fine\n"}
    eventually(lambda: marked(mark) == [])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=3m") != 0:
        pytest.xfail(f"this machine does not let us mount: {os.strerror(ctypes.get_errno())}")
    yield folder
    assert libc.umount2(os.fsencode(folder), 2) == 0


def test_a_full_disk_answers_with_an_error_and_loses_nothing(own_pachd, small_disk):
    server = own_pachd(folder=small_disk / "pachd")
    repo = server.repo("full")
    commit = server.put(repo, {"/kept": b"1", "/big": BIG})
    target = pfs.Commit(branch=master(repo))

    def fill(size):
        for number in range(200):
            add = pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/f{number}", raw=os.urandom(size)))
            server.client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=target), add]))

    for size in (1_500_000, 100_000):  # files of their own, and content inside the database
        code, text = refused(fill, size)
        assert (code, "full" in text) == ("RESOURCE_EXHAUSTED", True)
    assert server.read(commit) == {"/kept": b"1", "/big": BIG}
    survivors = [c.commit.id for c in server.client.pfs.list_commit(repo=repo)]
    assert server.end(signal.SIGTERM) == 0
    server = own_pachd(folder=small_disk / "pachd")
    assert [c.commit.id for c in server.client.pfs.list_commit(repo=repo)] == survivors
    assert server.read(commit) == {"/kept": b"1", "/big": BIG}
    server.end(signal.SIGTERM)


def test_removed_content_is_swept_at_the_next_start(own_pachd):
    server = own_pachd()
    gone, kept = server.repo("gone"), server.repo("kept")
    server.put(gone, {"/big": BIG, "/small": b"only here"})
    server.put(kept, {"/other": BIG[:-1]})
    server.client.pfs.delete_repo(repo=gone)
    server.end()
    server = own_pachd()
    files = [path for path in (server.folder / "large").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in files] == [len(BIG) - 1]
    assert server.read(server.head(kept)) == {"/other": BIG[:-1]}
