"""What goes into user code besides data, and what comes out besides files: secrets, logs, egress."""

import base64
import json
import os
import signal
import subprocess

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import eventually, refused

COPY = "cp /pfs/in/* /pfs/out/"


def state(job):
    return pps.JobState(job.state).name


def create(server, repo, script, **more):
    name = f"w-{repo.name}"
    transform = {"cmd": ["sh"], "stdin": [script], **more.pop("transform", {})}
    source = {"pfs": {"repo": repo.name, "glob": "/*", "name": "in"}}
    spec = {"pipeline": {"name": name}, "input": source, "transform": transform, **more}
    server.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    return pps.Pipeline(name=name)


# -- /pfs --------------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, pathlib
text = pathlib.Path("/pfs/in/a").read_text()
pathlib.Path("/pfs/out/a").write_text(text + os.environ["CDL_PFS_ROOT"] + os.environ["in"] + os.getcwd())
"""


def can_mount():
    """Whether this machine gives anybody a mount namespace; the embedded pachd must find out the same."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this machine gives us no mount namespace: /pfs is rewritten instead")
def test_a_program_that_knows_only_pfs_finds_it(pachd, tmp_path):
    program = pachd.root / "program.py"
    program.write_text(PROGRAM)
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1 "})
    script = f"python3 {program}; echo changed > /pfs/in/a"
    pipeline = create(pachd, repo, script, transform={"working_dir": "/pfs/out"})
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    assert pachd.output(pipeline) == {"/a": b"1 /pfs/pfs/in/a/pfs/out"}
    assert pachd.read(pachd.head(repo)) == {"/a": b"1 "}
    assert not os.path.ismount("/pfs")


@pytest.mark.skipif(not can_mount(), reason="this machine gives us no mount namespace: /pfs is rewritten instead")
def test_programs_that_run_at_once_have_a_pfs_each(pachd):
    repo = pachd.repo()
    pachd.put(repo, {f"/{n}": b"1" for n in range(6)})
    script = "o=/pfs/out/$PACH_DATUM_ID; echo mine > $o; sleep 0.2; ls /pfs/in > $o; ls /pfs/out | wc -l >> $o"
    pipeline = create(pachd, repo, script, parallelism_spec={"constant": 2})
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    assert sorted(pachd.output(pipeline).values()) == [f"{n}\n1\n".encode() for n in range(6)]


def test_without_mounts_commands_are_rewritten(own_pachd):
    server = own_pachd("--no-mounts")
    repo = server.repo("plain")
    server.put(repo, {"/a": b"1"})
    script = 'cp /pfs/in/a /pfs/out/a; echo "$CDL_PFS_ROOT" > /pfs/out/root'
    pipeline = create(server, repo, script)
    assert state(server.job(pipeline)) == "JOB_SUCCESS"
    out = server.output(pipeline)
    assert (out["/a"], out["/root"].startswith(str(server.folder).encode())) == (b"1", True)


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_secret_is_kept_and_never_shown(client):
    client.pps.create_secret(name="kept", data={"password": "hunter2"})
    info = client.pps.inspect_secret(secret=pps.Secret(name="kept"))
    assert (info.secret.name, info.type, info.creation_timestamp.year > 2000) == ("kept", "Opaque", True)
    assert "hunter2" not in str(info)
    assert [s.secret.name for s in client.pps.list_secret().secret_info] == ["kept"]
    assert refused(client.pps.create_secret, name="kept", data={})[0] == "ALREADY_EXISTS"
    client.pps.delete_secret(secret=pps.Secret(name="kept"))
    assert refused(client.pps.inspect_secret, secret=pps.Secret(name="kept")) == ("NOT_FOUND", "secret kept not found")
    assert refused(client.pps.delete_secret, secret=pps.Secret(name="kept"))[0] == "NOT_FOUND"


def test_user_code_gets_its_secrets_and_no_others(pachd, client):
    client.pps.create_secret(name="db", data={"password": "s3cret", "user": "me"})
    client.pps.create_secret(name="other", data={"token": "t0ken"})
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    mounts = [{"name": "db", "key": "password", "envVar": "DB_PASSWORD"}, {"name": "db", "mount_path": "/etc/db"}]
    script = "echo $DB_PASSWORD > /pfs/out/env; cat /etc/db/user /etc/db/password > /pfs/out/files; env > /pfs/out/all"
    pipeline = create(pachd, repo, script, transform={"secrets": mounts})
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    out = pachd.output(pipeline)
    assert (out["/env"], out["/files"]) == (b"s3cret\n", b"mes3cret")
    assert b"t0ken" not in out["/all"]
    assert (pachd.folder / "pachd.sqlite").stat().st_mode & 0o077 == 0
    missing = [{"name": "db", "key": "port", "env_var": "X"}]
    code, text = refused(create, pachd, pachd.repo(), script, transform={"secrets": missing})
    assert (code, "has no key 'port'" in text) == ("NOT_FOUND", True)
    for name in ("db", "other"):
        client.pps.delete_secret(secret=pps.Secret(name=name))
    pachd.put(repo, {"/b": b"1"})
    job = pachd.job(pipeline)
    assert (state(job), "secret db not found" in job.reason) == ("JOB_FAILURE", True)


