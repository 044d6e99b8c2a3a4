"""`cdl plan` and `cdl apply`: what people and programs read before anything happens."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from cdl.api.v1alpha1 import Experiment
from cdl.cli import main
from cdl.cli.forecast import lasting
from cdl.local import LocalStore
from cdl.reconcile.plan import Plan
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, source_document
from cdl.testing.world import World


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


class Folder:
    """A project folder with one file of three resources."""

    def __init__(self, place):
        self.place, self.sha256 = place, "ab" * 32
        place.mkdir()
        self.write()

    def write(self, rate=0.1, **spec):
        documents = (
            pipeline_document(sources=[source_document(sha256=self.sha256)], steps=[]),
            experiment_document(learning_rate=rate, **spec),
            deployment_document(),
        )
        (self.place / "all.yaml").write_text(yaml.safe_dump_all(documents))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "project")


@pytest.fixture
def worked(tmp_path, home, folder):
    """The project, applied and worked on until it rests; no engine answers to the command line."""
    world = World(tmp_path / "engines")
    world.resources = LocalStore(home / "resources.db")
    world.restart()
    content = world.sources.places["https://example.test/articles.tar"]
    folder.sha256 = hashlib.sha256(content).hexdigest()
    folder.write()
    for document in yaml.safe_load_all((folder.place / "all.yaml").read_text()):
        world.resources.apply(document)
    for _ in range(12):
        known = world.keys()
        for key in known:
            world.turn(key)
        world.advance()
    yield world
    world.resources.close()


def plan_of(folder, *words):
    answer = cdl("plan", folder.place, "-o", "json", *words)
    assert answer.exit_code in {0, 2}, answer.output
    return Plan.model_validate_json(answer.stdout)


def test_an_empty_home_is_planned_whole(home, folder):
    plan = plan_of(folder)
    assert [(r.kind, r.name, str(r.change)) for r in plan.resources] == [
        ("DataPipeline", "news", "created"),
        ("Experiment", "news", "created"),
        ("ModelDeployment", "news", "created"),
    ]
    assert {s.verdict for r in plan.resources for s in r.stages} == {"run", "rollout"}
    assert not list(home.glob("artifacts/*")), "a plan keeps nothing"


def test_what_runs_is_in_the_exit_code_when_asked(home, folder):
    assert cdl("plan", folder.place).exit_code == 0
    assert cdl("plan", folder.place, "--detailed-exitcode").exit_code == 2


def test_json_is_what_the_reference_describes(home, folder):
    told = json.loads(cdl("plan", folder.place, "-o", "json").stdout)
    assert told["schema"] == "cdl.dev/plan/v1"
    assert {"runs", "overBudget", "estimate", "resources"} < told.keys()
    stage = told["resources"][1]["stages"][0]
    assert (stage["name"], stage["verdict"]) == ("train", "run")


def test_markdown_is_a_table_for_a_merge_request(home, folder):
    told = cdl("plan", folder.place, "-o", "markdown").stdout
    assert told.startswith("## Plan\n\nOf 8 stages ")
    assert "### Experiment news: created\n\n| STAGE | VERDICT | WHY | TIME | SLOT HOURS |\n| --- |" in told
    assert "| train | run | there is no run yet; data will change" in told


def test_apply_asks_nobody_where_nobody_is(home, folder):
    answer = cdl("apply", folder.place)
    assert answer.exit_code == 1
    assert answer.output == (
        "Error: apply asks before it writes, and there is no terminal to ask at: --yes answers beforehand\n"
    )
    assert not (home / "resources.db").exists()


def test_apply_shows_the_plan_first(home, folder):
    told = cdl("apply", folder.place, "--yes").stdout
    assert told.index("Of 8 stages") < told.index("DataPipeline default/news created")


@pytest.mark.parametrize(("answer", "written"), [("y\n", 3), ("n\n", 0), ("\n", 0)])
def test_apply_asks_at_a_terminal(home, folder, answer, written):
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-m", "cdl.cli", "apply", str(folder.place)]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Apply this? [y/N]" in done.stdout
    assert done.stdout.count("created") - done.stdout.count(": created") == written
    assert (done.returncode == 0) == bool(written)


def test_apply_says_of_which_commit(home, folder):
    cdl("apply", folder.place, "--yes", "--revision", "0123abc")
    store = LocalStore(home / "resources.db")
    assert store.get(Experiment, "default", "news").metadata.revision == "0123abc"
    store.close()
    answer = cdl("apply", folder.place, "--yes", "--revision", "main")
    assert answer.output == ("Error: --revision: found 'main', allowed: a git commit, 7 to 64 hexadecimal digits\n")


def test_apply_asks_for_another_look_when_it_is_told_to(home, folder):
    cdl("apply", folder.place, "--yes")
    store = LocalStore(home / "resources.db")
    assert store.get(Experiment, "default", "news").metadata.requested_at == ""
    cdl("apply", folder.place, "--yes", "--look")
    assert store.get(Experiment, "default", "news").metadata.requested_at.startswith("20")
    store.close()


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_times_are_written_as_people_say_them(seconds, words):
    assert lasting(seconds) == words


def test_what_rests_is_planned_from_statuses_where_no_engine_answers(worked, folder):
    plan = plan_of(folder)
    assert not plan.runs
    assert {s.verdict for r in plan.resources for s in r.stages} == {"reuse"}
    assert not any(r.asked for r in plan.resources)
    assert all("was not asked (not running: pachd" in r.notes[0] for r in plan.resources)
    told = cdl("plan", folder.place, "--detailed-exitcode")
    assert told.exit_code == 0
    assert "Nothing changes: nothing runs." in told.stdout


def test_another_learning_rate_costs_what_the_last_one_did(worked, folder):
    folder.write(rate=0.05)
    _, experiment, _ = plan_of(folder).resources
    train, evaluate = experiment.stages[:2]
    assert train.reasons == ("hyperparameters.learning_rate: 0.1 -> 0.05",)
    assert (train.estimate.seconds, train.estimate.basis) == (120, "run 1")
    assert evaluate.estimate.seconds == 120
    assert experiment.estimate.missing == ("release",)
    told = cdl("plan", folder.place).stdout
    assert "~2.0 min" in told
    assert "About 4.0 min and 0.06667 slot hours, as before; no history of release, rollout." in told


def test_a_budget_that_the_last_run_would_break_is_a_warning_and_with_strict_an_error(worked, folder):
    folder.write(rate=0.05, budget={"maxDuration": "1m", "maxSlotHours": 0.01})
    plan = plan_of(folder)
    assert plan.over_budget
    assert plan.resources[1].warnings == (
        "train took 120 s before, spec.budget.maxDuration allows 1m: it would be stopped",
        "train used 0.06667 slot hours before, spec.budget.maxSlotHours allows 0.01: it would be stopped",
    )
    assert cdl("plan", folder.place).exit_code == 0
    strict = cdl("plan", folder.place, "--strict")
    assert strict.exit_code == 1
    assert strict.stderr == "Error: the estimate is more than spec.budget allows; the warnings above name it\n"


def test_a_budget_is_not_judged_without_a_history(home, folder):
    folder.write(budget={"maxDuration": "1m"})
    plan = plan_of(folder, "--strict")
    assert plan.resources[1].warnings == ("no history: whether it stays within spec.budget (maxDuration) is not known",)


def test_a_change_that_is_being_worked_on_is_not_called_done(worked, folder):
    folder.write(rate=0.05)
    cdl("apply", folder.place, "--yes")
    _, experiment, _ = plan_of(folder).resources
    assert {s.verdict for s in experiment.stages} <= {"run", "unknown", "wait"}
    assert "its last change did not come to its end" in experiment.notes[-1]
