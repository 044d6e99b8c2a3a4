"""What comes over the wire twice, late, or wrong."""

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from determined.common.api import bindings

from tests.wire.determined.masters import Determined, Experiment, Server, create, ends, until


def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def user(server: Server) -> dict[str, str]:
    login = {"username": "determined", "password": "", "isHashed": True}
    status, answer = ask(server, "POST", "/api/v1/auth/login", login)
    assert status == 200
    return {"Authorization": f"Bearer {answer['token']}"}


@pytest.fixture
def idle(client: Determined) -> Iterator[Experiment]:
    """A trial that has started its user code and does nothing for a while."""
    experiment = create(client, {"epochs": 1, "pause": 60})
    until(lambda: any(trial.state.name == "RUNNING" for trial in experiment.list_trials()))
    yield experiment
    experiment.kill()
    ends(experiment)


def report(step: int, run: int = 1, loss: object = 0.5, kind: str = "validation") -> dict:
    values = {"avgMetrics": {"loss": loss}}
    inner = {"trialRunId": run, "stepsCompleted": step, "metrics": values}
    return {"group": kind, "metrics": inner}


def test_reports_that_come_twice_count_once(server: Server, user: dict, idle: Experiment) -> None:
    trial = idle.list_trials()[0].id
    path = f"/api/v1/trials/{trial}/metrics"
    for _ in range(2):
        assert ask(server, "POST", path, report(7), **user) == (200, {})
    status, answer = ask(server, "POST", path, report(7, loss=0.4), **user)
    assert status == 400
    assert "'loss' at step 7 was reported as 0.5 before, now as 0.4" in answer["error"]["error"]
    more = report(7)
    more["metrics"]["metrics"]["avgMetrics"] = {"accuracy": 1.0}
    assert ask(server, "POST", path, more, **user)[0] == 200
    shown = ask(server, "GET", f"/api/v1/trials/{trial}", **user)[1]["trial"]
    assert shown["latestValidation"]["totalBatches"] == 7
    assert shown["latestValidation"]["metrics"]["avgMetrics"] == {"loss": 0.5, "accuracy": 1.0}
    assert shown["summaryMetrics"]["validation_metrics"]["loss"]["count"] == 1


def test_a_stale_run_is_refused(server: Server, user: dict, idle: Experiment) -> None:
    trial = idle.list_trials()[0].id
    status, answer = ask(server, "POST", f"/api/v1/trials/{trial}/metrics", report(1, run=0), **user)
    assert status == 400
    assert "invalid run id: 0 (reported) != 1 (expected)" in answer["error"]["error"]


def test_a_checkpoint_that_comes_twice_is_one(server: Server, user: dict, idle: Experiment) -> None:
    trial = idle.list_trials()[0].id
    task = ask(server, "GET", f"/api/v1/trials/{trial}", **user)[1]["trial"]["taskId"]
    body = {"uuid": "u-1", "taskId": task, "metadata": {"steps_completed": 3}, "resources": {"a": "5"}}
    body |= {"state": "STATE_COMPLETED", "allocationId": f"{task}.1", "training": {}}
    for _ in range(2):
        assert ask(server, "POST", "/api/v1/checkpoints", body, **user) == (200, {})
    listed = ask(server, "GET", f"/api/v1/trials/{trial}/checkpoints", **user)[1]
    assert [each["uuid"] for each in listed["checkpoints"]] == ["u-1"]
    assert listed["pagination"]["total"] == 1


