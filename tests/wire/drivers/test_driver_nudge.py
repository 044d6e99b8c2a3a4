"""A master of 0.38 that decides to stop a trial and never tells it; the driver does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from determined.common.api import bindings

from cdl.api.meta import Key
from cdl.engines.determined import DeterminedEngine

OWNER = Key("Experiment", "default", "news")
WHEN = "2026-01-01T00:00:00Z"


def run() -> bindings.v1Experiment:
    return bindings.v1Experiment(
        archived=False,
        config={"searcher": {"metric": "accuracy"}},
        id=7,
        jobId="j",
        labels=["cdl-owner=default.news", "cdl-key=k"],
        name="news",
        numTrials=1,
        originalConfig="",
        projectId=1,
        projectOwnerId=1,
        searcherType="adaptive_asha",
        startTime=WHEN,
        state=bindings.experimentv1State.RUNNING,
        username="determined",
    )


def trial(number: int, state: bindings.trialv1State) -> bindings.trialv1Trial:
    return bindings.trialv1Trial(
        experimentId=7,
        hparams={},
        id=number,
        restarts=0,
        startTime=WHEN,
        state=state,
        taskId=f"7.{number}",
        totalBatchesProcessed=10,
    )


def allocation(name: str, end: str | None) -> bindings.v1Allocation:
    return bindings.v1Allocation(
        allocationId=name, taskId="t", state=bindings.taskv1State.RUNNING, slots=1, startTime=WHEN, endTime=end
    )


class Silent:
    """A master that answers, and remembers which allocations it was asked to preempt."""

    def __init__(self) -> None:
        self.preempted: list[str] = []
        self.trials = [
            trial(1, bindings.trialv1State.RUNNING),
            trial(2, bindings.trialv1State.STOPPING_COMPLETED),
        ]

    def answer(self, method: str, path: str) -> tuple[int, object]:
        page = bindings.v1Pagination(endIndex=1, total=1, limit=0, offset=0, startIndex=0)
        if path == "/api/v1/auth/login":
            return 200, {"token": "t", "user": {"username": "determined", "admin": False, "active": True}}
        if path == "/api/v1/experiments":
            return 200, bindings.v1GetExperimentsResponse(experiments=[run()], pagination=page).to_json(True)
        if path == "/api/v1/experiments/7/trials":
            return 200, bindings.v1GetExperimentTrialsResponse(trials=self.trials, pagination=page).to_json(True)
        if path.startswith("/api/v1/tasks/"):
            number = path.rpartition(".")[2]
            held = [allocation(f"{number}.1", WHEN), allocation(f"{number}.2", None)]
            task = bindings.v1Task(
                allocations=held, startTime=WHEN, taskId=f"7.{number}", taskType=bindings.v1TaskType.TRIAL
            )
            return 200, bindings.v1GetTaskResponse(task=task).to_json(True)
        if method == "POST" and path.endswith("/signals/pending_preemption"):
            name = path.split("/")[4]
            if name in self.preempted:
                return 400, {"error": {"error": "told already"}}
            self.preempted.append(name)
            return 200, {}
        return 404, {"error": {"error": path}}


@pytest.fixture
def silent():
    master = Silent()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, body = master.answer(self.command, self.path.partition("?")[0])
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self):
            self._reply()

        def do_POST(self):
            self._reply()

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        master.url = f"http://127.0.0.1:{server.server_port}"
        yield master
        server.shutdown()
        thread.join()


def test_a_trial_that_its_search_has_stopped_is_told_and_no_other(silent):
    engine = DeterminedEngine(silent.url, fetch=lambda _uri, _sha: Path(), pachd="127.0.0.1:1")
    (seen,) = engine.look(OWNER)
    assert silent.preempted == ["2.2"]
    assert [t.state for t in seen.trials] == ["Running", "Stopping"]


def test_telling_twice_is_no_trouble(silent):
    engine = DeterminedEngine(silent.url, fetch=lambda _uri, _sha: Path(), pachd="127.0.0.1:1")
    engine.look(OWNER)
    (seen,) = engine.look(OWNER)
    assert silent.preempted == ["2.2"]
    assert seen.key == "k"
