"""What `cdl run` says at the end is what the resources say, as far as they came."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.cli import report
from cdl.cli.watch import Watch
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit.local.counted import Counted

KINDS = ("DataPipeline", "Experiment", "ModelDeployment")
DOCUMENTS = dict(zip(KINDS, (pipeline_document(), experiment_document(), deployment_document()), strict=True))


class Model(BaseHTTPRequestHandler):
    """Says sport of everything, and nothing of itself."""

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["ndarray"][0]
        if text == "refuse me":
            self.reply(400, {"status": {"info": "no"}})
        else:
            data = {"names": ["sport", "tech"], "ndarray": [[0.75, 0.25]]}
            self.reply(200, {"data": data, "meta": {"tags": {"release": "news-1"}}})

    def do_GET(self):
        self.reply(404, {})

    def reply(self, status, body):
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1.0/predictions"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "engines")
    world.resources = Counted(tmp_path / "resources.db")
    world.restart()
    yield world
    world.resources.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/else/cdl"])
    monkeypatch.setattr("cdl.cli.screen.PIPE_WIDTH", 400)
    (tmp_path / "project" / "samples").mkdir(parents=True)
    return tmp_path / "project"


def settle(world, *kinds):
    for kind in kinds:
        world.resources.apply(DOCUMENTS[kind])
    world.settle()


def shown(world, folder, capsys, *kinds, ready=True, worked=True):
    keys = tuple(Key(kind, "default", "news") for kind in kinds)
    watch = Watch(world.resources, keys, time.monotonic(), folder)
    watch.ready, watch.worked = ready, worked
    capsys.readouterr()
    report.show(world.resources, keys, watch, datetime.now(UTC) - timedelta(seconds=9), folder)
    return capsys.readouterr().out


def lines(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


def only(world, kind):
    (found,) = world.resources.list(kind)
    return found


def test_everything_behind_the_answer_is_shown(world, folder, address, capsys):
    settle(world, *KINDS)
    server = only(world, ModelDeployment)
    status = server.status.model_copy(update={"url": address})
    world.resources.write_status(server.key, status, server.metadata.resource_version)
    for name in "abcd":
        (folder / "samples" / f"{name}.txt").write_text("refuse me" if name == "b" else "a late result")
    text = shown(world, folder, capsys, *KINDS)
    data, learner, release = only(world, DataPipeline), only(world, Experiment), only(world, Release)
    assert f"dataset news {data.status.dataset.version}" in text
    for side in (data.status.dataset.train, data.status.dataset.test):
        assert lines(text, side.repo, side.commit, str(side.files))
    assert f"run {learner.status.run.id} of experiment news, on validation data" in text
    assert [line.split()[-1] for line in lines(text, "learning_rate=0.1")] == ["best"]
    assert lines(text, "accuracy", "0.5", "passed")
    assert f"release {release.metadata.name} {release.spec.digest}, approved by policy/Automatic" in text
    assert lines(text, "checkpoint", release.spec.members["checkpoint"]["digest"][:32])
    assert f"serving news-1 at {address}" in text
    assert [line.split()[:3] for line in lines(text, ".txt", "news-1")] == [
        ["a.txt", "sport", "0.75"],
        ["c.txt", "sport", "0.75"],
    ]
    assert lines(text, "b.txt", "the model answered 400: no")
    assert "d.txt" not in text
    assert [line.split()[0] for line in lines(text, " s ")][-5:] == ["data", "train", "evaluate,", "serve", "all"]
    assert lines(text, f"/somewhere/else/cdl predict news {folder / 'samples' / 'a.txt'}", "ask the model")


def test_a_project_that_came_half_the_way_is_shown_half(world, folder, capsys):
    settle(world, "DataPipeline")
    world.resources.apply(DOCUMENTS["Experiment"])
    world.resources.apply(DOCUMENTS["ModelDeployment"])
    text = shown(world, folder, capsys, "DataPipeline", "ModelDeployment", ready=False)
    assert "dataset news sha256:" in text
    assert not lines(text, "serving")
    assert not lines(text, "predict")
    assert lines(text, "/somewhere/else/cdl lineage news", "everything behind the answer")


def test_a_gate_that_was_missed_is_shouted(world, folder, capsys):
    world.resources.apply(DOCUMENTS["DataPipeline"])
    world.resources.apply(experiment_document(evaluation={"gates": [{"metric": "accuracy", "min": 0.95}]}))
    world.settle()
    text = shown(world, folder, capsys, "DataPipeline", "Experiment", ready=False)
    assert lines(text, "accuracy", "0.9", "0.95", "FAILED")
    assert not lines(text, "release ", "sha256")


def test_what_nobody_decided_about_waits_for_somebody(world, folder, capsys):
    world.resources.apply(DOCUMENTS["DataPipeline"])
    world.resources.apply(experiment_document(approval={"policy": "Manual"}))
    world.settle()
    text = shown(world, folder, capsys, "DataPipeline", "Experiment", ready=False)
    assert lines(text, "release news-1", "pending by nobody yet")


@pytest.mark.parametrize(("ready", "told"), [(True, True), (False, False)])
def test_that_nothing_was_run_is_said_only_of_what_is_ready(world, folder, capsys, ready, told):
    settle(world, "DataPipeline", "Experiment")
    text = shown(world, folder, capsys, "DataPipeline", "Experiment", ready=ready, worked=False)
    assert ("nothing changed, so nothing was run again" in text) is told
    assert not lines(text, "STAGE")


def test_what_was_rejected_and_what_was_stopped_early_is_said(world, folder, capsys):
    settle(world, "DataPipeline", "Experiment")
    data, learner = only(world, DataPipeline), only(world, Experiment)
    rejected = {"total": 5, "by_reason": {"too-short": 3, "no-text": 2}}
    status = data.status.model_copy(update={"rejected": data.status.rejected.model_copy(update=rejected)})
    world.resources.write_status(data.key, status, data.metadata.resource_version)
    trials = tuple(t.model_copy(update={"stopped_early": True}) for t in learner.status.trial_table)
    status = learner.status.model_copy(update={"trial_table": trials})
    world.resources.write_status(learner.key, status, learner.metadata.resource_version)
    text = shown(world, folder, capsys, "DataPipeline", "Experiment")
    assert lines(text, "labels ", "rejected 5 (", "3 too-short", "2 no-text")
    assert lines(text, "learning_rate", "Stopped early")


def test_nobody_is_sent_to_ask_a_model_that_is_not_served(world, folder, capsys):
    (folder / "samples" / "a.txt").write_text("a late result")
    world.resources.apply(DOCUMENTS["ModelDeployment"])
    text = shown(world, folder, capsys, "ModelDeployment", ready=False)
    assert not lines(text, "ask the model")
    assert lines(text, "get", "all resources")
