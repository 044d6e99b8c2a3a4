"""Pipelines: their specs, their jobs, their datums, and what makes data be processed again."""

import json
import sys
from datetime import timedelta

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import refused

COPY = "cp /pfs/in/* /pfs/out/"


def state(job):
    return pps.JobState(job.state).name


def counts(job):
    return (job.data_processed, job.data_skipped, job.data_failed, job.data_recovered, job.data_total)


def spec(repo, **more):
    return {
        "pipeline": {"name": f"v2-{repo.name}"},
        "input": {"pfs": {"repo": repo.name, "glob": "/*", "name": "in"}},
        "transform": {"cmd": ["sh"], "stdin": [COPY]},
        **more,
    }


# -- specs -------------------------------------------------------------------------------------------------------------


def test_a_spec_is_kept_as_it_was_sent(pachd, client):
    text = json.dumps(
        spec(pachd.repo(), datumTries="2", datum_timeout="90s", metadata={"annotations": {"cdl.dev/code": "d1"}}),
        indent=3,
    )
    answer = client.pps.create_pipeline_v2(create_pipeline_request_json=text)
    effective = json.loads(answer.effective_create_pipeline_request_json)
    assert effective["input"]["pfs"]["branch"] == "master"
    assert effective["datumTries"] == "2"
    pipeline = pps.Pipeline(name=json.loads(text)["pipeline"]["name"])
    info = client.pps.inspect_pipeline(pipeline=pipeline)
    assert info.user_spec_json == text
    assert json.loads(info.effective_spec_json) == effective
    assert info.version == 1
    details = client.pps.inspect_pipeline(pipeline=pipeline, details=True).details
    assert details.metadata.annotations == {"cdl.dev/code": "d1"}
    assert details.datum_timeout.total_seconds() == 90
    assert details.transform.stdin == [COPY]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"reproces": True}, "INVALID_ARGUMENT", "unknown field 'reproces'"),
        ({"transform": {"cmd": ["sh"], "comand": 1}}, "INVALID_ARGUMENT", "unknown field 'comand' in 'transform'"),
        ({"datumTries": "many"}, "INVALID_ARGUMENT", "cannot be read"),
        ({"datumTimeout": 5}, "INVALID_ARGUMENT", "cannot be read"),
        ({"pipeline": {"name": "-x"}}, "UNKNOWN", "is not allowed"),
        ({"pipeline": {}}, "INVALID_ARGUMENT", "no pipeline.name"),
        ({"input": {}}, "UNKNOWN", "no input set"),
        ({"input": {"pfs": {"repo": "nowhere", "glob": "/*"}}}, "NOT_FOUND", "repo default/nowhere not found"),
        ({"input": {"pfs": {"repo": "nowhere"}}}, "UNKNOWN", "must specify a glob"),
        ({"input": {"pfs": {"repo": "nowhere", "glob": "/[", "name": "in"}}}, "INVALID_ARGUMENT", "not closed"),
        (
            {"input": {"cross": [{"pfs": {"repo": "nowhere", "glob": "/"}}]}},
            "NOT_FOUND",
            "repo default/nowhere not found",
        ),
        ({"input": {"cron": {"name": "t", "spec": "@often"}}}, "UNKNOWN", "'@often' cannot be read"),
        ({"input": {"cron": {"spec": "@daily"}}}, "UNKNOWN", "input.cron.name '' is not allowed"),
        ({"spout": {}}, "UNIMPLEMENTED", "spout is not offered"),
        ({"egress": {"URL": "gs://x"}}, "UNIMPLEMENTED", "egress to 'gs://x' is not offered"),
        ({"egress": {"URL": "file:///etc"}}, "INVALID_ARGUMENT", "--allow-egress-root"),
        ({"egress": {"sqlDatabase": {"url": "mysql://x"}}}, "UNIMPLEMENTED", "a database 'mysql' is not offered"),
        (
            {"transform": {"cmd": ["sh"], "secrets": [{"name": "none", "env_var": "X", "key": "k"}]}},
            "NOT_FOUND",
            "transform.secrets: secret none not found",
        ),
        ({"reprocessSpec": "sometimes"}, "UNKNOWN", "until_success and every_job"),
    ],
)
def test_a_wrong_spec_is_refused_in_one_sentence(pachd, client, change, code, says):
    text = json.dumps({**spec(pachd.repo()), **change})
    found = refused(client.pps.create_pipeline_v2, create_pipeline_request_json=text)
    assert (found[0], says in found[1], "\n" in found[1]) == (code, True, False), found


