"""A project folder is read whole, or refused in sentences that name file, field, finding and what is allowed."""

import hashlib
import subprocess

import pytest

from cdl.cli import project, synthetic
from cdl.cli.refusal import Refusal
from cdl.stores.artifacts import DirectoryArtifacts

EXPERIMENT = """
apiVersion: cdl.dev/v1alpha1
kind: Experiment
metadata: {name: news}
spec:
  data: {pipeline: news}
  code:
    archive: {uri: "file:../model"}
    serve: {uri: "file:../serve", entrypoint: "serve:Model"}
  config: {entrypoint: python3 train.py, searcher: {name: single, metric: accuracy}}
  model: {name: news}
"""
PIPELINE = """
apiVersion: cdl.dev/v1alpha1
kind: DataPipeline
metadata: {name: news}
spec:
  sources: [{name: articles, uri: "http://example.org/articles.tar.gz", sha256: %s, side: train}]
"""


@pytest.fixture
def folder(tmp_path):
    for part in ("resources", "model", "serve"):
        (tmp_path / "project" / part).mkdir(parents=True)
    (tmp_path / "project" / "model" / "train.py").write_text("print('train')\n")
    (tmp_path / "project" / "serve" / "serve.py").write_text("class Model: ...\n")
    (tmp_path / "project" / "resources" / "experiment.yaml").write_text(EXPERIMENT)
    return tmp_path / "project"


def refusal_of(folder):
    with pytest.raises(Refusal) as caught:
        project.read(folder)
    return caught.value.message


def test_every_resource_of_the_folder_is_read(folder):
    (folder / "resources" / "pipeline.yaml").write_text(PIPELINE % ("a" * 64))
    assert [str(d.resource.key) for d in project.read(folder)] == [
        "Experiment default/news",
        "DataPipeline default/news",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("model: {name: news}", "model: {name: news}\n  modle: 1"), "spec.modle: unknown field"),
        (("pipeline: news", "pipeline: 3"), "spec.data.pipeline: found 3, allowed: text"),
        (
            ("kind: Experiment", "kind: Experimant"),
            "kind: found 'Experimant', allowed: DataPipeline, Experiment, ModelDeployment",
        ),
        (("spec:", "spec: ["), "not readable as YAML in line"),
        (
            ("metadata: {name: news}", "metadata: &a {name: news}\nother: *a"),
            "aliases (*a) are not allowed, found one in line 5",
        ),
        (
            (EXPERIMENT, "- just\n- a list\n"),
            "found a list, expected a resource with apiVersion, kind, metadata and spec",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_file(folder, change, sentence):
    file = folder / "resources" / "experiment.yaml"
    file.write_text(EXPERIMENT.replace(*change))
    message = refusal_of(folder)
    assert message.startswith(f"{file}: ")
    assert sentence in message
    assert "Traceback" not in message


def test_mistakes_in_several_files_are_told_together(folder):
    (folder / "resources" / "a.yaml").write_text("kind: Nothing\n")
    (folder / "resources" / "b.yaml").write_text("kind: Nobody\n")
    assert "'Nothing'" in refusal_of(folder)
    assert "'Nobody'" in refusal_of(folder)


def test_the_same_resource_twice_is_refused(folder):
    (folder / "resources" / "again.yaml").write_text(EXPERIMENT)
    assert "Experiment default/news is also in" in refusal_of(folder)


def test_a_folder_without_resources_is_refused(tmp_path):
    assert "no such folder" in refusal_of(tmp_path / "nowhere")
    assert "found no resources" in refusal_of(tmp_path)


def test_a_release_cannot_be_written_by_hand(folder):
    (folder / "resources" / "experiment.yaml").write_text(EXPERIMENT.replace("kind: Experiment", "kind: Release"))
    assert "found 'Release', allowed" in refusal_of(folder)


def test_code_folders_are_packed_by_content(folder, tmp_path):
    artifacts = DirectoryArtifacts(tmp_path / "artifacts")
    [document] = project.read(folder)
    first = project.packed(document, artifacts)["spec"]["code"]
    again = project.packed(document, artifacts)["spec"]["code"]
    assert first == again
    stored = artifacts.fetch(first["archive"]["uri"], first["archive"]["sha256"]).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == first["archive"]["sha256"]
    (folder / "model" / "train.py").write_text("print('train better')\n")
    changed = project.packed(document, artifacts)["spec"]["code"]
    assert changed["archive"]["sha256"] != first["archive"]["sha256"]
    assert changed["serve"] == first["serve"]


def test_a_code_folder_that_is_not_there_is_refused(folder, tmp_path):
    [document] = project.read(folder)
    (folder / "serve" / "serve.py").unlink()
    (folder / "serve").rmdir()
    with pytest.raises(Refusal, match=r"spec\.code\.serve\.uri: found 'file:\.\./serve', which is no folder"):
        project.packed(document, DirectoryArtifacts(tmp_path / "artifacts"))


def test_synthetic_data_takes_the_place_of_the_source_of_that_name(folder, tmp_path):
    (folder / "synthetic.py").write_text(
        "import pathlib, sys\n"
        "p = pathlib.Path(sys.argv[1])\n"
        "p.mkdir(parents=True)\n"
        "(p / 'articles.tar.gz').write_bytes(b'made up')\n"
    )
    (folder / "resources" / "pipeline.yaml").write_text(PIPELINE % ("a" * 64))
    made = synthetic.look_alike(folder, tmp_path / "home")
    pipeline = next(d.plain for d in project.read(folder) if d.plain["kind"] == "DataPipeline")
    [source] = synthetic.redirected(pipeline, made)["spec"]["sources"]
    assert source["uri"] == f"file://{made}/articles.tar.gz"
    assert source["sha256"] == hashlib.sha256(b"made up").hexdigest()


def test_a_project_without_a_generator_has_no_synthetic_data(folder, tmp_path):
    with pytest.raises(Refusal, match=r"has no synthetic\.py"):
        synthetic.look_alike(folder, tmp_path / "home")


def test_a_commit_is_named_only_for_what_it_holds(folder):
    def git(*words):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)

    assert project.revision(folder) == ""
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    clean = project.revision(folder)
    assert len(clean) == 40
    (folder / "model" / "train.py").write_text("print('changed')\n")
    assert project.revision(folder) == f"{clean}-dirty"


