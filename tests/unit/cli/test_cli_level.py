"""`cdl level` reads a folder as it lies and a model as the store has it; `cdl conformance` knows its roles."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cdl import compose
from cdl.cli import main
from cdl.settings import Settings
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document

NEWS = Path(__file__).parents[3] / "use_cases" / "bbc_news"
ALWAYS = {"feature-store", "monitoring", "metadata-store"}
"""What a machine without a database and this version of cdl cannot have."""


@pytest.fixture
def folder(tmp_path, home):
    copied = tmp_path / "project"
    shutil.copytree(NEWS, copied)
    return copied


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def level(*words):
    answer = cdl("level", *words, "-o", "json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.output)
    return found["level"], {one["point"] for one in found["missing"]}, {one["point"] for one in found["unknown"]}


def test_a_folder_outside_of_git_lacks_source_control(folder):
    assert level(folder) == (1, ALWAYS | {"source-control", "pipeline-ci", "pipeline-cd"}, set())


@pytest.mark.parametrize(
    ("told", "lacks"),
    [
        ("test: {script: [cdl validate .]}", {"pipeline-cd"}),
        ("test: {script: [pytest, cdl apply . --yes]}", set()),
        ("lint: {script: [ruff check]}", {"pipeline-ci", "pipeline-cd"}),
    ],
)
def test_what_ci_does_is_read_from_what_it_is_told(folder, told, lacks):
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitlab-ci.yml").write_text(told)
    assert level(folder) == (1, ALWAYS | lacks, set())


def test_a_database_is_a_metadata_store(folder, monkeypatch):
    monkeypatch.setenv("CDL_DATABASE", "postgresql://cdl_writer@db.example/cdl")
    assert "metadata-store" not in level(folder)[1]


def test_a_model_is_scored_by_what_the_store_has_of_it(home):
    store = compose.local_store(Settings(home=home))
    for document in (pipeline_document(), experiment_document(), deployment_document()):
        store.apply(document)
    reached, missing, unknown = level("news")
    assert unknown == {"pipeline-ci", "pipeline-cd"}
    assert reached == 0
    assert {"data-validation", "source-control"} <= missing
    assert "continuous-delivery" not in missing


def test_people_read_what_to_do(folder):
    answer = cdl("level", folder)
    assert answer.output.startswith("level 1 of 2\n")
    assert "put the project into a git repository" in " ".join(answer.output.split())


def test_neither_a_folder_nor_a_model_is_one_sentence(home):
    assert cdl("level", "nothing").output == (
        "Error: nothing: found neither a folder nor a model of that name in namespace default\n"
    )


@pytest.mark.parametrize("word", ["validator=vera", "model-validator", "model-validator="])
def test_a_role_nobody_knows_is_one_sentence(home, word):
    assert cdl("conformance", "--role", word).output == (
        f"Error: --role: found {word!r}, allowed: ROLE=PERSON with a ROLE of data-engineer, data-labeler, "
        "devops-engineer, data-scientist, software-engineer, model-validator\n"
    )