def test_a_spec_that_is_not_json_is_refused(client):
    for text in ("{", "[]", ""):
        assert refused(client.pps.create_pipeline_v2, create_pipeline_request_json=text)[0] == "INVALID_ARGUMENT"


def test_existing_and_missing_pipelines(pachd, client):
    repo = pachd.repo()
    pipeline = pachd.pipeline(repo, COPY)
    code, text = refused(pachd.pipeline, repo, COPY, name=pipeline.name)
    assert (code, text) == ("ALREADY_EXISTS", f"pipeline default/{pipeline.name} already exists")
    assert refused(pachd.pipeline, repo, COPY, name=repo.name)[0] == "ALREADY_EXISTS"
    nobody = pps.Pipeline(name="nobody")
    assert refused(client.pps.inspect_pipeline, pipeline=nobody) == ("NOT_FOUND", "pipeline default/nobody not found")
    assert refused(client.pps.delete_pipeline, pipeline=nobody, must_exist=True)[0] == "NOT_FOUND"
    client.pps.delete_pipeline(pipeline=nobody)
    assert not client.pps.pipeline_exists(nobody)


def test_a_pipeline_without_a_command_fails_at_once(pachd, client):
    pipeline = pachd.pipeline(pachd.repo(), "", cmd=())
    info = client.pps.inspect_pipeline(pipeline=pipeline)
    assert (pps.PipelineState(info.state).name, info.reason) == ("PIPELINE_FAILURE", "no transform.cmd")


def test_deleting_a_pipeline_deletes_its_repos(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    upper = pachd.pipeline(repo, COPY)
    lower = pachd.pipeline(pfs.Repo(name=upper.name), COPY)
    pachd.job(lower)
    assert "depends on it" in refused(client.pps.delete_pipeline, pipeline=upper)[1]
    assert "belongs to pipeline" in refused(client.pfs.delete_repo, repo=pfs.Repo(name=lower.name))[1]
    client.pps.delete_pipeline(pipeline=lower)
    client.pps.delete_pipeline(pipeline=upper, keep_repo=True)
    assert [p.pipeline.name for p in client.pps.list_pipeline() if p.pipeline.name in {upper.name, lower.name}] == []
    assert not client.pfs.repo_exists(pfs.Repo(name=lower.name))
    assert pachd.output(upper) == {"/a": b"1"}


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_a_commit_runs_through_two_steps_under_one_id(pachd, client):
    repo = pachd.repo()
    one = pachd.pipeline(repo, 'for f in /pfs/in/*; do tr a-z A-Z < "$f" > /pfs/out/$(basename $f); done')
    two = pachd.pipeline(pfs.Repo(name=one.name), COPY)
    commit = client.pfs.start_commit(branch=pfs.Branch(repo=repo, name="master"))
    # Jobs are there as soon as the commit is started.
    assert [j.job.pipeline.name for j in client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id))] == [
        one.name,
        two.name,
    ]
    client.pfs.put_file_from_bytes(commit=commit, path="/a", data=b"abc")
    client.pfs.finish_commit(commit=commit)
    done = list(client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id), wait=True))
    assert [state(j) for j in done] == ["JOB_SUCCESS"] * 2
    assert done[1].output_commit.id == commit.id
    assert done[1].output_commit.branch.name == "master"
    assert pachd.output(two) == {"/a": b"ABC"}
    commits = client.pfs.wait_commit_set(pfs.CommitSet(id=commit.id))
    assert {c.commit.repo.type for c in commits if c.commit.id == commit.id} == {"user", "meta"}
    # A handle of the set resolves also where the set has no commit of its own.
    assert client.pfs.inspect_commit(commit=pfs.Commit(repo=repo, id=commit.id)).commit.id == commit.id