@pytest.mark.parametrize(
    "file",
    [
        b"{",
        b"[]",
        b"{}",
        json.dumps({"metadata": {"name": "A b"}}).encode(),
        json.dumps({"metadata": {"name": "a"}, "data": {"k": "%"}}).encode(),
        json.dumps({"metadata": {"name": "a"}, "data": {"../k": base64.b64encode(b"x").decode()}}).encode(),
    ],
)
def test_what_is_no_secret_is_refused(client, file):
    code, text = refused(type(client.pps).__mro__[1].create_secret, client.pps, file=file)
    assert (code, "secret" in text, "\n" in text) == ("INVALID_ARGUMENT", True, False)


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs_are_filtered_by_what_a_datum_read(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1", "/b": b"2"})
    job = pachd.job(create(pachd, repo, "echo seen $(ls /pfs/in)"))

    def said(*filters):
        return [x.message for x in client.pps.get_logs(job=job.job, data_filters=list(filters)) if x.user]

    digest = client.pfs.inspect_file(file=pfs.File(commit=pachd.head(repo), path="/b")).hash
    assert said("/a") == ["seen a"]
    assert said(digest.hex()) == said(base64.b64encode(digest).decode()) == said("/b", digest.hex()) == ["seen b"]
    assert said("/a", "/b") == said("/") == []
    line = next(x for x in client.pps.get_logs(job=job.job, data_filters=["/b"]))
    assert [(f.path, f.hash) for f in line.data] == [("/b", digest)]


def test_a_followed_log_ends_with_its_job_and_tail_is_of_the_past(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    gate = pachd.root / f"gate-{repo.name}"
    script = f"for n in 1 2 3 4; do echo early $n; done; while [ ! -e {gate} ]; do sleep 0.05; done; echo late"
    pipeline = create(pachd, repo, script)
    job = pachd.job(pipeline, wait=False)
    eventually(lambda: any("early 4" in x.message for x in client.pps.get_logs(job=job.job)))
    heard = []
    for line in client.pps.get_logs(job=job.job, follow=True, tail=1):
        heard.append(line.message)
        gate.touch()
    assert heard[0] == "early 4"
    assert heard.count("late") == 1
    assert "early 3" not in heard


# -- egress ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def leaving(own_pachd, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    server = own_pachd("--allow-egress-root", str(out))
    server.out = out
    return server


def test_a_job_copies_its_output_out(leaving):
    repo = leaving.repo("raw")
    leaving.put(repo, {"/a": b"1", "/b": b"x" * 300_000})
    script = "mkdir -p /pfs/out/d; cp /pfs/in/* /pfs/out/d/"
    pipeline = create(leaving, repo, script, egress={"URL": (leaving.out / "to").as_uri()})
    job = leaving.job(pipeline)
    assert state(job) == "JOB_SUCCESS"
    assert {p.name: p.read_bytes() for p in (leaving.out / "to/d").iterdir()} == {"a": b"1", "b": b"x" * 300_000}
    # What fails does not leave.
    leaving.put(repo, {"/c": b"2"})
    leaving.job(pipeline)
    twice = create(leaving, leaving.repo("two"), "true")
    leaving.put(pfs.Repo(name="two"), {"/1": b"1", "/2": b"2"})
    leaving.job(twice)
    again = json.loads(leaving.client.pps.inspect_pipeline(pipeline=twice).user_spec_json)
    again |= {"update": True, "reprocess": True, "egress": {"objectStorage": {"url": (leaving.out / "no").as_uri()}}}
    again["transform"]["stdin"] = ["echo $PACH_DATUM_ID > /pfs/out/same"]
    leaving.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(again))
    assert state(leaving.job(twice)) == "JOB_FAILURE"
    assert sorted(p.name for p in leaving.out.iterdir()) == ["to"]
    assert sorted(p.name for p in (leaving.out / "to/d").iterdir()) == ["a", "b", "c"]


def test_an_egress_is_tried_until_it_goes_well_also_after_a_kill(leaving, own_pachd):
    (leaving.out / "to").write_text("in the way")
    repo = leaving.repo("raw")
    leaving.put(repo, {"/a": b"1"})
    pipeline = create(leaving, repo, COPY, egress={"URL": (leaving.out / "to").as_uri()})

    def newest(server):
        return state(server.job(pipeline, wait=False))

    eventually(lambda: newest(leaving) == "JOB_EGRESSING")
    leaving.end(signal.SIGKILL)
    server = own_pachd("--allow-egress-root", str(leaving.out))
    eventually(lambda: newest(server) == "JOB_EGRESSING")
    (leaving.out / "to").unlink()
    job = server.job(pipeline)
    assert (state(job), job.data_processed, job.restart) == ("JOB_SUCCESS", 1, 1)
    assert (leaving.out / "to/a").read_bytes() == b"1"


def test_a_commit_is_copied_out_on_request_and_nowhere_else(leaving, tmp_path):
    commit = leaving.put(leaving.repo("raw"), {"/a": b"12", "/link/x": b"3"})

    def go(folder):
        where = pfs.ObjectStorageEgress(url=folder.as_uri())
        return leaving.client.pfs.egress(commit=commit, object_storage=where)

    assert go(leaving.out).object_storage.bytes_written == 3
    assert (leaving.out / "link/x").read_bytes() == b"3"
    assert refused(go, tmp_path / "elsewhere")[0] == "INVALID_ARGUMENT"
    assert refused(go, leaving.out / ".." / "elsewhere")[0] == "INVALID_ARGUMENT"
    (leaving.out / "trap").mkdir()
    (tmp_path / "outside").mkdir()
    (leaving.out / "trap/link").symlink_to(tmp_path / "outside")
    assert "leads out" in refused(go, leaving.out / "trap")[1]
    assert list((tmp_path / "outside").iterdir()) == []
