"""`cdl verify` over a local store and its files, where no engine runs."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess

import pytest
from click.testing import CliRunner

from cdl.api.canonical import canonical, digest
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.cli import main
from cdl.local import LocalStore
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.testing.builders import deployment_document, release_document

FILES = {"weights.h5": b"weights", "metadata.json": b"{}"}


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def kept(home, document):
    return {
        "digest": digest(document),
        "uri": DirectoryArtifacts(home / "artifacts").keep(canonical(document), ".json"),
    }


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoints" / "c-1"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def store(home, checkpoint):
    """Two Releases with the same stored files, the first of them served."""
    home.mkdir()
    store = LocalStore(home / "resources.db")
    for version in (1, 2):
        document = release_document(
            "news",
            version,
            git={"commit": "0" * 40},
            code={"model": kept(home, "model"), "serve": None},
            experiment={"run": "1", "config": kept(home, {"searcher": {}})},
            checkpoint={
                "uuid": "c-1",
                "uri": checkpoint.as_uri(),
                "files": {name: f"sha256:{sha(content)}" for name, content in FILES.items()},
            },
            evaluation={"run": "2", "report": kept(home, {"metrics": {}})},
            environment={"lock": kept(home, {"packages": {}})},
        )
        store.create(Release.read(document))
    served = store.create(ModelDeployment.read(deployment_document("shop", model={"name": "news"})))
    status = served.status.model_copy(update={"release": "news-1"})
    store.write_status(served.key, status, served.metadata.resource_version)
    yield store
    store.close()


def cdl(*words):
    return CliRunner().invoke(main, ["verify", *map(str, words)])


def judged(*words):
    answer = cdl(*words, "-o", "json")
    assert isinstance(answer.exception, SystemExit | None), answer.exception
    return answer.exit_code, json.loads(answer.stdout)


def states(one):
    return {f"{f['member']} {f['path']}".strip(): f["state"] for f in one["findings"]}


@pytest.mark.usefixtures("store")
def test_stored_files_are_enough_where_no_engine_is_asked():
    code, (one,) = judged("news-1", "--offline")
    assert (code, one["state"]) == (0, "intact")
    assert {what for what, state in states(one).items() if state == "intact"} == {
        "release digest",
        "code model",
        "experiment config",
        "checkpoint weights.h5",
        "checkpoint metadata.json",
        "evaluation report",
        "environment lock",
    }
    assert set(states(one).values()) == {"intact", "unasked"}


@pytest.mark.usefixtures("store")
def test_engines_that_do_not_run_are_unreachable_and_nothing_is_said_to_be_lost():
    code, (one,) = judged("news-1")
    assert (code, one["state"]) == (3, "unreachable")
    (engine,) = {f["sentence"] for f in one["findings"] if (f["member"], f["path"]) == ("checkpoint", "engine")}
    assert engine.startswith("checkpoint engine is unreachable: not running: ")
    assert "missing" not in states(one).values()


@pytest.mark.usefixtures("store")
def test_what_is_broken_outranks_who_does_not_answer(checkpoint):
    (checkpoint / "weights.h5").write_bytes(b"other weights")
    code, (one,) = judged("news-1")
    assert (code, one["state"]) == (1, "changed")
    assert states(one)["checkpoint weights.h5"] == "changed"


@pytest.mark.usefixtures("store")
def test_a_deployment_stands_for_what_it_serves_and_all_for_everything():
    assert [one["release"] for one in judged("shop", "--offline")[1]] == ["news-1"]
    assert [one["release"] for one in judged("--all", "--offline")[1]] == ["news-1", "news-2"]


@pytest.mark.usefixtures("store")
def test_the_table_ends_in_one_sentence_for_each_broken_part(checkpoint):
    (checkpoint / "weights.h5").unlink()
    answer = cdl("news-2", "--offline")
    assert answer.exit_code == 1
    lines = answer.stdout.splitlines()
    assert f"checkpoint weights.h5 is missing: expected sha256:{sha(b'weights')[:12]}…" in lines
    assert any(line.split() == ["code", "model", "intact", digest("model")] for line in lines)
    assert not any("weights.h5 is intact" in line for line in lines)
    assert "hashed metadata.json" in answer.stderr


@pytest.mark.usefixtures("store")
def test_a_checkpoint_whose_storage_is_not_here_is_unreachable_not_lost(checkpoint):
    checkpoint.parent.rename(checkpoint.parent.with_name("unmounted"))
    code, (one,) = judged("news-1", "--offline")
    assert code == 3
    assert states(one)["checkpoint weights.h5"] == "unreachable"


def test_a_release_whose_text_was_changed_is_named_itself(store, home):
    with sqlite3.connect(home / "resources.db") as db:
        ((text,),) = db.execute("SELECT document FROM resource WHERE name = 'news-1'").fetchall()
        edited = json.loads(text)
        edited["spec"]["members"]["checkpoint"]["uuid"] = "c-2"
        db.execute("UPDATE resource SET document = ? WHERE name = 'news-1'", (json.dumps(edited),))
    db.close()
    assert len(store.list(Release)) == 1
    code, all_of_them = judged("--all", "--offline")
    assert (code, [one["state"] for one in all_of_them]) == (1, ["changed", "intact"])
    assert states(all_of_them[0]) == {"release digest": "changed"}
    assert "the members hash to" in all_of_them[0]["findings"][0]["sentence"]


@pytest.mark.usefixtures("store")
def test_the_repository_around_us_is_asked_only_for_what_it_knows(tmp_path):
    def commit():
        (one,) = judged("news-1", "--offline")[1]
        return next(f for f in one["findings"] if f["member"] == "git")

    assert "no git repository is at hand" in commit()["sentence"]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert "never heard of it" in commit()["sentence"]
    code, (one,) = judged("news-1", "--offline", "--git", tmp_path)
    assert (code, states(one)["git commit"]) == (1, "missing")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "found no NAME, allowed: a NAME, or --all"),
        (["news-1", "--all"], "found a NAME and --all, allowed: a NAME, or --all"),
        (
            ["news-9", "--offline"],
            "news-9: found no such Release, model@version or ModelDeployment; releases: news-1, news-2",
        ),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_cannot_be_verified_is_said_in_one_sentence(words, said):
    answer = cdl(*words)
    assert answer.exit_code == 1
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
