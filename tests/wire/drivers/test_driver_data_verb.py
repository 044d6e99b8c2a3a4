"""`cdl data` against the embedded pachd: files by digest, differences, and a way out that is whole or not there."""

from __future__ import annotations

import itertools
import json
import tarfile

import pytest
from click.testing import CliRunner

from cdl.api.meta import Key
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.cli import main
from cdl.engines.pachyderm import PachydermEngine
from cdl.local import LocalStore
from cdl.testing.builders import folder, owner, release_document

from .conftest import ROOT

NUMBERS = itertools.count(1)
OLD = {"sport/1.txt": "the cup", "tech/1.txt": "a phone", "tech/2.txt": "a chip"}
NEW = {"sport/1.txt": "the cup", "sport/3.txt": "a chip", "tech/1.txt": "another phone", "tech/4.txt": "news"}


def said(*words):
    answer = CliRunner().invoke(main, [str(word) for word in words])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(*words):
    answer = CliRunner().invoke(main, [str(word) for word in words])
    assert answer.exit_code == 1, answer.output
    return answer.stderr


@pytest.fixture
def two(pachd, tmp_path, monkeypatch):
    """Two Releases of two versions of a dataset, whose commits the embedded pachd has."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDL_PACHD", pachd.address)
    monkeypatch.delenv("CDL_KUBECONFIG", raising=False)
    (tmp_path / "home").mkdir()
    engine = PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
    key = owner("DataPipeline", f"set{next(NUMBERS)}")
    store = LocalStore(tmp_path / "home" / "resources.db")
    for version, files in ((1, OLD), (2, NEW)):
        engine.ingest(key, Side.TRAIN, f"k{version}", folder(tmp_path, files))
        engine.ingest(key, Side.TEST, f"k{version}", folder(tmp_path, {"sport/9.txt": "a goal"}))
        sides = {s.side: {"repo": s.repo, "commit": s.head} for s in engine.look(key, DataPipelineSpec()).sides}
        data = {"pipeline": key.name, "version": f"sha256:{version:064}", **sides}
        store.create(Release.read(release_document(key.name, version, data=data)))
    yield key.name
    store.close()


def tree(place):
    return {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*") if p.is_file()}


def test_show_names_every_file_with_its_digest(two):
    found = json.loads(said("data", "show", f"{two}@{two}-1", "-o", "json"))
    assert set(found["files"]["train"]) == {f"/{path}" for path in OLD}
    assert all(len(digest) == 64 for digest in found["files"]["train"].values())
    assert found["releases"] == [f"{two}-1"]
    table = said("data", "show", f"{two}@{two}-1")
    assert "train: 3 files in" in table
    assert "/tech/2.txt" in table


def test_diff_names_what_became_of_each_file(two):
    told = json.loads(said("data", "diff", f"{two}@{two}-1", f"{two}-2", "-o", "json"))
    train, test = told["sides"]
    assert (train["added"], train["removed"], train["changed"], train["relabelled"]) == (1, 0, 1, 1)
    assert (test["added"], test["removed"], test["changed"]) == (0, 0, 0)
    assert "/tech/2.txt: tech -> sport" in train["first"]
    text = said("data", "diff", f"{two}@{two}-1", f"{two}@{two}-2")
    assert "train: 1 added, 1 changed, 1 under another label" in text
    assert "test: the same files" in text
    assert "the same version" in said("data", "diff", f"{two}@{two}-1", f"{two}-1")


def test_a_folder_has_both_sides_and_says_what_it_is(two, tmp_path):
    assert "wrote 4 files" in said("data", "export", f"{two}@{two}-1", tmp_path / "out")
    found = tree(tmp_path / "out")
    record = json.loads(found.pop("dataset.json"))
    assert found == {f"train/{path}": text for path, text in OLD.items()} | {"test/sport/9.txt": "a goal"}
    assert record["version"] == f"sha256:{1:064}"
    assert set(record["files"]["test"]) == {"/sport/9.txt"}


def test_an_archive_is_the_same_bytes_each_time(two, tmp_path):
    for name in ("a.tar", "b.tar"):
        said("data", "export", f"{two}@{two}-2", tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == sorted(["dataset.json", "test/sport/9.txt", *(f"train/{p}" for p in NEW)])


def test_an_index_has_a_line_for_each_file(two, tmp_path):
    said("data", "export", f"{two}@{two}-1", tmp_path / "index.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "index.jsonl").read_text().splitlines()]
    assert [(r["side"], r["label"], r["path"]) for r in rows] == [
        ("train", "sport", "/sport/1.txt"),
        ("train", "tech", "/tech/1.txt"),
        ("train", "tech", "/tech/2.txt"),
        ("test", "sport", "/sport/9.txt"),
    ]


def test_a_commit_that_is_gone_leaves_nothing_behind(two, pachd, tmp_path):
    engine = PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
    engine.forget(Key("DataPipeline", "default", two))
    before = sorted(p for p in tmp_path.rglob("*") if "home" not in p.parts)
    assert "is not there any more" in refused("data", "export", f"{two}@{two}-1", tmp_path / "out")
    assert sorted(p for p in tmp_path.rglob("*") if "home" not in p.parts) == before


def test_an_engine_that_is_away_is_one_sentence(two, monkeypatch):
    monkeypatch.setenv("CDL_PACHD", "127.0.0.1:9")
    assert "pachd does not answer" in refused("data", "show", f"{two}@{two}-1")
