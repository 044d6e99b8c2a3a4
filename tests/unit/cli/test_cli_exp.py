"""`cdl exp` where no engine runs: what the Experiment itself says, and a note that it is not everything."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cdl.api.v1alpha1 import Experiment
from cdl.api.v1alpha1.experiment import BestTrial, ExperimentStatus, RunStatus, TrialCounts, TrialStatus
from cdl.cli import main
from cdl.local import LocalStore
from cdl.testing.builders import experiment_document

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NOTE = "note: the training engine was not asked: "


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """An Experiment whose run is over, in a home where nothing runs."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    store = LocalStore(tmp_path / "home" / "resources.db")
    made = store.create(Experiment.read(experiment_document("news")))
    rows = tuple(
        TrialStatus(id=n, state="Succeeded", hparams={"rate": n}, metric=0.9 - n / 10, steps=10, started_at=AT)
        for n in (2, 1)
    )
    status = ExperimentStatus(
        run=RunStatus(key="k", id="7", state="Succeeded", started_at=AT, finished_at=AT),
        trials=TrialCounts(total=2, completed=2),
        trial_table=rows,
        best_trial=BestTrial(id=1, metric=0.8),
    )
    store.write_status(made.key, status, made.metadata.resource_version)
    yield tmp_path
    store.close()


def test_trials_are_those_of_the_status(ended):
    answer = cdl("exp", "trials", "news", "-o", "json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert [(t["id"], t["metric"], t["best"]) for t in told["trials"]] == [(1, 0.8, True), (2, 0.7, False)]
    assert told["notes"][0].startswith(NOTE.removeprefix("note: "))
    assert "restarts" not in told["trials"][0]


def test_tables_say_what_is_missing_beside_themselves(ended):
    for verb in ("trials", "describe"):
        answer = cdl("exp", verb, "news")
        assert answer.exit_code == 0, answer.output
        assert "rate=1" in answer.stdout
        assert answer.stderr.startswith(NOTE)
    assert "news" in cdl("exp", "list").stdout


def test_a_report_is_written_all_the_same(ended):
    answer = cdl("exp", "report", "news", "--out", ended / "news.html")
    assert answer.exit_code == 0, answer.output
    assert "was not asked" in (ended / "news.html").read_text()
    assert cdl("exp", "report", "news", "--out", ended / "no" / "x.html").stderr.startswith(
        "Error: --out: cannot write"
    )


def test_what_is_not_there_is_one_sentence(ended):
    for words in (("trials", "olds"), ("describe", "olds"), ("report", "olds"), ("compare", "news", "olds")):
        answer = cdl("exp", *words)
        assert answer.exit_code == 1
        assert answer.stderr == "Error: Experiment olds: not found in namespace default, there are: news\n"
    for words in (("-f",), ("--trial", "1")):
        told = cdl("logs", "modeldeployment", "news", *words).stderr
        assert told.endswith("found a ModelDeployment, allowed with the log of an Experiment\n")
