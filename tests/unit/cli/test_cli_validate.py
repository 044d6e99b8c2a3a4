"""`cdl validate` refuses what is wrong, doubts what is odd, and compares with what is there when it is told what."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from cdl.cli import main
from cdl.testing.builders import A_SHA, experiment_document, pipeline_document, source_document


@pytest.fixture
def folder(tmp_path):
    def write(name, *documents):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.yaml").write_text(yaml.safe_dump_all(documents))
        return str(tmp_path / name)

    return write


def validate(*words):
    return CliRunner().invoke(main, ["validate", *words])


def test_a_good_project_is_valid_without_a_word_of_doubt(folder):
    done = validate(folder("now", pipeline_document(sources=[source_document(sha256=A_SHA)]), experiment_document()))
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == [
        "DataPipeline default/news is valid",
        "Experiment default/news is valid",
    ]


def test_a_doubt_is_no_refusal(folder):
    done = validate(folder("now", experiment_document(evaluation={})))
    assert done.exit_code == 0
    assert "all.yaml: warning: spec.evaluation.gates: there are none" in done.stderr


def test_what_may_never_change_is_refused(folder):
    then = folder("then", experiment_document(), pipeline_document())
    now = folder("now", experiment_document(model={"name": "other"}), pipeline_document("fresh"))
    assert validate(now).exit_code == 0
    done = validate(now, "--replaces", then)
    assert done.exit_code == 1
    sentence = "cannot change: Releases carry it; make another Experiment for another model"
    assert done.stderr.splitlines() == [f"Error: {now}/all.yaml: spec.model.name: {sentence}"]
    assert validate(then, "--replaces", then).exit_code == 0


def test_checking_a_project_loads_no_cluster_and_no_cel(folder):
    """CEL's library takes as long to load as all the rest of the command."""
    now = folder("now", experiment_document())
    look = (
        "import sys; from cdl.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'cel', 'kopf', 'kubernetes', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, "validate", now, "--replaces", now],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