def packed_or_refused(folder, tmp_path, text):
    (folder / "resources" / "experiment.yaml").write_text(text)
    [document] = project.read(folder)
    return project.packed(document, DirectoryArtifacts(tmp_path / "artifacts"))


def test_code_that_is_not_what_its_digest_says_is_refused(folder, tmp_path):
    text = EXPERIMENT.replace('"file:../model"', f'"file:../model", sha256: {"a" * 64}')
    with pytest.raises(Refusal, match=rf"spec\.code\.archive\.uri: .*/model has sha256 [0-9a-f]+, expected {'a' * 64}"):
        packed_or_refused(folder, tmp_path, text)


def test_code_that_lies_elsewhere_is_left_there(folder, tmp_path):
    text = EXPERIMENT.replace('"file:../model"', f'"https://example.org/m.tar.gz", sha256: {"a" * 64}')
    archive = packed_or_refused(folder, tmp_path, text)["spec"]["code"]["archive"]
    assert archive == {"uri": "https://example.org/m.tar.gz", "sha256": "a" * 64}


def test_empty_documents_between_resources_are_nothing(folder):
    (folder / "resources" / "experiment.yaml").write_text(f"---\n---\n{EXPERIMENT}\n---\n")
    assert [str(d.resource.key) for d in project.read(folder)] == ["Experiment default/news"]


def test_a_file_too_large_to_be_a_resource_is_refused(folder):
    file = folder / "resources" / "experiment.yaml"
    file.write_text(EXPERIMENT + "#" * 1_000_000)
    assert refusal_of(folder) == f"{file}: {file.stat().st_size} bytes, allowed: at most 1000000"


def test_the_commit_of_the_whole_project_is_noted_beside_what_was_written(folder, tmp_path):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    commit = project.revision(folder)
    (folder / "model" / "train.py").write_text("print('changed')\n")
    [document] = project.read(folder)
    artifacts = DirectoryArtifacts(tmp_path / "artifacts")
    assert project.packed(document, artifacts)["metadata"]["annotations"] == {
        "cdl.dev/revision": f"{commit}-dirty",
        "cdl.dev/authors": "t@example.org",
    }
    document.plain["metadata"]["annotations"] = {"team": "a"}
    assert project.packed(document, artifacts)["metadata"]["annotations"] == {
        "cdl.dev/revision": f"{commit}-dirty",
        "cdl.dev/authors": "t@example.org",
        "team": "a",
    }
    document.plain["metadata"]["annotations"] = {"cdl.dev/authors": "ada"}
    known = project.packed(document, artifacts)["metadata"]["annotations"]
    assert known["cdl.dev/authors"] == "ada,t@example.org", "a file hides nobody who wrote it"


def test_a_generator_that_fails_is_told_with_its_last_words(folder, tmp_path):
    (folder / "synthetic.py").write_text("raise SystemExit('first\\nno numbers left')\n")
    with pytest.raises(Refusal, match=r"synthetic\.py: no numbers left$"):
        synthetic.look_alike(folder, tmp_path / "home")


def test_every_source_needs_a_look_alike_and_no_mirror_of_the_real_one_stays(tmp_path):
    source = {"name": "articles", "uri": "http://example.org/a.tar", "mirrors": ["http://example.org/b.tar"]}
    plain = {"kind": "DataPipeline", "metadata": {"name": "news"}, "spec": {"sources": [source]}}
    with pytest.raises(Refusal, match=r"the generator made no a\.tar, which source articles needs"):
        synthetic.redirected(plain, tmp_path)
    (tmp_path / "a.tar").write_bytes(b"made up")
    [redirected] = synthetic.redirected(plain, tmp_path)["spec"]["sources"]
    assert redirected["mirrors"] == []
    assert plain["spec"]["sources"] == [source]
