"""What a Release names is found again at the embedded pachd, whatever became of the pipelines since."""

from __future__ import annotations

import itertools

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.reconcile.datapipeline import wishes
from cdl.testing.builders import folder

from .conftest import ROOT, eventually

NUMBERS = itertools.count()
FILES = {"pictures/1.png": "a cat", "pictures/2.png": "a dog", "pictures-labels.csv": "1,cat\n2,dog\n"}
BY_FILE = Labels.model_validate({"from": "file", "path": "*-labels.csv"})


@pytest.fixture
def engine(pachd):
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")


@pytest.fixture
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture
def owner():
    return Key("DataPipeline", "default", f"history{next(NUMBERS)}")


def made(engine, owner, spec):
    """Let every step of a spec run over the train side, and give the result."""
    for wish in wishes(spec, engine.look(owner, spec).programs):
        engine.ensure_step(owner, Side.TRAIN, wish, wish.reads)
    return eventually(lambda: engine.look(owner, spec).manifests, bool)[0]


STEP = {
    "name": "copy",
    "image": "cdl/steps:test",
    "cmd": ["sh", "-c", 'cp -r "$CDL_PFS_ROOT"/in/. "$CDL_PFS_ROOT"/out/'],
}
COPIED = DataPipelineSpec.model_validate({"steps": [STEP], "labels": {"from": "file", "path": "*-labels.csv"}})


def test_label_files_are_counted_as_a_look_counts_them(engine, owner, tmp_path):
    engine.ingest(owner, Side.TRAIN, "one", folder(tmp_path, FILES))
    last = made(engine, owner, COPIED)
    found = engine.evidence(last.repo, last.commit, BY_FILE)
    assert (found.digest, found.labels, found.rows) == (last.digest, last.label_digest, last.label_rows)
    assert engine.evidence(last.repo, last.commit, Labels()).labels != last.label_digest


def test_an_edited_label_file_is_another_snapshot_of_as_many_rows(engine, owner, tmp_path):
    engine.ingest(owner, Side.TRAIN, "one", folder(tmp_path, FILES))
    before = made(engine, owner, COPIED)
    engine.ingest(owner, Side.TRAIN, "two", folder(tmp_path, FILES | {"pictures-labels.csv": "1,cat\n2,cat\n"}))
    after = eventually(lambda: engine.look(owner, COPIED).manifests, lambda m: m and m[0].commit != before.commit)[0]
    found = [engine.evidence(m.repo, m.commit, BY_FILE) for m in (before, after)]
    assert found[0].labels != found[1].labels
    assert found[0].rows == found[1].rows


def test_who_made_a_commit_is_not_known_once_its_pipeline_is_gone(engine, sdk, owner, tmp_path):
    engine.ingest(owner, Side.TRAIN, "one", folder(tmp_path, FILES))
    last = made(engine, owner, COPIED)
    handle = pps.Pipeline(project=pfs.Project(name="default"), name=last.repo)
    sdk.pps.delete_pipeline(pipeline=handle, keep_repo=True)
    found = engine.evidence(last.repo, last.commit, BY_FILE)
    assert (found.digest, found.programs) == (last.digest, None)


def test_more_workers_leave_the_program_what_it_was(engine, owner, tmp_path):
    engine.ingest(owner, Side.TRAIN, "one", folder(tmp_path, FILES))
    last = made(engine, owner, COPIED)
    before = engine.evidence(last.repo, last.commit, BY_FILE)
    wider = DataPipelineSpec.model_validate({"steps": [STEP | {"parallelism": 2}]})
    (wish,) = wishes(wider, {})
    engine.ensure_step(owner, Side.TRAIN, wish, "")
    assert engine.evidence(last.repo, last.commit, BY_FILE) == before
    assert before.programs == (wish.program,)
