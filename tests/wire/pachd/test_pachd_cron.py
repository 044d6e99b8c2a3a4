"""Cron inputs: ticks are commits with a file named by the time; and branches that move by the clock."""

import re
import signal
from datetime import UTC, datetime, timedelta

from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import eventually, refused

TICK = re.compile(r"/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LIST = 'ls "$CDL_PFS_ROOT"/t > /pfs/out/ticks-$PACH_DATUM_ID'


def create(client, name, *, spec="@never", script="cp /pfs/t/* /pfs/out/", inputs=(), **cron):
    tick = pps.Input(cron=pps.CronInput(name="t", spec=spec, **cron))
    whole = pps.Input(cross=[tick, *inputs]) if inputs else tick
    pipeline = pps.Pipeline(name=name)
    client.pps.create_pipeline(pipeline=pipeline, input=whole, transform=pps.Transform(cmd=["sh"], stdin=[script]))
    return pipeline


def ticks(server, pipeline):
    repo = pfs.Repo(name=f"{pipeline.name}_t")
    return sorted(server.read(server.head(repo)))


def test_it_ticks_by_hand(pachd, client):
    pipeline = create(client, f"hand-{pachd.repo().name}")
    assert pachd.job(pipeline).data_total == 0
    client.pps.run_cron(pipeline=pipeline)
    job = pachd.job(pipeline)
    assert (pps.JobState(job.state).name, job.data_total) == ("JOB_SUCCESS", 1)
    (path,) = pachd.output(pipeline)
    assert TICK.fullmatch(path)
    assert ticks(pachd, pipeline) == [path]
    said = client.pps.inspect_pipeline(pipeline=pipeline, details=True).details.input.cron
    assert (said.repo, said.spec, said.start.year > 2000) == (f"{pipeline.name}_t", "@never", True)
    client.pps.delete_pipeline(pipeline=pipeline)
    assert not client.pfs.repo_exists(pfs.Repo(name=f"{pipeline.name}_t"))


def test_only_a_cron_pipeline_is_run_by_hand(pachd, client):
    pipeline = pachd.pipeline(pachd.repo(), "true")
    code, text = refused(client.pps.run_cron, pipeline=pipeline)
    assert (code, "have a cron input" in text) == ("UNKNOWN", True)


def test_it_ticks_by_the_clock_and_catches_up(pachd, client):
    start = datetime.now(UTC) - timedelta(hours=3, minutes=30)
    pipeline = create(client, f"hours-{pachd.repo().name}", spec="@every 1h", start=start)
    eventually(lambda: len(ticks(pachd, pipeline)) == 3)
    expected = [(start + timedelta(hours=n)).strftime("/%Y-%m-%dT%H:%M:%SZ") for n in (1, 2, 3)]
    assert ticks(pachd, pipeline) == expected
    assert pachd.job(pipeline).data_total == 3


def test_a_tick_may_overwrite_the_last(pachd, client):
    start = datetime.now(UTC) - timedelta(days=2, hours=1)
    name = f"over-{pachd.repo().name}"
    pipeline = create(client, name, spec="@every 24h", start=start, overwrite=True)
    last = (start + timedelta(days=2)).strftime("/%Y-%m-%dT%H:%M:%SZ")
    eventually(lambda: ticks(pachd, pipeline) == [last])
    assert pachd.job(pipeline).data_total == 1


def test_a_cron_crossed_with_data_works_on_all_of_it_again(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"1"})
    data = pps.Input(pfs=pps.PfsInput(repo=repo.name, glob="/", name="in"))
    script = 'for t in "$CDL_PFS_ROOT"/t/*; do cp /pfs/in/a /pfs/out/$(basename $t); done'
    pipeline = create(client, f"nightly-{repo.name}", inputs=[data], script=script)
    pachd.job(pipeline)
    client.pps.run_cron(pipeline=pipeline)
    job = pachd.job(pipeline)
    assert (job.data_processed, job.data_total) == (1, 1)
    assert list(pachd.output(pipeline).values()) == [b"1"]


def test_a_stopped_pipeline_does_not_tick(pachd, client):
    stopped = create(client, f"still-{pachd.repo().name}")
    client.pps.stop_pipeline(pipeline=stopped)
    start = datetime.now(UTC) - timedelta(hours=1, minutes=1)
    tick = pps.Input(cron=pps.CronInput(name="t", spec="@every 1h", start=start))
    transform = pps.Transform(cmd=["true"])
    client.pps.create_pipeline(pipeline=stopped, input=tick, transform=transform, update=True)
    other = create(client, f"goes-{stopped.name}", spec="@every 1h", start=start)
    eventually(lambda: len(ticks(pachd, other)) == 1)
    assert ticks(pachd, stopped) == []
    client.pps.start_pipeline(pipeline=stopped)
    eventually(lambda: len(ticks(pachd, stopped)) == 1)


def test_no_tick_is_lost_or_doubled_by_a_kill(own_pachd):
    server = own_pachd()
    start = datetime.now(UTC) - timedelta(minutes=40, seconds=30)
    pipeline = create(server.client, "often", spec="@every 1m", start=start, script="true")
    eventually(lambda: len(ticks(server, pipeline)) >= 3)
    server.end(signal.SIGKILL)
    server = own_pachd()
    expected = [(start + timedelta(minutes=n)).strftime("/%Y-%m-%dT%H:%M:%SZ") for n in range(1, 41)]
    eventually(lambda: len(ticks(server, pipeline)) >= 40, 60)
    assert ticks(server, pipeline)[:40] == expected
    repo = pfs.Repo(name="often_t")
    made = [c for c in server.client.pfs.list_commit(repo=repo) if c.origin.kind == pfs.OriginKind.USER]
    assert len(made) == len(ticks(server, pipeline))


def test_a_branch_moves_by_the_clock(pachd, client):
    repo = pachd.repo()
    late = pfs.Branch(repo=repo, name="late")
    client.pfs.create_branch(branch=late, trigger=pfs.Trigger(branch="master", cron_spec="@every 1s"))
    commit = pachd.put(repo, {"/a": b"1"})
    eventually(lambda: client.pfs.inspect_branch(branch=late).head.id == commit.id)
    never = pfs.Branch(repo=repo, name="never")
    client.pfs.create_branch(branch=never, trigger=pfs.Trigger(branch="master", cron_spec="@never"))
    assert client.pfs.inspect_branch(branch=never).head.id != commit.id
