"""What really happened, from an empty folder to a served model, can be told afterwards, proved and judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter

import psutil
import pytest

from cdl.reconcile.history import stood
from cdl.reconcile.record import Entry, Verb
from tests.e2e.test_e2e_approval import until

GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.test")


@pytest.fixture(scope="module")
def told(shared_place):
    """A project in git that was run, approved by somebody else, and is served."""
    project = shared_place.project
    shared_place.edit("resources/experiment.yaml", "policy: Automatic", "policy: Manual")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "A model of notes")):
        subprocess.run([*GIT, "-C", str(project), *words], check=True)
    shared_place.run()
    answer = shared_place.cdl("approve", "tiny-1", "--reason", "the figures are good")
    assert answer.returncode == 0, shared_place.story(answer)
    until(shared_place, "modeldeployment", "release", "tiny-1")
    shared_place.run()
    return shared_place


def entries(place, *words):
    answer = place.cdl("history", *words, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    return [Entry.model_validate_json(line) for line in answer.stdout.splitlines()]


def first(found, **facts):
    return next(n for n, entry in enumerate(found) if all(getattr(entry, k) == v for k, v in facts.items()))


def test_the_history_tells_the_way_of_the_model_in_its_order(told):
    found = entries(told)
    steps = [
        first(found, kind="DataPipeline", verb=Verb.APPLIED),
        first(found, kind="DataPipeline", what="Ingest"),
        first(found, kind="DataPipeline", what="DataReady True"),
        first(found, kind="Experiment", what="StartRun"),
        first(found, kind="Experiment", what="GatesPassed True"),
        first(found, kind="Release", verb=Verb.RELEASED),
        first(found, kind="Release", verb=Verb.DECIDED),
        first(found, kind="ModelDeployment", what="Serve"),
        first(found, kind="ModelDeployment", what="Serving True"),
    ]
    assert steps == sorted(steps)


def test_it_tells_who_wished_who_decided_and_why(told):
    found = entries(told)
    commit = subprocess.run(
        [*GIT, "-C", str(told.project), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    wished = found[first(found, kind="Experiment", verb=Verb.APPLIED)]
    assert (wished.who, wished.revision, wished.details["authors"]) == ("ada", commit, ["ada@example.test"])
    (decided,) = entries(told, "release", "tiny-1")[1:]
    assert (decided.verb, decided.who, decided.why) == (Verb.DECIDED, "vera", "the figures are good")
    assert decided.digest == told.get("release", "tiny-1")["spec"]["digest"]


def test_nobody_changed_it_and_the_export_proves_so(told, tmp_path):
    assert "unbroken" in told.cdl("audit", "verify").stdout
    assert told.cdl("audit", "export", "-o", tmp_path / "ledger.jsonl").returncode == 0
    offline = told.cdl("audit", "verify", "--offline", tmp_path / "ledger.jsonl")
    assert offline.stdout.endswith("unbroken\n")


def test_a_team_that_kept_to_the_flow_chart_only_lacks_monitoring(told):
    answer = told.cdl("conformance", "tiny", "--strict", "-o", "json", "--role", "model-validator=vera")
    assert answer.returncode == 1
    (found,) = json.loads(answer.stdout)
    assert [one["step"] for one in found["steps"] if one["state"] == "skipped"] == ["model-monitoring"]
    assert found["faults"] == 1
    assert {one["who"] for one in found["steps"] if one["role"] == "model validator"} == {"vera"}


def test_the_project_is_at_level_one_and_lacks_what_is_named(told):
    found = json.loads(told.cdl("level", told.project, "-o", "json").stdout)
    assert found["level"] == 1
    assert {one["point"] for one in found["missing"]} == {"pipeline-ci", "pipeline-cd", "feature-store", "monitoring"}


def server(place):
    """The PostgreSQL of a place itself."""
    record = place.home / "postgres" / "server" / "cluster" / "postmaster.pid"
    return int(record.read_text().splitlines()[0])


def test_the_platform_goes_on_without_its_database_and_loses_nothing(told):
    before = len(entries(told))
    pid = server(told)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=20)
    told.edit("resources/modeldeployment.yaml", "backend: local", "backend: local\n  interval: 9m")
    answer = told.cdl("apply", told.project, "--yes")
    assert answer.returncode == 0, answer.stderr
    deadline = time.monotonic() + 60
    while (now := told.get("modeldeployment"))["status"].get("observedGeneration") != now["metadata"]["generation"]:
        assert time.monotonic() < deadline, now["status"]
        time.sleep(0.2)
    assert [*(told.home / "outbox").glob("*.json")]
    told.run()
    deadline = time.monotonic() + 60
    while [*(told.home / "outbox").glob("*.json")]:
        assert time.monotonic() < deadline, told.cdl("history").stderr
        time.sleep(0.2)
    found = entries(told)
    assert len(found) > before
    assert first(found[before:], kind="ModelDeployment", verb=Verb.APPLIED) >= 0
    assert max(Counter(entry.key for entry in found).values()) == 1
    assert {entry.key for entry in stood(found)} <= {entry.key for entry in found}
    assert "unbroken" in told.cdl("audit", "verify").stdout
