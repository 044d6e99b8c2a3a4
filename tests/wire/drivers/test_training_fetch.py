"""Fetching a dataset version for a trial: verified, taken up again where it broke off, told how far it is."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import pytest

from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.testing.builders import folder, owner
from cdl.training import Dataset, TrainingError
from cdl.training.cache import record_of
from cdl.training.data import fetch_version

from .conftest import ROOT

NUMBERS = itertools.count(1)
FILES = {f"{label}/{n:03}.txt": f"{label} {n}" for label in ("sport", "tech") for n in range(40)} | {"empty.txt": ""}


def tree(place):
    return {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*") if p.is_file()}


@pytest.fixture
def committed(pachd, tmp_path):
    """Make a commit of files."""

    def make(files) -> Dataset:
        engine = PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
        key = owner("DataPipeline", f"fetched{next(NUMBERS)}")
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, files))
        side = next(s for s in engine.look(key, DataPipelineSpec()).sides if s.side is Side.TRAIN)
        return Dataset("127.0.0.1", pachd.port, "default", side.repo, side.head)

    return make


def test_a_version_is_fetched_and_noted(committed, tmp_path, capfd):
    version = committed(FILES)
    found = fetch_version(version, tmp_path / "cache")
    assert tree(found) == FILES
    assert record_of(found).is_file()
    assert f"{len(FILES)} files" in capfd.readouterr().err
    assert fetch_version(version, tmp_path / "cache") == found
    assert capfd.readouterr().err == ""


def test_a_download_goes_on_where_another_ended(committed, tmp_path, capfd):
    version = committed(FILES)
    partial = tmp_path / "cache" / version.key.with_name(f".partial-{version.commit}")
    left = {"empty.txt": "", "sport/000.txt": "SPORT 0", "sport/001.txt": "half", "stray.txt": "nobody's"}
    for path, text in left.items():
        (partial / path).parent.mkdir(parents=True, exist_ok=True)
        (partial / path).write_text(text)
    found = tree(fetch_version(version, tmp_path / "cache"))
    # of the right size, so it had arrived: whoever wrote it into the cache of somebody else meant to
    assert found.pop("sport/000.txt") == "SPORT 0"
    assert found == {path: text for path, text in FILES.items() if path != "sport/000.txt"}
    assert f"{len(FILES) - 2} files" in capfd.readouterr().err
    assert not partial.exists()


def test_a_killed_trial_leaves_what_arrived_to_the_next(committed, tmp_path):
    version = committed({f"{n:04}.bin": "x" * 200_000 for n in range(300)})
    ask = f"from cdl.training.data import *; fetch_version({version!r}, Path({str(tmp_path / 'cache')!r}))"
    trial = subprocess.Popen([sys.executable, "-c", ask], stderr=subprocess.DEVNULL)
    partial = tmp_path / "cache" / version.key.with_name(f".partial-{version.commit}")
    deadline = time.monotonic() + 60
    while trial.poll() is None and time.monotonic() < deadline:
        if partial.is_dir() and len(list(partial.iterdir())) >= 5:
            break
        time.sleep(0.001)
    trial.kill()
    trial.wait(60)
    kept = {p.name: p.stat().st_ino for p in partial.iterdir()} if partial.is_dir() else {}
    found = fetch_version(version, tmp_path / "cache")
    assert len(list(found.iterdir())) == 300
    assert {name: (found / name).stat().st_ino for name in kept} == kept
    assert not [p for p in found.parent.iterdir() if "partial" in p.name]


@pytest.mark.parametrize(
    ("harm", "check", "told"),
    [
        (lambda place: (place / "tech/001.txt").unlink(), "sizes", "tech/001.txt is gone"),
        (lambda place: (place / "tech/001.txt").write_text("longer than it was"), "sizes", "tech/001.txt was changed"),
        (lambda place: (place / "mine.txt").write_text("x"), "sizes", "mine.txt was put there"),
        (lambda place: (place / "tech/001.txt").write_text("TECH 1"), "contents", "tech/001.txt was changed"),
    ],
)
def test_a_cache_that_changed_is_fetched_again(committed, tmp_path, monkeypatch, capfd, harm, check, told):
    monkeypatch.setenv("CDL_CACHE_CHECK", check)
    version = committed(FILES)
    harm(fetch_version(version, tmp_path / "cache"))
    assert tree(fetch_version(version, tmp_path / "cache")) == FILES
    assert f"is fetched again: in the cache {told}" in capfd.readouterr().err


def test_a_word_that_means_no_check_is_refused(committed, tmp_path, monkeypatch):
    version = committed(FILES)
    fetch_version(version, tmp_path / "cache")
    monkeypatch.setitem(os.environ, "CDL_CACHE_CHECK", "never")
    with pytest.raises(TrainingError, match="CDL_CACHE_CHECK is 'never', allowed is sizes or contents"):
        fetch_version(version, tmp_path / "cache")


def test_a_cache_of_before_is_taken_as_it_is(committed, tmp_path):
    version = committed(FILES)
    found = fetch_version(version, tmp_path / "cache")
    record_of(found).unlink()
    (found / "mine.txt").write_text("x")
    assert (fetch_version(version, tmp_path / "cache") / "mine.txt").is_file()