def test_signals_and_starts_may_come_twice(server: Server, user: dict, idle: Experiment) -> None:
    trial = idle.list_trials()[0].id
    task = ask(server, "GET", f"/api/v1/trials/{trial}", **user)[1]["trial"]["taskId"]
    start = {"runId": trial, "checkpointStorage": {"type": "directory", "container_path": "/x"}}
    numbers = {ask(server, "POST", "/api/v1/runs/start", start, **user)[1]["storageId"] for _ in range(2)}
    assert len(numbers) == 1
    signals = f"/api/v1/allocations/{task}.1/signals"
    assert ask(server, "GET", f"{signals}/preemption?timeout_seconds=0", **user)[1] == {"preempt": False}
    for _ in range(2):
        assert ask(server, "POST", f"{signals}/pending_preemption", **user)[0] == 200
        assert ask(server, "POST", f"{signals}/ack_preemption", **user)[0] == 200
    assert ask(server, "GET", f"{signals}/preemption?timeout_seconds=60", **user)[1] == {"preempt": True}


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/api/v1/no-such-thing", 404, "NotFound"),
        ("PUT", "/api/v1/experiments", 501, "Unimplemented"),
        ("GET", "/api/v1/experiments/99999", 404, "NotFound"),
        ("GET", "/api/v1/experiments/abc", 400, "InvalidArgument"),
        ("GET", "/api/v1/trials/99999", 404, "NotFound"),
        ("GET", "/api/v1/checkpoints/none", 404, "NotFound"),
        ("GET", "/api/v1/tasks/none", 404, "NotFound"),
        ("GET", "/api/v1/experiments?limit=many", 400, "InvalidArgument"),
        ("POST", "/api/v1/allocations/none/signals/ack_preemption", 404, "NotFound"),
    ],
)
def test_what_is_not_there_says_so(
    server: Server, user: dict, method: str, path: str, status: int, reason: str
) -> None:
    found, answer = ask(server, method, path, **user)
    assert (found, answer["error"]["reason"]) == (status, reason)
    assert isinstance(answer["error"]["error"], str)


def test_strangers_are_refused(server: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        status, answer = ask(server, "GET", "/api/v1/me", **headers)
        assert (status, answer["error"]["reason"]) == (401, "Unauthenticated")
    wrong = {"username": "determined", "password": "wrong", "isHashed": True}
    assert ask(server, "POST", "/api/v1/auth/login", wrong)[0] == 401


def test_a_broken_body_is_refused(server: Server, user: dict) -> None:
    request = urllib.request.Request(server.url + "/api/v1/models", data=b"{", method="POST", headers=user)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert "not JSON" in json.loads(error.read())["error"]["error"]


def test_a_file_outside_the_model_definition_is_refused(server: Server, user: dict) -> None:
    file = {"path": "../evil", "type": 48, "content": "", "mtime": "0", "mode": 420, "uid": 0, "gid": 0}
    config = "{entrypoint: 'true', searcher: {name: single, metric: m}}"
    body = {"config": config, "modelDefinition": [file], "activate": False}
    status, answer = ask(server, "POST", "/api/v1/experiments", body, **user)
    assert status == 400
    assert "must be relative and stay inside" in answer["error"]["error"]


def test_pages_and_validation_only(server: Server, user: dict) -> None:
    config = "{name: paged, entrypoint: 'true', searcher: {name: single, metric: m}}"
    body = {"config": config, "activate": False}
    checked = ask(server, "POST", "/api/v1/experiments", body | {"validateOnly": True}, **user)[1]
    assert checked["config"]["max_restarts"] == 5
    made = [ask(server, "POST", "/api/v1/experiments", body, **user)[1]["experiment"] for _ in range(3)]
    assert {each["state"] for each in made} == {"STATE_PAUSED"}
    path = "/api/v1/experiments?name=PAGED&limit=2&offset=1&orderBy=ORDER_BY_DESC"
    listed = bindings.v1GetExperimentsResponse.from_json(ask(server, "GET", path, **user)[1])
    assert [each.id for each in listed.experiments] == [made[1]["id"], made[0]["id"]]
    assert (listed.pagination.endIndex, listed.pagination.total) == (3, 3)
    for each in made:
        assert ask(server, "POST", f"/api/v1/experiments/{each['id']}/kill", **user)[0] == 200


def test_the_cluster_introduces_itself(server: Server, user: dict) -> None:
    info = bindings.v1GetMasterResponse.from_json(ask(server, "GET", "/api/v1/master")[1])
    assert info.version == "0.38.1"
    me = bindings.v1GetMeResponse.from_json(ask(server, "GET", "/api/v1/me", **user)[1])
    assert me.user.username == "determined"
    users = bindings.v1GetUsersResponse.from_json(ask(server, "GET", "/api/v1/users", **user)[1])
    assert {each.username for each in users.users} == {"admin", "determined"}


def test_a_store_that_cannot_be_written_is_said_and_survived(server: Server, user: dict) -> None:
    other = sqlite3.connect(server.data / "master.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, answer = ask(server, "POST", "/api/v1/models", {"name": "unlucky"}, **user)
    assert (status, answer["error"]["reason"]) == (507, "ResourceExhausted")
    assert "could not store the change" in answer["error"]["error"]
    other.execute("ROLLBACK")
    other.close()
    assert ask(server, "GET", "/api/v1/models/unlucky", **user)[0] == 404
    assert ask(server, "POST", "/api/v1/models", {"name": "unlucky"}, **user)[0] == 200
