"""Pipelines that people wrote themselves, at the embedded pachd, through the driver."""

from __future__ import annotations

import itertools
import json

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.engines.pachyderm.raw import PachydermRaw
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import RawWish
from cdl.testing.builders import owner
from cdl.testing.raw_contract import RawPipelinesContract, wish

from .conftest import eventually

NUMBERS = itertools.count(1)


def filled(sdk):
    repo = pfs.Repo(name=f"raw-input-{next(NUMBERS)}", type="user", project=pfs.Project(name="default"))
    sdk.pfs.create_repo(repo=repo)
    write(sdk, repo, "a.txt")
    return repo


def write(sdk, repo, name):
    with sdk.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
        commit.put_file_from_bytes(path=f"/{name}", data=b"words")


def settled(engine, key):
    return eventually(lambda: engine.look(key), lambda seen: all(raw.done or raw.failure for raw in seen))


@pytest.fixture
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture
def engine(pachd):
    return PachydermRaw(pachd.address)


class TestPachydermRaw(RawPipelinesContract):
    @pytest.fixture(autouse=True)
    def _sdk(self, sdk):
        self.sdk = sdk

    @pytest.fixture
    def engine(self, pachd):
        return PachydermRaw(pachd.address)

    def repo(self, engine):
        return filled(self.sdk).name

    def settle(self, engine, key):
        return settled(engine, key)


def test_an_old_spec_runs_as_it_is_and_keeps_its_own_notes(engine, sdk):
    key, repo = owner("DataPipeline"), filled(sdk)
    old = RawWish({
        "pipeline": {"name": f"{key.name}-old"},
        "metadata": {"annotations": {"team": "news"}},
        "transform": {"image": "cdl/steps:test", "cmd": ["sh", "-c", 'cp "$CDL_PFS_ROOT"/in/* "$CDL_PFS_ROOT"/out/']},
        "input": {"atom": {"repo": repo.name, "glob": "/*", "name": "in"}},
        "standby": True,
        "cache_size": "64M",
        "parallelism_spec": {"coefficient": 1},
    })  # fmt: skip
    engine.ensure(key, old)
    (seen,) = settled(engine, key)
    assert (seen.done, seen.reads, seen.job.processed) == (True, (repo.name,), 1)
    info = sdk.pps.inspect_pipeline(pipeline=pps.Pipeline(name=old.name, project=pfs.Project(name="default")))
    notes = json.loads(info.user_spec_json)["metadata"]["annotations"]
    assert (notes["team"], notes["cdl.dev/raw-owner"]) == ("news", f"default/{key.name}")


def test_new_data_runs_it_again(engine, sdk):
    key, repo = owner("DataPipeline"), filled(sdk)
    engine.ensure(key, wish(f"{key.name}-list", repo.name))
    (before,) = settled(engine, key)
    write(sdk, repo, "b.txt")
    (after,) = eventually(lambda: engine.look(key), lambda seen: seen[0].done and seen[0].job.id != before.job.id)
    assert after.wish == before.wish


def test_what_nobodys_datapipeline_made_is_not_taken_over(engine, sdk):
    key, repo = owner("DataPipeline"), filled(sdk)
    by_hand = wish(f"{key.name}-hand", repo.name)
    sdk.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(by_hand.spec))
    with pytest.raises(Rejected, match=f"pipeline {by_hand.name}: one of that name exists and no DataPipeline made it"):
        engine.ensure(key, by_hand)


def test_only_another_transform_processes_everything_again(engine, sdk):
    key, repo = owner("DataPipeline"), filled(sdk)
    name = f"{key.name}-list"
    engine.ensure(key, wish(name, repo.name))
    settled(engine, key)
    counts = []
    for changed in (
        wish(name, repo.name, description="the same program"),
        wish(name, repo.name, "true"),
        wish(name, repo.name, "sh", "-c", "true", reprocess=False),
    ):
        engine.ensure(key, changed)
        (seen,) = eventually(
            lambda: engine.look(key), lambda found, w=changed: found[0].done and found[0].wish == w.digest
        )
        counts.append((seen.job.processed, seen.job.skipped))
    assert counts == [(0, 1), (1, 0), (0, 1)]
