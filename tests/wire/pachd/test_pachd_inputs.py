"""Inputs made of several: cross, union, join and group; which datums they make, and what user code finds."""

import hashlib
import json
import signal

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import eventually, refused

# Every file below every input's folder, as one line each, in the output file of the datum.
SHOW = 'cd "$CDL_PFS_ROOT"; for d in *; do [ $d = out ] || find $d -type f | sort; done > /pfs/out/$PACH_DATUM_ID'


def state(job):
    return pps.JobState(job.state).name


def counts(job):
    return (job.data_processed, job.data_skipped, job.data_total)


def leaf(repo, glob, name, **more):
    return {"pfs": {"repo": repo.name, "glob": glob, "name": name, **more}}


def create(pachd, given, *, name=None, script=SHOW, **more):
    name = name or f"of-{pachd.repo().name}"
    spec = {"pipeline": {"name": name}, "input": given, "transform": {"cmd": ["sh"], "stdin": [script]}, **more}
    pachd.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    return pps.Pipeline(name=name)


def seen(pachd, pipeline):
    """What each datum found, sorted."""
    return sorted(body.decode().split() for body in pachd.output(pipeline).values())


@pytest.fixture(scope="module")
def sales(pachd):
    repo = pachd.repo()
    pachd.put(repo, {"/north-may.csv": b"1", "/south-may.csv": b"2", "/north-june.csv": b"3"})
    return repo


@pytest.fixture(scope="module")
def shops(pachd):
    repo = pachd.repo()
    pachd.put(repo, {"/north.json": b"n", "/west.json": b"w"})
    return repo


def test_a_cross_pairs_everything(pachd, sales, shops):
    given = {"cross": [leaf(shops, "/*", "z"), leaf(sales, "/*-may.csv", "a")]}
    pipeline = create(pachd, given)
    job = pachd.job(pipeline)
    assert (state(job), counts(job)) == ("JOB_SUCCESS", (4, 0, 4))
    assert seen(pachd, pipeline) == [
        [f"a/{month}", f"z/{shop}"]
        for month in ("north-may.csv", "south-may.csv")
        for shop in ("north.json", "west.json")
    ]
    # The arms are sorted by name, whatever the spec's order, and the job names itself as their commit.
    assert [arm.pfs.name for arm in job.details.input.cross] == ["a", "z"]
    assert {arm.pfs.commit for arm in job.details.input.cross} == {job.job.id}
    data = [[f.file.path for f in d.data] for d in pachd.client.pps.list_datum(job=job.job)]
    assert data[0] == ["/north-may.csv", "/north.json"]


def test_a_datum_is_named_by_where_its_inputs_lie(pachd, sales, shops):
    given = {"cross": [leaf(sales, "/north-may.csv", "a"), leaf(shops, "/north.json", "b")]}
    job = pachd.job(create(pachd, given))
    expected = hashlib.blake2b(digest_size=32)
    for words in (("a", sales.name, "master", "/north-may.csv"), ("b", shops.name, "master", "/north.json")):
        for word in words:
            expected.update(word.encode() + len(word).to_bytes(8, "big"))
    (datum,) = pachd.client.pps.list_datum(job=job.job)
    assert datum.datum.id == expected.hexdigest()
    assert [f.size_bytes for f in datum.data] == [1, 1]
    assert all(len(f.hash) == 32 for f in datum.data)


def test_a_union_takes_one_after_the_other(pachd, sales, shops):
    pipeline = create(pachd, {"union": [leaf(sales, "/*-june.csv", "in"), leaf(shops, "/*", "in")]})
    assert counts(pachd.job(pipeline)) == (3, 0, 3)
    assert seen(pachd, pipeline) == [["in/north-june.csv"], ["in/north.json"], ["in/west.json"]]


def test_an_inner_join_keeps_pairs_only(pachd, sales, shops):
    script = SHOW + '; echo "$PACH_DATUM_sale_JOIN_ON" >> /pfs/out/$PACH_DATUM_ID'
    arms = [leaf(sales, "/(*)-*.csv", "sale", joinOn="$1"), leaf(shops, "/(*).json", "shop", join_on="$1")]
    pipeline = create(pachd, {"join": arms}, script=script)
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    assert seen(pachd, pipeline) == [
        ["sale/north-june.csv", "shop/north.json", "north"],
        ["sale/north-may.csv", "shop/north.json", "north"],
    ]


