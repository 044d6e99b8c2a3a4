"""Datums at work: listed before there is a job, seen while they run, begun again when somebody asks."""

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps
from pachyderm_sdk.api.worker import WorkerStub

from tests.wire.pachd.refusals import eventually, refused


def source(repo, glob="/*"):
    return pps.Input(pfs=pps.PfsInput(repo=repo.name, glob=glob, name="in"))


def start(repo, number=0):
    return pps.CreateDatumRequest(start=pps.StartCreateDatumRequest(input=source(repo), number=number))


def more(number):
    return pps.CreateDatumRequest(continue_=pps.ContinueCreateDatumRequest(number=number))


def test_datums_are_made_as_many_as_asked_for(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {f"/{n}": b"1" for n in range(7)})
    every = list(client.pps.list_datum(input=source(repo)))
    assert len(every) == 7
    found = client.pps.create_datum(iter([start(repo, 2), more(1), more(3)]))
    assert [info.datum.id for info in found] == [info.datum.id for info in every[:6]]
    # The default number is more than there are; what comes after the last datum is the end.
    found = list(client.pps.create_datum(iter([start(repo), more(5)])))
    assert [info.datum.id for info in found] == [info.datum.id for info in every]
    assert {info.state for info in found} == {pps.DatumState.UNKNOWN}
    assert found[0].data[0].file.path == "/0"


def test_datums_cannot_be_made_of_nothing(pachd, client):
    repo = pachd.repo()
    assert refused(client.pps.create_datum, iter([more(1)]))[0] == "INVALID_ARGUMENT"
    assert refused(client.pps.create_datum, iter([pps.CreateDatumRequest(start=pps.StartCreateDatumRequest())]))[0] == (
        "INVALID_ARGUMENT"
    )
    cron = pps.Input(cron=pps.CronInput(name="t", spec="@daily"))
    request = pps.CreateDatumRequest(start=pps.StartCreateDatumRequest(input=cron))
    assert "cron" in refused(client.pps.create_datum, iter([request]))[1]
    pachd.put(repo, {"/a": b"1", "/b": b"1"})
    assert refused(client.pps.create_datum, iter([start(repo, 1), start(repo, 1)]))[0] == "INVALID_ARGUMENT"


@pytest.fixture
def worker(pachd):
    channel = grpc.insecure_channel(pachd.address.removeprefix("grpc://"))
    yield WorkerStub(channel)
    channel.close()


def test_a_running_datum_is_begun_again(pachd, client, worker, tmp_path):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    script = 'echo run >> "$RUNS"; while [ ! -e "$GATE" ]; do sleep 0.02; done; cp /pfs/in/* /pfs/out/'
    pipeline = pachd.pipeline(repo, script, env={"RUNS": str(runs), "GATE": str(gate)}, datum_tries=1)
    eventually(lambda: runs.exists() and len(runs.read_text().split()) == 1)
    job = pachd.job(pipeline, wait=False).job
    other = f"datum matching filter [/b] could not be found for job ID {job.id}"
    assert refused(client.pps.restart_datum, job=job, data_filters=["/b"])[1] == other
    digest = client.pfs.inspect_file(file=pfs.File(commit=pachd.head(repo), path="/a")).hash.hex()
    client.pps.restart_datum(job=job, data_filters=["/a", digest])
    eventually(lambda: len(runs.read_text().split()) == 2)

    # The worker's own service sees it, and can do the same.
    eventually(lambda: worker.status().job_id == job.id)
    status = worker.status()
    assert [file.path for file in status.datum_status.data] == ["/a"]
    assert status.datum_status.started.year > 2000
    assert status.worker_id == f"{pipeline.name}-v1"
    assert not worker.cancel(job_id=job.id, data_filters=["/b"]).success
    assert worker.cancel(job_id=job.id).success
    eventually(lambda: len(runs.read_text().split()) == 3)

    gate.touch()
    done = pachd.job(pipeline)
    # To be begun again is no failed attempt: the one try that the spec allows was enough.
    assert (pps.JobState(done.state).name, done.data_processed, done.data_failed) == ("JOB_SUCCESS", 1, 0)
    assert pachd.output(pipeline) == {"/a": b"1"}
    assert refused(client.pps.restart_datum, job=job)[1].startswith("datum matching filter []")
    assert not worker.cancel(job_id=job.id).success
    assert sum("begun again" in line.message for line in client.pps.get_logs(job=job)) == 2


def test_a_job_that_is_stopped_is_not_begun_again(pachd, client, tmp_path):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    runs = tmp_path / "runs"
    pipeline = pachd.pipeline(repo, 'echo run >> "$RUNS"; sleep 600', env={"RUNS": str(runs)})
    eventually(lambda: runs.exists() and runs.read_text())
    job = pachd.job(pipeline, wait=False).job
    client.pps.restart_datum(job=job)
    client.pps.stop_job(job=job)
    assert pps.JobState(client.pps.inspect_job(job=job, wait=True).state).name == "JOB_KILLED"


def test_user_code_reaches_its_worker(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    code = (
        "import os, grpc; from pachyderm_sdk.api.worker import WorkerStub; "
        "c = grpc.insecure_channel('127.0.0.1:' + os.environ['PPS_WORKER_GRPC_PORT']); "
        "open('/pfs/out/job', 'w').write(WorkerStub(c).status().job_id)"
    )
    pipeline = pachd.pipeline(repo, f'"$PYTHON" -c "{code}"', env={"PYTHON": __import__("sys").executable})
    job = pachd.job(pipeline)
    assert pps.JobState(job.state).name == "JOB_SUCCESS"


def test_batches_of_datums_are_refused_by_name(pachd, client, worker):
    code, text = refused(worker.next_datum)
    assert (code, text) == ("UNIMPLEMENTED", "pachyderm.worker.Worker/NextDatum is not offered by the embedded pachd")
