"""`cdl diff`: two Releases by whatever name, compared by what was kept of them."""

from __future__ import annotations

import hashlib
import json

import pytest
from click.testing import CliRunner

from cdl.api.canonical import canonical, digest
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.cli import main
from cdl.local import LocalStore
from cdl.reconcile.release.diff import ReleaseDiff
from cdl.stores.artifacts import DirectoryArtifacts, pack
from cdl.testing.builders import deployment_document, folder, release_document

OLD = {"train.py": "rate = 0.1\n", "words.py": "KNOWN = ()\n"}
NEW = {"train.py": "rate = 0.1\nepochs = 3\n", "words.py": "KNOWN = ()\n", "more.py": "MORE = 1\n"}


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.output


class Shop:
    """Two Releases of a model, and a deployment that serves the second."""

    def __init__(self, home, place):
        self.artifacts, self.place = DirectoryArtifacts(home / "artifacts"), place
        self.store = LocalStore(home / "resources.db")
        self.release(1, OLD, rate=0.1, right="1100")
        self.release(2, NEW, rate=0.2, right="1111")
        self.store.create(ModelDeployment.read(deployment_document("shop", model={"name": "news"})))
        shop = self.store.get(ModelDeployment, "default", "shop")
        served = shop.status.model_copy(update={"release": "news-2"})
        self.store.write_status(shop.key, served, shop.metadata.resource_version)

    def release(self, version, files, *, rate, right):
        content = pack(folder(self.place, files))
        model = {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        model["uri"] = self.artifacts.keep(content, ".tar.gz")
        accuracy = right.count("1") / len(right)
        self.store.create(
            Release.read(
                release_document(
                    "news",
                    version,
                    git={"commit": f"{version}" * 40},
                    code={"model": model, "serve": None},
                    data={s: {"repo": f"news-{s}", "commit": "c1"} for s in ("train", "test")},
                    experiment={"hparams": {"rate": rate}, "config": self.kept({"hyperparameters": {"rate": rate}})},
                    evaluation={
                        "metrics": {"accuracy": accuracy},
                        "report": self.kept({"metrics": {"accuracy": accuracy}, "n": 4, "correct": right}),
                    },
                    environment={"python": "3.11", "lock": self.kept({"python": "3.11", "packages": {}})},
                )
            )
        )

    def kept(self, document):
        return {"digest": digest(document), "uri": self.artifacts.keep(canonical(document), ".json")}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    made = Shop(tmp_path / "home", tmp_path)
    yield made
    made.store.close()


def test_code_configuration_and_figures_are_told(shop):
    told = said("diff", "news-1", "news-2")
    for part in (
        "differs: git, code, experiment, evaluation",
        "more.py   added    +1       -0",
        "train.py  changed  +1       -0",
        "hyperparameters.rate  0.1 -> 0.2",
        "accuracy  0.5  1  +0.5        may be chance (p = 0.5, McNemar, exact:",
    ):
        assert part in told, told
    assert "words.py" not in told


def test_full_shows_the_lines(shop):
    assert "+epochs = 3" not in said("diff", "news-1", "news-2")
    assert "--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n rate = 0.1\n+epochs = 3\n" in said(
        "diff", "news-1", "news-2", "--full"
    )


def test_json_is_the_whole_of_it(shop):
    told = said("diff", "news-1", "news-2", "-o", "json")
    assert json.loads(told)["schema"] == "cdl.dev/diff/v1"
    found = ReleaseDiff.model_validate_json(told)
    assert (found.a.name, found.b.name, found.same) == ("news-1", "news-2", False)
    assert [f.path for f in found.code[0].files] == ["more.py", "train.py"]


@pytest.mark.parametrize("name", ["news-2", "news@2", "shop"])
def test_a_release_has_three_names(shop, name):
    assert ReleaseDiff.model_validate_json(said("diff", "news-1", name, "-o", "json")).b.name == "news-2"
    assert said("diff", "news-2", name).endswith("the same release\n")


def test_what_is_not_there_is_one_sentence(shop):
    answer = cdl("diff", "news-1", "news@7")
    assert answer.exit_code == 1
    assert answer.stderr == (
        "Error: news@7: found no such Release, model@version or ModelDeployment; releases: news-1, news-2\n"
    )


def test_a_deployment_that_serves_nothing_is_one_sentence(shop):
    shop.store.create(ModelDeployment.read(deployment_document("idle")))
    assert cdl("diff", "idle", "news-1").stderr == (
        "Error: ModelDeployment idle serves nothing yet; `cdl describe modeldeployment idle` says why\n"
    )


def test_what_was_taken_away_is_said_and_the_rest_is_compared(shop, tmp_path):
    for path in (tmp_path / "home" / "artifacts").glob("*.tar.gz"):
        path.unlink()
    told = said("diff", "news-1", "news-2")
    assert "code model: news-1: artifact file://" in told
    assert "there is no such file" in told
    assert "hyperparameters.rate" in told


def test_an_archive_that_was_tampered_with_is_not_read(shop, tmp_path):
    for path in (tmp_path / "home" / "artifacts").glob("*.tar.gz"):
        path.chmod(0o644)
        path.write_bytes(b"something else")
    told = said("diff", "news-1", "news-2")
    assert "has sha256" in told
    assert "train.py" not in told
