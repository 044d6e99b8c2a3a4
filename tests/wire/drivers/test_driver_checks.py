"""Checks over the embedded pachd: rows of tables, copies on both sides, a report in the commit."""

from __future__ import annotations

import itertools
import json

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.reconcile.datapipeline import wishes

from .conftest import ROOT, eventually

NUMBERS = itertools.count()
STORY = " ".join(f"word{n} says something about thing {n * 7 % 31}" for n in range(60))
TRAIN = {
    "sport/1.txt": STORY.encode(),
    "sport/2.txt": b"a text of its own, about a match that was lost",
    "rows/prices.csv": b"price,name\n1,a\n-2,b\n,c\n4.5,d\n",
}
TEST = {
    "sport/7.txt": f"{STORY} And one more sentence.".encode(),
    "sport/8.txt": b"a text of its own, about a match that was lost",
    "sport/9.txt": b"nothing that the other side has ever heard of",
    "rows/prices.csv": b"price,name\n7,e\n",
}
CHECKS = [
    {"name": "priced", "field": "columns.price", "notNull": ["columns.price"], "range": {"min": 0}},
    {"name": "no-leak", "duplicates": {"near": 0.7}, "onFail": "warn"},
]
SPEC = DataPipelineSpec.model_validate({"steps": [{"name": "validate", "uses": "checks"}], "checks": CHECKS})


@pytest.fixture
def seen(pachd, shared):
    """Both sides, checked; the SDK and the owner with them."""
    engine = PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines", file_root=shared)
    number = next(NUMBERS)
    owner = Key("DataPipeline", "default", f"checked{number}")
    programs = engine.look(owner, SPEC).programs
    for side, files in {Side.TRAIN: TRAIN, Side.TEST: TEST}.items():
        folder = shared / f"checked{number}-{side}"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        engine.ingest(owner, side, "k1", folder)
        for wish in wishes(SPEC, programs):
            engine.ensure_step(owner, side, wish, wish.reads)
    found = eventually(lambda: engine.look(owner, SPEC), lambda s: len(s.manifests) == len(Side))
    return found, Client.from_pachd_address(pachd.address)


def test_checks_over_both_sides(seen):
    found, sdk = seen
    by_side = {step.side: step for step in found.steps}
    report = by_side[Side.TRAIN].report
    assert dict(report.rejected) == {"priced": 2}
    assert report.items == 4  # two rows and two texts
    assert found.overlap is not None
    assert (found.overlap.items, found.overlap.same, found.overlap.near) == (4, 1, 1)
    assert {(t.item, t.other) for t in found.overlap.examples} == {
        ("/sport/8.txt", "/sport/2.txt"),
        ("/sport/7.txt", "/sport/1.txt"),
    }
    assert report.fields["columns.price"]["values"] == {"1": 1, "4.5": 1}
    assert report.fields["label"]["values"] == {"rows": 2, "sport": 2}
    made = found.manifests[0]
    commit = pfs.Commit(repo=pfs.Repo.from_uri(made.repo), id=made.commit)
    table = sdk.pfs.pfs_file(pfs.File(commit=commit, path="/rows/prices.csv")).read()
    assert table == b"price,name\n1,a\n4.5,d\n"
    notes = [f.file.path for f in sdk.pfs.list_file(file=pfs.File(commit=commit, path="/_reports"))]
    assert sorted(path.rpartition(".")[2] for path in notes) == ["html", "html", "json", "json"]
    for path in notes:
        content = sdk.pfs.pfs_file(pfs.File(commit=commit, path=path)).read()
        assert json.loads(content)["step"] == "validate" if path.endswith("json") else content.startswith(b"<!doctype")