@pytest.mark.parametrize(
    ("outer", "alone"),
    [
        ({"sale"}, [["sale/south-may.csv"]]),
        ({"shop"}, [["shop/west.json"]]),
        ({"sale", "shop"}, [["sale/south-may.csv"], ["shop/west.json"]]),
    ],
)
def test_an_outer_join_keeps_what_is_alone(pachd, sales, shops, outer, alone):
    arms = [
        leaf(sales, "/(*)-*.csv", "sale", joinOn="$1", outerJoin="sale" in outer),
        leaf(shops, "/(*).json", "shop", joinOn="$1", outerJoin="shop" in outer),
    ]
    pipeline = create(pachd, {"join": arms})
    assert state(pachd.job(pipeline)) == "JOB_SUCCESS"
    pairs = [[f"sale/north-{month}.csv", "shop/north.json"] for month in ("june", "may")]
    assert seen(pachd, pipeline) == sorted(pairs + alone)


def test_a_group_puts_a_words_files_into_one_datum(pachd, sales, shops):
    script = SHOW + '; echo "$PACH_DATUM_sale_GROUP_BY" >> /pfs/out/$PACH_DATUM_ID'
    arms = [leaf(sales, "/(*)-*.csv", "sale", groupBy="$1"), leaf(shops, "/(*).json", "shop", groupBy="$1")]
    pipeline = create(pachd, {"group": arms}, script=script)
    assert counts(pachd.job(pipeline)) == (3, 0, 3)
    assert seen(pachd, pipeline) == [
        ["sale/north-june.csv", "sale/north-may.csv", "shop/north.json", "north"],
        ["sale/south-may.csv", "south"],
        ["shop/west.json"],
    ]


def test_a_group_within_a_cross(pachd, sales, shops):
    group = {"group": [leaf(sales, "/*-(*).csv", "sale", groupBy="$1")]}
    pipeline = create(pachd, {"cross": [group, leaf(shops, "/n*", "shop")]})
    assert counts(pachd.job(pipeline)) == (2, 0, 2)
    assert seen(pachd, pipeline) == [
        ["sale/north-june.csv", "shop/north.json"],
        ["sale/north-may.csv", "sale/south-may.csv", "shop/north.json"],
    ]


def test_only_datums_that_a_change_touches_are_processed(pachd):
    left, right = pachd.repo(), pachd.repo()
    pachd.put(left, {"/a": b"1", "/b": b"1"})
    pachd.put(right, {"/x": b"1", "/y": b"1", "/z": b"1"})
    pipeline = create(pachd, {"cross": [leaf(left, "/*", "l"), leaf(right, "/*", "r")]})
    assert counts(pachd.job(pipeline)) == (6, 0, 6)
    pachd.put(left, {"/a": b"2"})
    assert counts(pachd.job(pipeline)) == (3, 3, 6)
    pachd.put(right, {}, delete=["/z"])
    assert counts(pachd.job(pipeline)) == (0, 4, 4)
    assert len(pachd.output(pipeline)) == 4


def test_what_is_only_referred_to_does_not_count(pachd):
    data, model = pachd.repo(), pachd.repo()
    pachd.put(data, {"/a": b"1"})
    pachd.put(model, {"/m": b"1"})
    given = {"cross": [leaf(data, "/*", "data"), leaf(model, "/", "model", reference=True)]}
    pipeline = create(pachd, given, script="cat /pfs/model/m /pfs/data/a > /pfs/out/a")
    assert counts(pachd.job(pipeline)) == (1, 0, 1)
    pachd.put(model, {"/m": b"2"})
    assert counts(pachd.job(pipeline)) == (0, 1, 1)
    pachd.put(data, {"/a": b"2"})
    assert counts(pachd.job(pipeline)) == (1, 0, 1)
    assert pachd.output(pipeline) == {"/a": b"22"}


def test_one_repo_twice_and_names_without_content(pachd):
    repo = pachd.repo()
    pachd.put(repo, {"/a": b"11", "/b": b"22"})
    given = {"cross": [leaf(repo, "/a", "one"), leaf(repo, "/*", "two", emptyFiles=True)]}
    pipeline = create(
        pachd, given, script="wc -c < /pfs/one/a > /pfs/out/$(ls /pfs/two); cat /pfs/two/* > /pfs/out/e$(ls /pfs/two)"
    )
    job = pachd.job(pipeline)
    assert counts(job) == (2, 0, 2)
    assert {path: int(body or 0) for path, body in pachd.output(pipeline).items()} == {
        "/a": 2,
        "/b": 2,
        "/ea": 0,
        "/eb": 0,
    }
    assert job.stats.download_bytes == 4


