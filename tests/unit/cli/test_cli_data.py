"""`cdl data`: which versions are known and by whom; what cannot be meant is one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cdl.api.v1alpha1 import DataPipeline, Release
from cdl.api.v1alpha1.datapipeline import Dataset, LabelStatus, SideStatus
from cdl.api.v1alpha1.resource import Event
from cdl.cli import main
from cdl.local import LocalStore
from cdl.testing.builders import pipeline_document, release_document

NOW, BEFORE, LOST = ("sha256:" + digits * 32 for digits in ("aa", "ab", "cd"))


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(*words):
    answer = cdl(*words)
    assert answer.exit_code == 1, answer.output
    assert answer.stderr.count("\n") == 1
    return answer.stderr


def places(commit):
    return {side: {"repo": f"news-clean-{side}", "commit": commit} for side in ("train", "test")}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A dataset of three versions: one it has now, one that two Releases pin, one that only its history names."""
    for name in ("CDL_PACHD", "CDL_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    store = LocalStore(tmp_path / "home" / "resources.db")
    store.create(DataPipeline.read(pipeline_document("news")))
    kept = store.get(DataPipeline, "default", "news")
    sides = {side: SideStatus(repo=f"news-clean-{side}", commit="c3", files=2) for side in ("train", "test")}
    status = kept.status.model_copy(
        update={
            "dataset": Dataset(version=NOW, **sides, labels=LabelStatus(snapshot=LOST, rows=4), transform=LOST),
            "history": tuple(
                Event(at=datetime(2026, 1, day, tzinfo=UTC), what="dataset", digest=version)
                for day, version in ((1, LOST), (2, BEFORE), (3, NOW))
            ),
        }
    )
    store.write_status(kept.key, status, kept.metadata.resource_version)
    for version in (2, 1):
        members = {"data": {"pipeline": "news", "version": BEFORE, **places("c2")}, "labels": {"rows": 3}}
        store.create(Release.read(release_document("news", version, **members)))
    yield tmp_path
    store.close()


def test_every_version_is_listed_with_who_pins_it(home):
    found = json.loads(said("data", "list", "-o", "json"))
    assert [v["version"] for v in found] == [NOW, BEFORE, LOST]
    assert [v["current"] for v in found] == [True, False, False]
    assert found[1]["releases"] == ["news-1", "news-2"]
    assert (found[1]["train"], found[1]["rows"]) == ({"repo": "news-clean-train", "commit": "c2"}, 3)
    assert found[2]["train"] is None
    assert found[0]["at"] == "2026-01-03T00:00:00Z"


def test_the_table_names_releases_and_commits(home):
    lines = said("data", "list", "news").splitlines()
    assert lines[0].split() == ["DATASET", "VERSION", "NOW", "AGE", "LABELS", "TRAIN", "TEST", "RELEASES"]
    assert lines[1].split()[:3] == ["news", "aa" * 6, "yes"]
    assert lines[2].endswith("news-1, news-2")


def test_nothing_known_says_what_makes_some(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    assert said("data", "list") == "no dataset version is known; `cdl run FOLDER` makes one\n"
    assert json.loads(said("data", "list", "-o", "json")) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("news@", "allowed is NAME or NAME@VERSION"),
        ("@abcd", "allowed is NAME or NAME@VERSION"),
        ("sport", "there is no version of such a dataset; datasets: news"),
        ("news@ffff", f"found no such version, allowed: at least 4 digits of one of {'aa' * 6}, {'ab' * 6}"),
        ("news@ab", "found no such version"),
        ("news@news-9", "or a Release that pins one"),
    ],
)
@pytest.mark.parametrize("verb", ["show", "export", "diff"])
def test_what_cannot_be_meant_is_one_sentence(home, verb, name, sentence):
    more = {"show": [], "export": [home / "new"], "diff": ["news"]}[verb]
    assert sentence in refused("data", verb, name, *more)


@pytest.mark.parametrize("name", ["news", f"news@{NOW}", "news@abab", "news@news-1", f"news@{BEFORE[7:15]}"])
def test_files_need_the_data_engine(home, name):
    assert "the data engine, which was not asked: not running: " in refused("data", "show", name)


def test_a_version_that_only_the_history_names_has_no_commits(home, monkeypatch):
    monkeypatch.setenv("CDL_PACHD", "grpc://127.0.0.1:9")
    assert "nobody remembers its commits" in refused("data", "show", f"news@{LOST}")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("there", "is there already"),
        ("there.tar", "is there already"),
        ("nowhere/new", "there is no folder"),
        ("new.zip", "found .zip, allowed: a folder, .tar, .jsonl or .parquet"),
        ("new.parquet", "writing Parquet needs pyarrow, which is not installed; new.jsonl needs nothing"),
    ],
)
def test_a_target_that_cannot_be_is_refused_first(home, target, sentence):
    (home / "there").mkdir()
    (home / "there" / "mine").write_text("kept")
    (home / "there.tar").write_text("kept")
    before = sorted(home.rglob("*"))
    assert sentence in refused("data", "export", "news", home / target)
    assert sorted(home.rglob("*")) == before


def test_deleting_data_that_releases_pin_names_them(home):
    assert "news-1, news-2 were made from commits of its repositories" in refused("delete", "datapipeline", "news")
    assert json.loads(said("data", "list", "-o", "json"))[0]["version"] == NOW
