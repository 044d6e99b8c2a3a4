"""After a real run: its trials, curves, logs and report are read from the platform, and its model goes elsewhere.

The tests of this module share one platform; none changes it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from cdl.api.v1alpha1 import ModelDeployment
from cdl.cli.asking import ask


@pytest.fixture(scope="module")
def ran(shared_place):
    shared_place.run()
    return shared_place


def said(place, *words):
    done = place.cdl(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_trials_come_from_the_engine_with_their_curves_the_best_first(ran):
    told = json.loads(said(ran, "exp", "trials", "tiny", "-o", "json"))
    status = ran.get("experiment")["status"]
    figures = [trial["metric"] for trial in told["trials"]]
    assert told["notes"] == []
    assert figures == sorted(figures, reverse=True)
    assert {t["id"] for t in told["trials"]} == {t["id"] for t in status["trialTable"]}
    assert [t["id"] for t in told["trials"] if t["best"]] == [status["bestTrial"]["id"]]
    for trial in told["trials"]:
        assert trial["restarts"] == 0
        assert [p["metrics"]["epochs"] for p in trial["curve"]] == [*range(1, len(trial["curve"]) + 1)]
        assert max(p["metrics"]["accuracy"] for p in trial["curve"]) == trial["metric"]


def test_an_experiment_is_described_and_compared(ran):
    told = said(ran, "exp", "describe", "tiny")
    assert "adaptive_asha by accuracy, more is better" in told
    assert "test side: accuracy" in told
    same = json.loads(said(ran, "exp", "compare", "tiny", "tiny", "-o", "json"))
    assert (same["sameData"], same["config"], same["a"]) == (True, [], same["b"])
    unknown = ran.cdl("exp", "trials", "tinny")
    assert unknown.returncode == 1
    assert unknown.stderr == "Error: Experiment tinny: not found in namespace default, there are: tiny\n"


def test_logs_are_those_of_the_trial(ran):
    one = said(ran, "exp", "logs", "tiny", "--trial", "1").splitlines()
    assert one
    assert {re.match(r"run \d+ trial (\d+) ", line)[1] for line in one} == {"1"}
    assert said(ran, "logs", "experiment", "tiny", "--trial", "1").splitlines() == one
    wrong = ran.cdl("exp", "logs", "tiny", "--trial", "99").stderr
    assert wrong.startswith("Error: trial 99: Experiment tiny has none of that number, there are: 1, 2")


def test_the_report_is_one_page_with_pictures_and_digests(ran):
    place = ran.home.parent / "tiny.html"
    said(ran, "exp", "report", "tiny", "--out", place)
    page = place.read_text()
    assert page.count("<svg") >= 2
    assert ran.get("release", "tiny-1")["spec"]["members"]["code"]["model"]["digest"] in page
    assert not re.search(r"<script|<link|src=|https?://(?!www\.w3\.org/2000/svg)", page)


def test_a_pulled_model_answers_elsewhere_as_the_served_one_does(ran):
    elsewhere = ran.home.parent / "elsewhere"
    said(ran, "model", "pull", "tiny@1", elsewhere)
    sample = ran.project / "samples" / "rising.txt"
    alone = [sys.executable, "-I", "-S", str(elsewhere / "load.py"), str(sample)]  # no cdl, and no package at all
    answer = subprocess.run(alone, capture_output=True, text=True, env={}, cwd="/", check=False)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    [row] = told["answer"]
    served = ask(ModelDeployment.read(ran.get("modeldeployment")), sample)
    assert served.label == told["names"][row.index(max(row))]
    assert served.probability == pytest.approx(max(row), rel=1e-6)