def test_only_what_is_new_is_processed(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {f"/{n}": b"x" for n in range(5)})
    pipeline = pachd.pipeline(repo, COPY)
    assert counts(pachd.job(pipeline)) == (5, 0, 0, 0, 5)
    pachd.put(repo, {f"/new{n}": b"y" for n in range(3)})
    assert counts(pachd.job(pipeline)) == (3, 5, 0, 0, 8)
    pachd.put(repo, {"/0": b"changed"})
    assert counts(pachd.job(pipeline)) == (1, 7, 0, 0, 8)
    pachd.put(repo, {}, delete=["/new0", "/new1"])
    assert counts(pachd.job(pipeline)) == (0, 6, 0, 0, 6)
    assert sorted(pachd.output(pipeline)) == ["/0", "/1", "/2", "/3", "/4", "/new2"]
    assert pachd.output(pipeline)["/0"] == b"changed"
    states = [pps.DatumState(d.state).name for d in client.pps.list_datum(job=pachd.job(pipeline).job)]
    assert states == ["SKIPPED"] * 6


def test_an_update_reprocesses_only_when_asked(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1", "/b": b"2"})
    pipeline = pachd.pipeline(repo, COPY)
    first = pachd.job(pipeline)
    pachd.pipeline(repo, COPY + "; echo new > /pfs/out/new", name=pipeline.name, update=True)
    assert counts(pachd.job(pipeline)) == (0, 2, 0, 0, 2)
    assert pachd.output(pipeline) == {"/a": b"1", "/b": b"2"}
    assert client.pps.inspect_pipeline(pipeline=pipeline).version == 2
    assert [j.pipeline_version for j in client.pps.list_job(pipeline=pipeline)] == [2]
    assert [j.pipeline_version for j in client.pps.list_job(pipeline=pipeline, history=-1)] == [2, 1]
    pachd.pipeline(repo, "tr 12 34 < /pfs/in/a > /pfs/out/x || true", name=pipeline.name, update=True, reprocess=True)
    job = pachd.job(pipeline)
    assert counts(job)[:2] == (2, 0)
    assert first.details.salt != job.details.salt


def test_every_job_means_every_job(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, COPY, reprocess_spec="every_job")
    pachd.job(pipeline)
    pachd.put(repo, {"/b": b"1"})
    assert counts(pachd.job(pipeline)) == (2, 0, 0, 0, 2)


def test_a_directory_is_one_datum_and_reports_stay_out(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/tech/1": b"1", "/tech/2": b"2", "/sport/1": b"3", "/_reports/r": b"{}"})
    script = 'mkdir -p /pfs/out/_reports; cp -r /pfs/in/* /pfs/out/; ls /pfs/in > "$ROOT/$PACH_DATUM_ID"'
    pipeline = pachd.pipeline(repo, script, glob="/[!_]*", env={"ROOT": "/pfs/out/_reports"})
    job = pachd.job(pipeline)
    assert (state(job), counts(job)) == ("JOB_SUCCESS", (2, 0, 0, 0, 2))
    ids = {d.datum.id: d.data[0].file.path for d in client.pps.list_datum(job=job.job)}
    assert sorted(ids.values()) == ["/sport/", "/tech/"]
    out = pachd.output(pipeline)
    assert {out[f"/_reports/{key}"].decode().strip(): path for key, path in ids.items()} == {
        "sport": "/sport/",
        "tech": "/tech/",
    }
    dry = client.pps.list_datum(input=pps.Input(pfs=pps.PfsInput(repo=repo.name, glob="/[!_]*", name="in")))
    assert {d.datum.id for d in dry} == set(ids)


def test_two_datums_cannot_write_one_path(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1", "/b": b"2"})
    job = pachd.job(pachd.pipeline(repo, "echo x > /pfs/out/same"))
    assert (state(job), "more than one datum" in job.reason) == ("JOB_FAILURE", True)


def test_a_failed_job_is_no_base(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/good": b"1"})
    pipeline = pachd.pipeline(repo, "test ! -e /pfs/in/bad && " + COPY, datum_tries=2)
    lower = pachd.pipeline(pfs.Repo(name=pipeline.name), COPY)
    pachd.job(lower)
    pachd.put(repo, {"/bad": b"2", "/fine": b"3"})
    job = pachd.job(pipeline)
    assert (state(job), counts(job)) == ("JOB_FAILURE", (1, 1, 1, 0, 3))
    failed = next(d for d in client.pps.list_datum(job=job.job) if d.state == pps.DatumState.FAILED)
    assert job.reason == f"datum {failed.datum.id} failed"
    assert client.pfs.inspect_commit(commit=job.output_commit, wait=pfs.CommitState.FINISHED).error == job.reason
    below = pachd.job(lower)
    assert (state(below), below.reason.split(": ")[1]) == ("JOB_UNRUNNABLE", pipeline.name)
    pachd.put(repo, {}, delete=["/bad"])
    job = pachd.job(pipeline)
    assert (state(job), counts(job)) == ("JOB_SUCCESS", (1, 1, 0, 0, 2))
    assert pachd.output(pipeline) == {"/good": b"1", "/fine": b"3"}
    pachd.job(lower)
    assert pachd.output(lower) == {"/good": b"1", "/fine": b"3"}


def test_err_cmd_recovers_a_datum(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    script = 'echo try >> "$KEEP"; exit 1'
    keep = pachd.root / "tries"
    pipeline = pachd.pipeline(repo, script, err_cmd=["true"], datum_tries=2, env={"KEEP": str(keep)})
    job = pachd.job(pipeline)
    assert (state(job), counts(job)) == ("JOB_SUCCESS", (0, 0, 0, 1, 1))
    # A recovered attempt is tried again until the tries are used up.
    assert keep.read_text().splitlines() == ["try", "try"]
    pachd.put(repo, {"/b": b"1"})
    assert counts(pachd.job(pipeline)) == (0, 0, 0, 2, 2)


def test_accepted_codes_and_timeouts(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    assert state(pachd.job(pachd.pipeline(repo, "exit 7", accept_return_code=[7]))) == "JOB_SUCCESS"
    late = pachd.pipeline(repo, "sleep 60", datum_timeout=timedelta(seconds=0.3), datum_tries=1)
    assert state(pachd.job(late)) == "JOB_FAILURE"
    assert any("datum_timeout" in line.message for line in client.pps.get_logs(pipeline=late))
    later = pachd.pipeline(repo, "sleep 60", job_timeout=timedelta(seconds=0.3))
    job = pachd.job(later)
    assert (state(job), "timed out" in job.reason) == ("JOB_KILLED", True)


def test_a_job_is_stopped(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    mark = pachd.root / "began"
    pipeline = pachd.pipeline(repo, 'touch "$MARK"; sleep 600', env={"MARK": str(mark)})
    job = pachd.job(pipeline, wait=False)
    for line in client.pps.get_logs(job=job.job, follow=True):
        if "attempt 1" in line.message:
            break
    client.pps.stop_job(job=job.job)
    job = pachd.job(pipeline)
    assert (state(job), job.reason) == ("JOB_KILLED", "job stopped")
    assert client.pfs.wait_commit(job.output_commit).error == "job stopped"


def test_a_stopped_pipeline_catches_up_with_one_job(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, COPY)
    pachd.job(pipeline)
    client.pps.stop_pipeline(pipeline=pipeline)
    assert client.pps.inspect_pipeline(pipeline=pipeline).state == pps.PipelineState.PIPELINE_PAUSED
    pachd.put(repo, {"/b": b"2"})
    pachd.put(repo, {"/c": b"3"})
    assert len(list(client.pps.list_job(pipeline=pipeline))) == 1
    client.pps.start_pipeline(pipeline=pipeline)
    assert counts(pachd.job(pipeline)) == (2, 1, 0, 0, 3)
    assert len(list(client.pps.list_job(pipeline=pipeline))) == 2


# -- what user code sees -----------------------------------------------------------------------------------------------


def test_user_code_sees_what_is_documented_and_no_more(pachd, client):
    repo = pachd.repo()
    commit = pachd.put(repo, {"/tech/1": b"1"})
    pipeline = pachd.pipeline(repo, "env > /pfs/out/env", env={"MINE": "/pfs/out/x", "OTHER": "a/pfs/b"})
    job = pachd.job(pipeline)
    env = dict(line.split("=", 1) for line in pachd.output(pipeline)["/env"].decode().splitlines())
    root = env["CDL_PFS_ROOT"]
    assert env["in"] == f"{root}/in/tech"
    assert env["MINE"] == f"{root}/out/x"
    assert env["OTHER"] == "a/pfs/b"
    assert env["in_COMMIT"] == commit.id
    assert env["PACH_JOB_ID"] == env["PACH_OUTPUT_COMMIT_ID"] == job.job.id
    assert env["PPS_PIPELINE_NAME"] == pipeline.name
    assert env["PACHD_PEER_SERVICE_PORT"] == pachd.address.rsplit(":", 1)[-1]
    documented = {"PATH", "HOME", "LANG", "PEER_PORT", "CDL_PFS_ROOT", "in", "in_COMMIT", "MINE", "OTHER"}
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    left = {n for n in env if n not in documented | shells_own and not n.startswith(("PACH_", "PPS_", "PACHD_PEER_"))}
    assert left == set()


def test_python_is_the_servers_own_and_programs_are_mapped(own_pachd, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "step.py").write_text(
        "import os, sys, pathlib\n"
        "root = pathlib.Path(os.environ['CDL_PFS_ROOT'])\n"
        "(root / 'out/python').write_text(sys.prefix + ' ' + sys.argv[1])\n"
        "print('said', flush=True); print('warned', file=sys.stderr)\n"
    )
    server = own_pachd("--no-mounts", "--map", f"/opt/cdl/pipelines={programs}")
    repo = server.repo()
    server.put(repo, {"/a": b"1"})
    pipeline = server.pipeline(repo, "", cmd=("python3", "/opt/cdl/pipelines/step.py", "/pfs/in"), name="steps")
    job = server.job(pipeline)
    assert state(job) == "JOB_SUCCESS"
    prefix, argument = server.output(pipeline)["/python"].decode().split(" ")
    assert (prefix, argument.endswith("/pfs/in"), argument == "/pfs/in") == (sys.prefix, True, False)
    said = {line.message for line in server.client.pps.get_logs(job=job.job) if line.user}
    assert said == {"said", "warned"}


def test_user_code_cannot_change_the_store(pachd, client):
    repo = pachd.repo()
    body = b"x" * 300_000
    commit = pachd.put(repo, {"/small": b"1", "/big": body})
    script = "for f in small big; do echo bad >> /pfs/in/$f; chmod 0 /pfs/in/$f; done; mkdir -m 0 /pfs/in/locked"
    assert state(pachd.job(pachd.pipeline(repo, script, glob="/"))) == "JOB_SUCCESS"
    assert pachd.read(commit) == {"/small": b"1", "/big": body}


def test_output_may_be_large_linked_and_empty(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/big": b"b" * 300_000})
    script = "cd /pfs/out; cp /pfs/in/big copy; ln copy again; ln -s /pfs/in/big link; mkdir none; : > empty"
    pipeline = pachd.pipeline(repo, script)
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    out = pachd.output(pipeline)
    assert {name: len(body) for name, body in out.items()} == {
        "/copy": 300_000,
        "/again": 300_000,
        "/link": 300_000,
        "/empty": 0,
    }


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("touch '/pfs/out/a*'", "'*'"),
        ("ln -s /nowhere /pfs/out/l", "link to nothing"),
        ("mkfifo /pfs/out/p", "neither a file nor"),
        ("ln -s . /pfs/out/loop", "into itself"),
    ],
)
def test_output_that_a_commit_cannot_hold_fails_the_datum(pachd, client, script, says):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, script, datum_tries=1)
    assert state(pachd.job(pipeline)) == "JOB_FAILURE"
    assert any(says in line.message for line in client.pps.get_logs(pipeline=pipeline))


def test_a_program_that_is_not_there_is_named(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, "", cmd=("no-such-program",), datum_tries=1)
    assert state(pachd.job(pipeline)) == "JOB_FAILURE"
    assert any("cannot start 'no-such-program'" in line.message for line in client.pps.get_logs(pipeline=pipeline))


def test_logs_are_of_the_engine_and_of_the_user(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1", "/b": b"2"})
    pipeline = pachd.pipeline(repo, "echo seen $(ls /pfs/in)")
    job = pachd.job(pipeline)
    lines = list(client.pps.get_logs(job=job.job))
    assert sorted(line.message for line in lines if line.user) == ["seen a", "seen b"]
    assert any(line.master for line in lines)
    assert any(not line.master and not line.user for line in lines)
    assert all(line.ts.year > 2000 and line.job_id == job.job.id for line in lines)
    datum = next(client.pps.list_datum(job=job.job)).datum
    assert {line.datum_id for line in client.pps.get_logs(datum=datum)} == {datum.id}
    assert len(list(client.pps.get_logs(job=job.job, tail=2))) == 2
    assert all(line.master for line in client.pps.get_logs(pipeline=pipeline, master=True))
    assert [line.message for line in client.pps.get_logs(job=job.job, follow=True)] == [line.message for line in lines]


def test_a_datum_is_described(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"123"})
    job = pachd.job(pachd.pipeline(repo, COPY))
    datum = next(client.pps.list_datum(job=job.job)).datum
    info = client.pps.inspect_datum(datum=datum)
    assert (pps.DatumState(info.state).name, info.data[0].file.path) == ("SUCCESS", "/a")
    assert (info.stats.download_bytes, info.stats.upload_bytes) == (3, 3)
    assert (job.stats.download_bytes, job.stats.upload_bytes) == (3, 3)
    datum.id = "0" * 64
    code, text = refused(client.pps.inspect_datum, datum=datum)
    assert (code, text) == ("UNKNOWN", f"datum {'0' * 64} could not be found for job ID {job.job.id}")
    nowhere = pps.Job(pipeline=job.job.pipeline, id="0" * 32)
    assert refused(client.pps.inspect_job, job=nowhere)[0] == "NOT_FOUND"


def test_a_linked_folder_and_an_unreadable_one(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    script = "cd /pfs/out; mkdir d; head -c 300000 /dev/zero > d/big; ln -s d again; ln -s d _first"
    linked = pachd.pipeline(repo, script)
    assert state(pachd.job(linked)) == "JOB_SUCCESS"
    assert {name: len(body) for name, body in pachd.output(linked).items()} == {
        "/d/big": 300_000,
        "/again/big": 300_000,
        "/_first/big": 300_000,
    }
    # A path longer than a file system allows fails the attempt, not the server.
    long = pachd.pipeline(
        repo, "cd /pfs/out; n=$(printf 'x%.0s' $(seq 250)); mkdir $n; ln -s $n/$n/$n l", datum_tries=1
    )
    assert state(pachd.job(long)) == "JOB_FAILURE"


def test_an_edge_that_never_propagates(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pps.Pipeline(name=f"quiet-{repo.name}")
    source = pps.PfsInput(repo=repo.name, glob="/*", name="in", propagation_spec=pfs.PropagationSpec(never=True))
    transform = pps.Transform(cmd=["sh"], stdin=[COPY])
    client.pps.create_pipeline(pipeline=pipeline, input=pps.Input(pfs=source), transform=transform)
    pachd.job(pipeline)
    pachd.put(repo, {"/b": b"2"})
    assert len(list(client.pps.list_job(pipeline=pipeline))) == 1
    assert pachd.output(pipeline) == {"/a": b"1"}


def test_squashing_a_whole_set_keeps_what_its_children_read(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, COPY)
    pachd.job(pipeline)
    second = pachd.put(repo, {"/b": b"2"})
    pachd.job(pipeline)
    third = pachd.put(repo, {"/c": b"3"})
    pachd.job(pipeline)
    code, text = refused(client.pfs.squash_commit, commit=second)
    assert (code, "ask for recursive" in text) == ("UNKNOWN", True)
    client.pfs.squash_commit(commit=second, recursive=True)
    assert pachd.read(third) == {"/a": b"1", "/b": b"2", "/c": b"3"}
    assert pachd.output(pipeline) == {"/a": b"1", "/b": b"2", "/c": b"3"}
    left = {j.job.id for j in client.pps.list_job(pipeline=pipeline, history=-1)}
    assert (third.id in left, second.id in left) == (True, False)
    assert client.pfs.commit_exists(first)
    # The next job still builds on what is left.
    pachd.put(repo, {"/d": b"4"})
    assert counts(pachd.job(pipeline)) == (1, 3, 0, 0, 4)


def test_long_and_strange_lines_are_kept(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, r"head -c 200000 /dev/zero | tr '\0' x; echo; printf '\377|'; printf 'no end'")
    job = pachd.job(pipeline)
    text = "".join(line.message for line in client.pps.get_logs(job=job.job) if line.user)
    assert text == "x" * 200_000 + "\ufffd|no end"


def test_a_pipeline_in_a_project(pachd, client):
    project = pfs.Project(name="teams")
    client.pfs.create_project(project=project)
    repo = pfs.Repo(name="raw", project=project)
    client.pfs.create_repo(repo=repo)
    pachd.put(repo, {"/a": b"1"})
    text = json.dumps({**spec(repo), "pipeline": {"name": "step", "project": {"name": "teams"}}})
    client.pps.create_pipeline_v2(create_pipeline_request_json=text)
    pipeline = pps.Pipeline(name="step", project=project)
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    assert pachd.read(pachd.head(pfs.Repo(name="step", project=project))) == {"/a": b"1"}
    assert not client.pps.pipeline_exists(pps.Pipeline(name="step"))
    assert [p.pipeline.name for p in client.pps.list_pipeline(projects=[project])] == ["step"]
    assert [j.job.pipeline.project.name for j in client.pps.list_job(projects=[project])] == ["teams"]


def test_an_autoscaling_pipeline_stands_by(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    pipeline = pachd.pipeline(repo, COPY, autoscaling=True)
    pachd.job(pipeline)
    info = client.pps.inspect_pipeline(pipeline=pipeline)
    assert pps.PipelineState(info.state).name == "PIPELINE_STANDBY"
    assert pps.JobState(info.last_job_state).name == "JOB_SUCCESS"
    client.pps.rerun_pipeline(pipeline=pipeline, reprocess=True)
    assert counts(pachd.job(pipeline))[:2] == (1, 0)
    versions = [p.version for p in client.pps.list_pipeline(pipeline=pipeline, history=-1)]
    assert versions == [2, 1]


def test_a_subscription_sees_a_job_through_its_states(pachd, client):
    repo = pachd.repo()
    pipeline = pachd.pipeline(repo, COPY)
    pachd.job(pipeline)
    commit = client.pfs.start_commit(branch=pfs.Branch(repo=repo, name="master"))
    seen = []
    for info in client.pps.subscribe_job(pipeline=pipeline):
        if not seen:
            client.pfs.finish_commit(commit=commit)
        seen.append(state(info))
        if seen[-1] == "JOB_SUCCESS":
            break
    assert seen[0] in {"JOB_CREATED", "JOB_STARTING"}
    assert info.job.id == commit.id
    sets = [s.job_set.id for s in client.pps.list_job_set()]
    assert sets.index(commit.id) == 0
    client.pps.delete_job(job=info.job)
    assert not client.pps.job_exists(info.job)
    assert client.pfs.commit_exists(pfs.Commit(repo=pfs.Repo(name=pipeline.name), id=commit.id))


def test_two_pipelines_on_one_input_do_not_meet(pachd, client):
    repo = pachd.repo()
    one, two = (
        pachd.pipeline(repo, f"sleep 0.1; echo {word} >> /pfs/in/a; cp /pfs/in/a /pfs/out/") for word in ("one", "two")
    )
    commit = pachd.put(repo, {"/a": b""})
    # The same datum id in both, at the same time.
    jobs = list(client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id), wait=True))
    assert len({d.datum.id for j in jobs for d in client.pps.list_datum(job=j.job)}) == 1
    assert [pachd.output(p) for p in (one, two)] == [{"/a": b"one\n"}, {"/a": b"two\n"}]
