"""`cdl model`: what is pulled is whole and verified, or is not there; it loads with Python alone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cdl.api.canonical import canonical, digest
from cdl.api.v1alpha1 import Release
from cdl.cli import main
from cdl.local import LocalStore
from cdl.stores.artifacts import DirectoryArtifacts, pack
from cdl.testing.builders import folder, release_document

SERVE = """import words
class Model:
    def __init__(self, model_uri):
        self.place = model_uri
    def load(self):
        self.known = words.read(self.place)
    def predict(self, X, names):
        return [[float(text in self.known), 0.5] for text in X]
    def class_names(self):
        return ["known", "half"]
"""
WORDS = "def read(place):\n    return open(place + '/deep/weights.txt').read().split()\n"
LOCK = {"python": "3.11.9", "platform": "Linux x86_64", "packages": {"numpy": "2.4.6", "cdl": "0.1.0", "abc": "1+cpu"}}


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(*words):
    answer = cdl(*words)
    assert answer.exit_code == 1, answer.output
    return answer.stderr.strip().splitlines()[-1].removeprefix("Error: ")


class Shop:
    """Two versions of a model whose files lie where the platform would have them."""

    def __init__(self, place):
        self.home, self.place = place / "home", place
        self.home.mkdir()
        self.artifacts = DirectoryArtifacts(self.home / "artifacts")
        self.weights = folder(place / "checkpoint", {"deep/weights.txt": "goal shares", "metadata.json": "{}"})
        self.store = LocalStore(self.home / "resources.db")
        for version in (1, 2):
            self.store.create(Release.read(self.document(version)))

    def document(self, version, **members):
        model, serve = self.code("words.py", WORDS), self.code("serve.py", SERVE)
        files = {p: f"sha256:{hashlib.sha256((self.weights / p).read_bytes()).hexdigest()}" for p in self.files()}
        checkpoint = {"uuid": "c1", "uri": self.weights.as_uri(), "digest": digest(files), "files": files}
        said = {
            "code": {"model": model, "serve": serve | {"entrypoint": "serve:Model"}},
            "checkpoint": checkpoint,
            "evaluation": {"metrics": {"accuracy": 1 - 0.1 / version}, "report": self.kept({"n": 4})},
            "environment": {"python": "3.11.9", "lock": self.kept(LOCK)},
        }
        return release_document("news", version, **said | members)

    def files(self):
        return sorted(p.relative_to(self.weights).as_posix() for p in self.weights.rglob("*") if p.is_file())

    def code(self, name, text):
        place = self.place / name.removesuffix(".py")
        content = pack(place if place.exists() else folder(place, {name: text}))
        return {
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "uri": self.artifacts.keep(content, ".tar.gz"),
        }

    def kept(self, document):
        return {"digest": digest(document), "uri": self.artifacts.keep(canonical(document), ".json")}

    def left(self):
        """What lies where models are pulled to."""
        return sorted(p.name for p in (self.place / "to").iterdir())


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    made = Shop(tmp_path)
    (tmp_path / "to").mkdir()
    yield made
    made.store.close()


@pytest.fixture
def target(shop):
    return shop.place / "to" / "news"


def alone(place, *files):
    """Run what was pulled where there is neither cdl nor any package."""
    command = [sys.executable, "-I", "-S", str(place / "load.py"), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, env={}, cwd=place.parent, check=False)


def test_versions_are_listed_the_newest_first(shop):
    assert [r["metadata"]["name"] for r in json.loads(said("model", "list", "-o", "json"))] == ["news-2", "news-1"]
    assert "news@2" in said("model", "list", "news")
    assert refused("model", "list", "olds") == "model olds: has no version in namespace default, there are: news"


def test_a_version_is_shown_with_its_weights(shop):
    told = said("model", "show", "news@1")
    assert "deep/weights.txt" in told
    assert "pending by nobody yet" in told
    assert json.loads(said("model", "show", "news@1", "-o", "json"))["spec"]["version"] == 1
    assert refused("model", "show", "news@7").endswith("releases: news-1, news-2")


def test_what_differs_is_told_as_diff_tells_it(shop):
    assert said("model", "diff", "news@1", "news@2") == said("diff", "news-1", "news-2")


def test_what_is_pulled_loads_with_python_alone(shop, target):
    assert f"wrote news@1 to {target}" in said("model", "pull", "news@1", target)
    shutil.rmtree(shop.home)  # another machine has none of it
    shutil.rmtree(shop.weights)
    (shop.place / "x.txt").write_text("goal")
    answer = alone(target, shop.place / "x.txt")
    assert json.loads(answer.stdout) == {"file": "x.txt", "names": ["known", "half"], "answer": [[1.0, 0.5]]}
    before = {p: p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert alone(target).stdout == f"{len(before) - 1} files are what was pulled\n"
    assert {p: p.read_bytes() for p in target.rglob("*") if p.is_file()} == before


def test_what_lies_beside_says_with_what_and_how(shop, target):
    said("model", "pull", "news@1", target)
    lines = [line for line in (target / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["abc==1+cpu", "numpy==2.4.6"]
    readme = (target / "README.md").read_text()
    assert "NOT approved" in readme
    assert "Python 3.11.9" in readme
    assert "Nothing of cdl is needed" in readme
    assert json.loads((target / "documents" / "lock.json").read_text()) == LOCK
    assert json.loads((target / "release.json").read_text())["metadata"]["name"] == "news-1"
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target, capture_output=True, check=False)
    assert done.returncode == 0


def test_pulling_again_changes_nothing(shop, target):
    said("model", "pull", "news@1", target)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in target.rglob("*") if p.is_file()}
    assert "holds news@1 already" in said("model", "pull", "news@1", target)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in target.rglob("*") if p.is_file()} == before
    assert shop.left() == ["news"]


def test_a_folder_that_holds_something_else_is_refused(shop, target):
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    told = refused("model", "pull", "news@1", target)
    assert told == f"{target}: is not empty, allowed: a new folder, an empty one, or news@1 whole"
    assert (target / "mine.txt").read_text() == "mine"
    assert shop.left() == ["news"]


def test_another_version_is_something_else(shop, target):
    said("model", "pull", "news@1", target)
    assert "is not empty" in refused("model", "pull", "news@2", target)
    assert json.loads((target / "release.json").read_text())["metadata"]["name"] == "news-1"


def test_what_was_changed_since_is_named_and_not_loaded(shop, target):
    said("model", "pull", "news@1", target)
    (target / "code" / "serve" / "serve.py").write_text("raise SystemExit('mine')")
    assert "code/serve/serve.py is missing or has changed" in refused("model", "pull", "news@1", target)
    answer = alone(target, target / "README.md")
    assert answer.returncode == 1
    assert answer.stderr.startswith("code/serve/serve.py has changed: its sha256 is")


@pytest.mark.parametrize("which", ["weights", "code", "document"])
def test_nothing_is_put_in_place_of_what_has_changed(shop, target, which):
    members = shop.store.get(Release, "default", "news-1").spec.members
    place = {
        "weights": shop.weights / "deep" / "weights.txt",
        "code": Path(members["code"]["serve"]["uri"].removeprefix("file://")),
        "document": Path(members["evaluation"]["report"]["uri"].removeprefix("file://")),
    }[which]
    place.write_bytes(b"other")
    assert "has sha256" in refused("model", "pull", "news@1", target)
    assert not target.exists()


def test_an_interrupted_pull_is_gone_on_with(shop, target):
    partial = target.with_name(".news.partial")
    (partial / "checkpoint" / "deep").mkdir(parents=True)
    whole = partial / "checkpoint" / "deep" / "weights.txt"
    whole.write_text("goal shares")
    (partial / "checkpoint" / "metadata.json").write_text("half")
    (partial / "left.txt").write_text("x")
    (shop.place / "elsewhere").mkdir()
    (partial / "code").symlink_to(shop.place / "elsewhere")
    kept = whole.stat().st_ino
    said("model", "pull", "news@1", target)
    assert (target / "checkpoint" / "deep" / "weights.txt").stat().st_ino == kept
    assert (target / "checkpoint" / "metadata.json").read_text() == "{}"
    assert not (target / "left.txt").exists()
    assert list((shop.place / "elsewhere").iterdir()) == []
    assert shop.left() == ["news"]


def test_two_do_not_pull_into_one_folder(shop, target):
    partial = target.with_name(".news.partial")
    partial.mkdir()
    handle = os.open(partial, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert refused("model", "pull", "news@1", target).endswith("somebody else is pulling into it at this moment")
    finally:
        os.close(handle)
    assert "wrote" in said("model", "pull", "news@1", target)


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a\nb"])
def test_weights_stay_inside(shop, target, name):
    files = {name: f"sha256:{'a' * 64}"}
    checkpoint = {"uuid": "c1", "uri": shop.weights.as_uri(), "digest": digest(files), "files": files}
    shop.store.create(Release.read(shop.document(3, checkpoint=checkpoint)))
    assert "expected a path inside of it" in refused("model", "pull", "news@3", target)
    assert not target.exists()


def test_code_that_imports_ours_says_so(shop, target):
    serve = folder(shop.place / "other", {"serve.py": "from cdl.checks import rules\n" + SERVE})
    content = pack(serve)
    code = {
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "uri": shop.artifacts.keep(content, ".tar.gz"),
        "entrypoint": "serve:Model",
    }
    model = shop.code("words.py", WORDS)
    shop.store.create(Release.read(shop.document(3, code={"model": model, "serve": code})))
    said("model", "pull", "news@3", target)
    assert "imports `cdl`" in (target / "README.md").read_text()