def test_datums_are_listed_without_a_job(pachd, client, sales, shops):
    def dry(**given):
        found = client.pps.list_datum(input=pps.Input(**given))
        return sorted([f.file.path for f in datum.data] for datum in found)

    one = pps.Input(pfs=pps.PfsInput(repo=sales.name, glob="/(*)-may.csv", join_on="$1"))
    two = pps.Input(pfs=pps.PfsInput(repo=shops.name, glob="/(*).json", join_on="$1"))
    assert dry(join=[one, two]) == [["/north-may.csv", "/north.json"]]
    assert dry(union=[one, two]) == [["/north-may.csv"], ["/north.json"], ["/south-may.csv"], ["/west.json"]]
    first = next(iter(client.pfs.list_commit(repo=sales)))
    assert dry(pfs=pps.PfsInput(repo=sales.name, glob="/s*", commit=first.commit.id)) == [["/south-may.csv"]]
    code, text = refused(client.pps.list_datum, input=pps.Input(cron=pps.CronInput(name="c", spec="@daily")))
    assert (code, "cron" in text) == ("UNKNOWN", True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda a, _: {"cross": [leaf(a, "/", "x"), leaf(a, "/*", "x")]}, "used more than once"),
        (lambda a, b: {"cross": [leaf(a, "/", "x")], "union": [leaf(b, "/", "y")]}, "multiple input types set"),
        (lambda a, _: {"cross": [leaf(a, "/", "x"), {}]}, "no input set"),
        (lambda a, _: {"cross": [leaf(a, "/", "x"), leaf(a, "/", "out")]}, "'out' is not allowed"),
        (lambda a, _: {"join": [leaf(a, "", "x")]}, "must specify a glob"),
        (
            lambda a, _: {"cross": [leaf(a, "/", "x"), leaf(a, "/", "y", branch="dev")]},
            "multiple branches from the same",
        ),
    ],
)
def test_an_input_of_which_nothing_can_be_made_is_refused(pachd, sales, shops, given, says):
    code, text = refused(create, pachd, given(sales, shops))
    assert (code, says in text, "\n" in text) == ("UNKNOWN", True, False), text


def test_a_repo_that_is_gone_leaves_its_jobs_unrunnable(pachd):
    left, right = pachd.repo(), pachd.repo()
    pachd.put(left, {"/a": b"1"})
    commit = pachd.client.pfs.start_commit(branch=pfs.Branch(repo=right, name="master"))
    pipeline = create(pachd, {"cross": [leaf(left, "/*", "l"), leaf(right, "/*", "r")]})
    job = pachd.job(pipeline, wait=False)
    pachd.client.pfs.delete_repo(repo=right, force=True)
    job = pachd.client.pps.inspect_job(job=job.job, wait=True)
    assert (state(job), "was deleted" in job.reason) == ("JOB_UNRUNNABLE", True)
    assert not pachd.client.pfs.commit_exists(commit)


def test_a_joined_job_goes_on_after_a_kill(own_pachd, tmp_path):
    server = own_pachd("--workers", "1")
    left, right = server.repo("l"), server.repo("r")
    server.put(left, {f"/{n}-x": b"1" for n in range(4)})
    server.put(right, {f"/{n}": b"2" for n in range(4)})
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    arms = [leaf(left, "/(*)-x", "l", joinOn="$1"), leaf(right, "/(*)", "r", joinOn="$1")]
    script = f"echo $PACH_DATUM_ID >> {runs}; [ $(wc -l < {runs}) -ne 3 ] || [ -e {gate} ] || sleep 600; {SHOW}"
    pipeline = create(server, {"join": arms}, name="joined", script=script)
    eventually(lambda: runs.exists() and len(runs.read_text().splitlines()) == 3)
    server.end(signal.SIGKILL)
    gate.touch()
    server = own_pachd("--workers", "1")
    job = server.job(pipeline)
    assert (state(job), counts(job), job.restart) == ("JOB_SUCCESS", (4, 0, 4), 1)
    # Two were done and stay done; the third began twice.
    ran = runs.read_text().split()
    assert sorted(ran.count(datum) for datum in set(ran)) == [1, 1, 1, 2]
    assert len(seen(server, pipeline)) == 4
