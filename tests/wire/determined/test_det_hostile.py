"""What comes in to break the master: refused in a sentence, and the master goes on."""

import base64
import json
import urllib.error
import urllib.request

import pytest

from tests.wire.determined.masters import Determined, Experiment, Server, create, ends, until

CONFIG = "{entrypoint: 'true', searcher: {name: single, metric: m}}"


def ask(server: Server, user: Determined, method: str, path: str, body: object) -> tuple[int, dict]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {user._session.token}"}
    request = urllib.request.Request(server.url + path, data=raw, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def refusal(answer: tuple[int, dict]) -> str:
    """Return the one sentence of a refusal."""
    status, body = answer
    assert 400 <= status < 500, body
    said = body["error"]["error"]
    assert "\n" not in said
    return said


def file(path: str, content: bytes = b"", **change: object) -> dict:
    made = {"path": path, "type": 48, "content": base64.b64encode(content).decode(), "mtime": "0", "mode": 420}
    return made | {"uid": 0, "gid": 0} | change


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (file("/etc/passwd"), "must be relative"),
        (file("a/../../b"), "must be relative"),
        (file("a\0b"), "must be relative"),
        (file(""), "must be relative"),
        (file("a") | {"content": "?"}, "not base64"),
        (file("a", mtime="9" * 30), "64 bits"),
    ],
)
def test_hostile_model_definitions(cluster: Server, sdk: Determined, sent: dict, said: str) -> None:
    body = {"config": CONFIG, "modelDefinition": [sent], "activate": False}
    assert said in refusal(ask(cluster, sdk, "POST", "/api/v1/experiments", body))


def test_a_model_definition_leaves_its_folder_by_no_link_and_no_mode(cluster: Server, sdk: Determined) -> None:
    """A link is written as the plain file it claims to be, and special bits mean nothing to a trial."""
    sent = [file("link", b"/etc/passwd", type=50), file("train.sh", b"stat -c %F link; cat link\n", mode=0o104755)]
    config = "{entrypoint: sh train.sh, max_restarts: 0, searcher: {name: single, metric: m}}"
    body = {"config": config, "modelDefinition": sent, "activate": True}
    status, answer = ask(cluster, sdk, "POST", "/api/v1/experiments", body)
    assert status == 200
    experiment = sdk.get_experiment(answer["experiment"]["id"])
    assert ends(experiment) == "COMPLETED"
    told = "".join(experiment.list_trials()[0].iter_logs())
    assert "regular file" in told
    assert "root:" not in told


def test_bombs_of_aliases_and_nesting(cluster: Server, sdk: Determined) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    for config, said in ((bomb, "more than 100000 values"), ("[" * 5000, "invalid experiment configuration")):
        body = {"config": config, "activate": False}
        assert said in refusal(ask(cluster, sdk, "POST", "/api/v1/experiments", body))
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert "nested too deeply" in refusal(ask(cluster, sdk, "POST", "/api/v1/models", deep))
    assert "not JSON" in refusal(ask(cluster, sdk, "POST", "/api/v1/models", b"\xff\xfe{"))


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/experiments/{'9' * 5000}",
        f"/api/v1/experiments/{2**64}",
        "/api/v1/experiments/%C2%B2",
        "/api/v1/experiments/-1",
        f"/api/v1/experiments?limit={'9' * 40}",
    ],
)
def test_numbers_that_are_none(cluster: Server, sdk: Determined, path: str) -> None:
    assert "must be a number" in refusal(ask(cluster, sdk, "GET", path, b""))


def test_metrics_that_are_not_finite(cluster: Server, sdk: Determined) -> None:
    experiment: Experiment = create(sdk, {"epochs": 1, "pause": 60})
    until(lambda: any(trial.state.name == "RUNNING" for trial in experiment.list_trials()))
    trial = experiment.list_trials()[0].id
    path = f"/api/v1/trials/{trial}/metrics"

    def report(step: object, value: object) -> tuple[int, dict]:
        inner = {"trialRunId": 1, "stepsCompleted": step, "metrics": {"avgMetrics": {"loss": value}}}
        return ask(cluster, sdk, "POST", path, {"group": "validation", "metrics": inner})

    for step, value in enumerate(("NaN", "Infinity", "-Infinity", 0.25), 1):
        for _ in range(2):
            assert report(step, value) == (200, {})
    bare = b'{"trialRunId": 1, "stepsCompleted": 9, "metrics": {"avgMetrics": {"loss": NaN}}}'
    raw = b'{"group": "validation", "metrics": ' + bare + b"}"
    assert ask(cluster, sdk, "POST", path, raw) == (200, {})
    assert "64 bits" in refusal(report(10**30, 1.0))
    shown = ask(cluster, sdk, "GET", f"/api/v1/trials/{trial}", b"")[1]["trial"]
    assert shown["searcherMetricValue"] == 0.25, "what is not a number never wins, nor does infinity"
    loss = shown["summaryMetrics"]["validation_metrics"]["loss"]
    assert (loss["count"], loss["min"], loss["max"]) == (1, 0.25, 0.25)
    experiment.kill()
    ends(experiment)
